import { backOff } from "../scheduler/back_off.ts";
import type { Begun } from "../runtime/claims.ts";
import { now } from "../wire/now.ts";
import type { DeathData, OutcomeData } from "../wire/protocol.ts";
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
  const { data, pushedAt } = task;
  const before = data?.origin?.attempts ?? 0;
  if (begun === undefined || begun.attempt <= before) {
    return cancelled.always || cancelled.waiting
      ? { outcome: { ...neverRan(task), status: "cancelled", attempts: before } }
      : { attempts: before, after: 0 };
  }
  const { attempt: attempts, at } = begun;
  const waitedMs = Math.max(0, at - pushedAt);
  const ran = { ...neverRan(task), attempts, waitedMs, ranMs: Math.max(0, now() - at) };
  if (cancelled.always) return { outcome: { ...ran, status: "cancelled" } };
  const retry = data?.retry;
  return retry !== undefined && retry.on.includes("crashed") && attempts < retry.maxAttempts
    ? { attempts, after: backOff(attempts, retry, Math.random()) }
    : { outcome: { ...ran, status: "crashed", death } };
}

/** The facts of a task that was not run. */
export function neverRan({ id, pushedAt }: OpenTask): Omit<OutcomeData, "status"> {
  const waitedMs = Math.max(0, now() - pushedAt);
  return { id, worker: undefined, attempts: 0, waitedMs, ranMs: 0, callbacks: undefined };
}
