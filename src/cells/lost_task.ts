import { backOff } from "../scheduler/back_off.ts";
import { now } from "../wire/now.ts";
import type { DeathData, OutcomeData } from "../wire/protocol.ts";
import type { OpenTask } from "./open_tasks.ts";

/** What becomes of a task whose cell has died: its outcome, or another attempt after some milliseconds. */
export type Fate = { outcome: OutcomeData } | { attempts: number; after: number };

/**
 * What becomes of it.
 *
 * @param begunAt When it was begun in that cell, in milliseconds since the epoch; undefined if it was not.
 * @param cancelled Whether it is to be cancelled: in any case, or unless it was begun.
 */
export function fateOf(
  task: OpenTask,
  death: DeathData,
  begunAt: number | undefined,
  cancelled: { always: boolean; waiting: boolean },
): Fate {
  const { data, pushedAt } = task;
  const before = data?.origin?.attempts ?? 0;
  if (begunAt === undefined) {
    return cancelled.always || cancelled.waiting
      ? { outcome: { ...neverRan(task), status: "cancelled", attempts: before } }
      : { attempts: before, after: 0 };
  }
  const attempts = before + 1;
  const waitedMs = Math.max(0, begunAt - pushedAt);
  const ran = { ...neverRan(task), attempts, waitedMs, ranMs: Math.max(0, now() - begunAt) };
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
