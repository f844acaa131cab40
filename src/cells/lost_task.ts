import { retryAfter } from "../scheduler/back_off.ts";
import type { Begun } from "../runtime/claims.ts";
import { now } from "../wire/now.ts";
import type { DeathData, OutcomeData, TaskData } from "../wire/protocol.ts";
import type { OpenTask } from "./open_tasks.ts";

/** What becomes of a task whose cell has died: its outcome, or another attempt after some milliseconds. */
export type Fate = { outcome: OutcomeData } | { attempts: number; after: number };

/**
 * What becomes of it.
 *
 * @param begun The last run that was begun in that cell, if any. It is over if it is one of those that the task has had.
 * @param cancelled Whether it is to be cancelled: in any case, or unless it was begun.
 */
export function fateOf(
  task: OpenTask,
  death: DeathData,
  begun: Begun | undefined,
  cancelled: { always: boolean; waiting: boolean },
): Fate {
  const { data, pushedAt, dueAt } = task;
  const before = data?.origin?.attempts ?? 0;
  if (begun === undefined || begun.attempt <= before) {
    return cancelled.always || cancelled.waiting
      ? { outcome: { ...neverRan(task), status: "cancelled", attempts: before } }
      : { attempts: before, after: Math.max(0, dueAt - now()) };
  }
  const { attempt: attempts, at } = begun;
  const waitedMs = Math.max(0, at - pushedAt);
  const ran = { ...neverRan(task), attempts, waitedMs, ranMs: Math.max(0, now() - at) };
  if (cancelled.always) return { outcome: { ...ran, status: "cancelled" } };
  const after = cancelled.waiting ? undefined : nextAfter(data, "crashed", attempts);
  return after === undefined ? { outcome: { ...ran, status: "crashed", death } } : { attempts, after };
}

/**
 * When a task is to be run again of which a run came to this end.
 *
 * @param attempts How often it was run.
 * @returns After so many milliseconds; undefined if it is not.
 */
export function nextAfter(
  data: TaskData | undefined,
  status: OutcomeData["status"],
  attempts: number,
): number | undefined {
  const retry = data?.retry;
  if (retry === undefined || attempts >= retry.maxAttempts) return undefined;
  const on: readonly OutcomeData["status"][] = retry.on;
  return on.includes(status) ? retryAfter({ id: data!.id, attempts }, retry) : undefined;
}

/** The facts of a task that was not run, or is not to be run again. */
export function neverRan({ id, pushedAt, data }: OpenTask): Omit<OutcomeData, "status"> {
  const waitedMs = Math.max(0, now() - pushedAt);
  const attempts = data?.origin?.attempts ?? 0;
  return { id, worker: undefined, attempts, waitedMs, ranMs: 0, callbacks: undefined };
}
