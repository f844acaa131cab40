import { mainModule } from "../runtime/host.ts";
import { rebuildError } from "../wire/error_data.ts";
import { TaskCancelledError, TaskLoadError, TaskTimeoutError, WorkerCrashError } from "../errors.ts";
import type { InfoTask } from "../info_task.ts";
import type { ErrorOutcome, OutcomeFacts } from "../outcome.ts";
import type { OutcomeData } from "../wire/protocol.ts";
import { shortSpecifier } from "../util/specifier.ts";
import { withoutStack } from "../util/without_stack.ts";
import { splitSpecifier } from "../wire/task_module.ts";
import { explained, explainedLoad } from "./explained.ts";

/**
 * The error of an outcome.
 *
 * @param what What the task is called.
 * @param reason Why it was cancelled, for one that was.
 */
export function errorOf(data: OutcomeData, task: InfoTask, what: string, reason: unknown): Error {
  if (data.error !== undefined) return withTask(rebuildError(explained(data.error, task.specifier)), task);
  if (data.load !== undefined) {
    const { message } = data.load;
    const cause = data.load.cause && explainedLoad(data.load.cause);
    const reason = cause === undefined ? "" : `: ${cause.message}${aboutMain(task)}`;
    const options = { task, ...(cause && { cause: rebuildError(cause) }) };
    return withoutStack(() => new TaskLoadError(message + reason, options));
  }
  if (data.limit !== undefined) {
    const { loading, timeout } = data.limit;
    const message = loading
      ? `${what} was stopped: its module was still loading after ${timeout} ms (loadTimeout)${
        aboutMain(task)
      }`
      : `${what} was stopped: it ran longer than its limit of ${timeout} ms`;
    const cause = withoutStack(() => new DOMException("Signal timed out.", "TimeoutError"));
    return withoutStack(() => new TaskTimeoutError(message, timeout, { task, cause }));
  }
  if (data.death !== undefined) {
    const { message, reason, exitCode, error } = data.death;
    const how = data.attempts === 0 ? "was not run: its worker" : "crashed: its worker";
    const options = { task, ...(error && { cause: rebuildError(explained(error, task.specifier)) }) };
    return withoutStack(() => new WorkerCrashError(`${what} ${how} ${message}`, reason, exitCode, options));
  }
  return cancelled(what, task, reason);
}

/** The error of a task that was cancelled. */
export function cancelled(what: string, task: InfoTask, cause: unknown): TaskCancelledError {
  return withoutStack(() => new TaskCancelledError(`${what} was cancelled`, { task, cause }));
}

/** Why the program's main module is no good task module as it is: a worker runs all of it once more. */
function aboutMain({ specifier }: InfoTask): string {
  if (splitSpecifier(specifier).url !== mainModule()) return "";
  return "; it is the program's main module, all of which a worker runs too: " +
    "put what is not for workers behind if (import.meta.main)";
}

/**
 * Outcomes of tasks that never ran, whose error is made when it is looked at: to make one takes 3 µs (Deno 2.9.6, with
 * a stack or without), and a million tasks may be waiting.
 */
export function lateErrors(
  status: ErrorOutcome["status"],
  makeError: (id: number, task: InfoTask, options: undefined) => Error,
): (id: number, task: InfoTask) => ErrorOutcome {
  const error: PropertyDescriptor & ThisType<OutcomeFacts> = {
    get() {
      const value = makeError(this.taskId, this.task, undefined);
      // Always the same one, but for an outcome that somebody has frozen.
      Reflect.defineProperty(this, "error", { value, enumerable: true, configurable: true });
      return value;
    },
    enumerable: true,
    configurable: true,
  };
  return (id, task) =>
    Object.defineProperty({ status, ...neverRan(task, id) } as ErrorOutcome, "error", error);
}

/** Enough to know the task by. */
export function shortName({ specifier }: InfoTask): string {
  return shortSpecifier(specifier);
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
