/**
 * A task pool in which every task ends, once, on time.
 *
 * You push a task: a module, its time limit in milliseconds and its arguments. A dispatcher off the main thread runs
 * it on a pool of workers. It gets exactly one outcome, no later than its limit, and the matching callback fires. A
 * task that hangs, throws or exits harms no other: its worker is stopped and a warm spare takes its place.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * await using mp = new MultiProcess(2);
 * mp.start();
 *
 * const task = "data:text/javascript,export const runnable = (text) => text.length";
 * assertEquals(await mp.run(new InfoTask(task, 1_000, "hello")), 5);
 * ```
 *
 * @module
 */
export type { BoundTask, InputOf, InputsOf } from "./src/bound_task.ts";
export type { TaskContext } from "./src/context.ts";
export {
  type CrashReason,
  PoolStateError,
  QueueFullError,
  TaskCancelledError,
  TaskError,
  type TaskErrorOptions,
  TaskLoadError,
  TaskTimeoutError,
  WorkerCrashError,
} from "./src/errors.ts";
export type { PoolEvent } from "./src/events.ts";
export {
  type ArgsOf,
  InfoTask,
  type ProgressOf,
  type ResultOf,
  type RunnableOf,
  type ValueOf,
  type YieldOf,
} from "./src/info_task.ts";
export { Model } from "./src/model.ts";
export { MultiProcess } from "./src/multi_process.ts";
export type {
  BindOptions,
  Initializer,
  MapOptions,
  MultiProcessOptions,
  PushOptions,
  RetryOptions,
  StopOptions,
} from "./src/options.ts";
export type {
  ErrorOutcome,
  MapFacts,
  MapOutcome,
  OkOutcome,
  Outcome,
  OutcomeFacts,
  Percentiles,
  Stats,
  Status,
  Summary,
} from "./src/outcome.ts";
export type { Permission, PermissionName, Permissions, PermissionSet } from "./src/permissions.ts";
export type { TaskPool } from "./src/task_pool.ts";
export { transfer } from "./src/transfer.ts";
