/**
 * What the scheduler is told, in a word each.
 *
 * @module
 */
import type { Running } from "../../src/wire/protocol.ts";
import type { Result } from "../../src/scheduler/scheduling.ts";
import { DEATH, type FakeEvent, type FakeTask } from "./fakes.ts";

/** The end of a run. */
export function result(seq: number, startedAt: number, endedAt: number, ok = true): Result {
  return { seq, ok, unloaded: false, callbacks: 0, startedAt, endedAt };
}

/** What a worker was seen doing. */
export function running(seq: number, since: number, loading = false): Running {
  return { seq, since, loading, callbacks: 0 };
}

/** Time has passed. */
export const TICK = { type: "tick" } as const;

export function push(task: FakeTask): FakeEvent {
  return { type: "push", task };
}

export function cancel(...tasks: FakeTask[]): FakeEvent {
  return { type: "cancel", tasks };
}

export function ready(worker: number): FakeEvent {
  return { type: "ready", worker };
}

export function results(worker: number, ...results: Result[]): FakeEvent {
  return { type: "results", worker, results };
}

export function takenBack(worker: number, seqs: number[]): FakeEvent {
  return { type: "taken-back", worker, seqs };
}

/** A worker that was to be interrupted has been. */
export function interrupted(worker: number): FakeEvent {
  return { type: "interrupted", worker };
}

/** A worker has died; unless said otherwise it had begun nothing of what it held, and gave nothing back. */
export function gone(worker: number, more: Partial<FakeEvent & { type: "gone" }> = {}): FakeEvent {
  return { type: "gone", worker, death: DEATH, results: [], running: undefined, unclaimed: [], ...more };
}

/** What a look found, after all messages were taken in. */
export function looked(worker: number, running: Running | undefined, drained = true): FakeEvent {
  return { type: "looked", worker, running, drained };
}
