import { rebuildError } from "../wire/error_data.ts";
import { TaskCancelledError, TaskLoadError, TaskTimeoutError, WorkerCrashError } from "../errors.ts";
import type { InfoTask } from "../info_task.ts";
import type { OutcomeFacts } from "../outcome.ts";
import type { OutcomeData } from "../wire/protocol.ts";

/** The error of an outcome. `reason` is why it was cancelled, for one that was. */
export function errorOf(data: OutcomeData, task: InfoTask, reason: unknown): Error {
  const what = `Task ${data.id} (${shortName(task)})`;
  if (data.error !== undefined) return withTask(rebuildError(data.error), task);
  if (data.load !== undefined) {
    const { message, cause } = data.load;
    const reason = cause === undefined ? "" : `: ${cause.message}`;
    return new TaskLoadError(message + reason, { task, ...(cause && { cause: rebuildError(cause) }) });
  }
  if (data.limit !== undefined) {
    const { loading, timeout } = data.limit;
    const message = loading
      ? `${what} was stopped: its module was still loading after ${timeout} ms (loadTimeout)`
      : `${what} was stopped: it ran longer than its limit of ${timeout} ms`;
    const cause = new DOMException("Signal timed out.", "TimeoutError");
    return new TaskTimeoutError(message, timeout, { task, cause });
  }
  if (data.death !== undefined) {
    const { message, reason, exitCode, error } = data.death;
    const how = data.attempts === 0 ? "was not run: its worker" : "crashed: its worker";
    return new WorkerCrashError(`${what} ${how} ${message}`, reason, exitCode, {
      task,
      ...(error && { cause: rebuildError(error) }),
    });
  }
  return cancelled(data.id, task, reason);
}

/** The error of a task that was cancelled. */
export function cancelled(id: number, task: InfoTask, cause: unknown): TaskCancelledError {
  return new TaskCancelledError(`Task ${id} (${shortName(task)}) was cancelled`, { task, cause });
}

/** The end of the specifier: enough to know the task by. */
export function shortName({ specifier }: InfoTask): string {
  return specifier.startsWith("data:")
    ? specifier.length > 40 ? `${specifier.slice(0, 40)}…` : specifier
    : specifier.slice(specifier.lastIndexOf("/") + 1);
}

/** Every error given to an error callback has `task`. */
export function withTask(thrown: unknown, task: InfoTask): Error {
  const error = thrown instanceof Error ? thrown : new Error("The task threw", { cause: thrown });
  try {
    Object.defineProperty(error, "task", { value: task, configurable: true, writable: true });
  } catch {
    // A frozen error, thrown by a getter among the arguments.
  }
  return error;
}

/** The facts of a task that never ran. */
export function neverRan(task: InfoTask, taskId: number): OutcomeFacts {
  return { task, taskId, workerId: undefined, attempts: 0, waitedMs: 0, ranMs: 0 };
}
