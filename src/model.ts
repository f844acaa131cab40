import type { TaskContext } from "./context.ts";
import type { Outcome } from "./outcome.ts";

/**
 * Base class for tasks written as classes. Export the subclass from its module and name it in the task's
 * specifier: `new InfoTask(import.meta.resolve("./demo.ts#Demo"), 1_000)`.
 *
 * A new instance runs each task, in a worker; another new instance receives the callback, on your thread.
 *
 * @example Usage
 * ```ts
 * import { Model } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * export class Double extends Model {
 *   override runnable(n: number): number {
 *     return 2 * n;
 *   }
 *   override callback(result: number): void {
 *     console.log(result);
 *   }
 * }
 *
 * assertEquals(new Double().runnable(21), 42);
 * ```
 */
export abstract class Model {
  /** What the task knows about itself. Set in the worker before `runnable` is called, undefined on your thread. */
  declare readonly context: TaskContext;

  /** Runs in a worker, with the task's arguments. May be async. What it returns is the task's value. */
  abstract runnable(...args: never[]): unknown;

  /** Runs on your thread when the task ends with a value. May be async. */
  callback?(value: never, outcome: Outcome): unknown;

  /** Runs on your thread when the task ends in any other way. May be async. */
  errorCallback?(error: Error, outcome: Outcome): unknown;
}
