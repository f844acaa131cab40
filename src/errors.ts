import type { InfoTask } from "./info_task.ts";

/** Options for the pool's own errors. */
export interface TaskErrorOptions extends ErrorOptions {
  /** The task that the error is about. */
  task?: InfoTask | undefined;
}

/**
 * What the pool's own errors about one task have in common: they know their task.
 *
 * @example Usage
 * ```ts
 * import { TaskError, TaskLoadError } from "@cm/multiprocess";
 * import { assert } from "@std/assert";
 *
 * assert(new TaskLoadError("Cannot load ./x.ts") instanceof TaskError);
 * ```
 */
export abstract class TaskError extends Error {
  /** The task that the error is about. Set on every error that an outcome carries. */
  readonly task: InfoTask | undefined;

  /** Creates the error. */
  constructor(message: string, options: TaskErrorOptions) {
    // Own properties only, here and below: `Error` takes an inherited cause too.
    super(message, Object.hasOwn(options, "cause") ? { cause: options.cause } : undefined);
    // Not enumerable: a printed error should show its own facts, not the arguments of the task.
    const value = Object.hasOwn(options, "task") ? options.task : undefined;
    const hidden = { __proto__: null, value, configurable: true, enumerable: false } as PropertyDescriptor;
    Object.defineProperty(this, "task", hidden);
  }
}

/**
 * The task ran longer than its time limit, or loaded longer than `loadTimeout`. Its `cause` is the
 * `TimeoutError` of `deadline`.
 *
 * @example Usage
 * ```ts
 * import { TaskTimeoutError } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new TaskTimeoutError("Task 1 ran longer than 50 ms", 50).timeout, 50);
 * ```
 */
export class TaskTimeoutError extends TaskError {
  /** The name of the class. */
  override get name(): string {
    return "TaskTimeoutError";
  }
  /** The limit that was passed, in milliseconds. */
  readonly timeout: number;

  /** Creates the error with the limit in milliseconds. */
  constructor(message: string, timeout: number, options: TaskErrorOptions = {}) {
    super(message, options);
    this.timeout = timeout;
  }
}

/**
 * The task's module cannot be loaded, or it has nothing to run. The `cause` is what the import threw, if it
 * threw.
 *
 * @example Usage
 * ```ts
 * import { TaskLoadError } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new TaskLoadError("Cannot load ./x.ts").name, "TaskLoadError");
 * ```
 */
export class TaskLoadError extends TaskError {
  /** The name of the class. */
  override get name(): string {
    return "TaskLoadError";
  }

  /** Creates the error. */
  constructor(message: string, options: TaskErrorOptions = {}) {
    super(message, options);
  }
}

/**
 * Why a worker ended: it exited (`"exit"`), nothing caught an error that was thrown (`"error"`), it exhausted its
 * memory (`"memory"`), it was killed by a signal (`"signal"`), the dispatcher died (`"dispatcher"`), or machines of a
 * `Fleet` were lost with it (`"machine"`).
 * A full heap can be told from other aborts of a process only if there is a `memoryLimit`; otherwise the reason is
 * `"signal"`.
 */
export type CrashReason = "exit" | "error" | "memory" | "signal" | "dispatcher" | "machine";

/**
 * The worker that ran the task ended under it. The `cause` is the error that nothing caught, if there was one.
 *
 * @example Usage
 * ```ts
 * import { WorkerCrashError } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new WorkerCrashError("The worker exited with code 3", "exit", 3);
 * assertEquals([error.reason, error.exitCode], ["exit", 3]);
 * ```
 */
export class WorkerCrashError extends TaskError {
  /** The name of the class. */
  override get name(): string {
    return "WorkerCrashError";
  }
  /** Why the worker ended. */
  readonly reason: CrashReason;
  /** The exit code of the worker, null if it has none. */
  readonly exitCode: number | null;

  /** Creates the error with the reason and the exit code. */
  constructor(message: string, reason: CrashReason, exitCode: number | null, options: TaskErrorOptions = {}) {
    super(message, options);
    this.reason = reason;
    this.exitCode = exitCode;
  }
}

/**
 * The task was cancelled: its signal aborted, the loop over its `map` was left, or the pool was terminated or dropped
 * what waits. The `cause` is the reason that was given.
 *
 * @example Usage
 * ```ts
 * import { TaskCancelledError } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new TaskCancelledError("Task 1 was cancelled", { cause: "enough" }).cause, "enough");
 * ```
 */
export class TaskCancelledError extends TaskError {
  /** The name of the class. */
  override get name(): string {
    return "TaskCancelledError";
  }

  /** Creates the error. */
  constructor(message: string, options: TaskErrorOptions = {}) {
    super(message, options);
  }
}

/**
 * Thrown by `push` when the queue holds `maxQueue` tasks. Await `room()` before pushing.
 *
 * @example Usage
 * ```ts
 * import { QueueFullError } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new QueueFullError("Cannot push a task: the queue is full").name, "QueueFullError");
 * ```
 */
export class QueueFullError extends Error {
  /** The name of the class. */
  override get name(): string {
    return "QueueFullError";
  }
}

/**
 * The pool cannot do that now: it has not been started, or it has been stopped.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess, PoolStateError } from "@cm/multiprocess";
 * import { assertThrows } from "@std/assert";
 *
 * const mp = new MultiProcess(1);
 * assertThrows(() => mp.push(new InfoTask("./task.ts", 1_000)), PoolStateError, "not started");
 * ```
 */
export class PoolStateError extends Error {
  /** The name of the class. */
  override get name(): string {
    return "PoolStateError";
  }
}
