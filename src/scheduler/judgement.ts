import type { Running } from "../wire/protocol.ts";
import type { Task } from "./scheduling.ts";
import type { Busy } from "./workers.ts";

/** A worker that does not begin a task within this is stopped, and the task goes to another, which is given longer. */
const BEGIN_MS = 1_000;
/** How many times longer the next one is given. */
const BEGIN_FACTOR = 4;
/** So many bytes of buffers take about a millisecond to reach a process, on a busy machine. */
const BYTES_PER_MS = 20_000;
/** All else takes up to some thirty times as long to reach a process as to be sent, and waits for what others sent. */
const PER_SEND_MS = 100;
/** The longest watch: no timer outlives its purpose by more than this. */
const WATCH_MS = 500;

/** What a worker was seen doing. */
export interface Look {
  readonly running: Running | undefined;
  /** All that it had posted by then had been told before. */
  readonly drained: boolean;
}

/** What is to become of a worker that was looked at. */
export type Judgement<T extends Task> =
  /** It may still begin: to be looked at again then. */
  | { verdict: "wait"; at: number }
  /** It has not begun its only task, which nobody wants any more and which cannot be taken back. */
  | { verdict: "drop"; task: T }
  /** It has begun nothing for long; it may have done so just now. */
  | { verdict: "doubt" }
  /** It begins nothing. */
  | { verdict: "give-up" }
  /** The task is over its limit, or nobody wants it any more; it may have ended just now. */
  | { verdict: "condemn"; task: T; seq: number }
  /** The task is over its limit, or nobody wants it any more, and it has not ended. */
  | { verdict: "end"; task: T; running: Running; limit: number }
  /** The task goes on: to be looked at again then. */
  | { verdict: "go-on"; task: T; running: Running; at: number; soften: boolean };

/**
 * Judges what a busy worker is doing: says what is to be done, and does nothing itself.
 *
 * @param loadTimeout How long a module may load.
 * @param alone Whether the worker holds one task at a time, which cannot be taken back.
 */
export function judge<T extends Task>(
  { offered, since, softened }: Busy<T>,
  { running, drained }: Look,
  loadTimeout: number,
  alone: boolean,
  now: number,
): Judgement<T> {
  const task = running && offered.find(running.seq);
  /** When something may be due of tasks that may begin unseen from now on. */
  const nextLook = (begun: boolean) => lookBy(offered.shortest(begun), loadTimeout, now);

  if (running === undefined || task === undefined) {
    const first = offered.first()!;
    const beginBy = since + patience(first);
    if (first.cancelled === "yes" && alone) return { verdict: "drop", task: first };
    if (now < beginBy) return { verdict: "wait", at: Math.min(beginBy, nextLook(false)) };
    return { verdict: drained ? "give-up" : "doubt" };
  }

  const { seq, since: begunAt, loading } = running;
  const limit = loading ? loadTimeout : task.timeout;
  // Compared as a moment, like the watch that is set for it: a difference could round to just below the limit.
  if (now >= begunAt + limit || task.cancelled === "yes") {
    // Word of its end may be on its way; and the worker must not go on with those behind it.
    if (!drained || offered.size > 1) return { verdict: "condemn", task, seq };
    return { verdict: "end", task, running, limit };
  }

  // A task that is still loading may begin unseen, too.
  let at = Math.min(begunAt + limit, nextLook(!loading));
  let soften = false;
  if (task.softTimeout !== undefined && !loading && softened !== seq) {
    const softAt = begunAt + task.softTimeout;
    if (now >= softAt) soften = true;
    else at = Math.min(at, softAt);
  }
  return { verdict: "go-on", task, running, at, soften };
}

/** When to look at a worker again. `shortest` is the shortest limit of its tasks that may begin unseen. */
export function lookBy(shortest: number, loadTimeout: number, now: number): number {
  return now + Math.min(shortest, loadTimeout, WATCH_MS);
}

/** How long a worker has to begin the task. */
function patience({ refusals, bytes, sendMs }: Task): number {
  return (BEGIN_MS + PER_SEND_MS * sendMs + bytes / BYTES_PER_MS) * BEGIN_FACTOR ** refusals;
}
