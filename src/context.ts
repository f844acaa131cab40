/**
 * What a running task knows of itself: `this` in a function, `this.context` in an object or a `Model`.
 *
 * @example Usage
 * ```ts
 * import type { TaskContext } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * function runnable(this: TaskContext, n: number): string {
 *   return `task ${this.taskId}, attempt ${this.attempt}: ${n}`;
 * }
 *
 * const context: TaskContext = {
 *   taskId: 1,
 *   attempt: 1,
 *   signal: new AbortController().signal,
 *   progress: () => {},
 * };
 * assertEquals(runnable.call(context, 2), "task 1, attempt 1: 2");
 * ```
 */
export interface TaskContext {
  /** The id of the task in its pool; counts from 1. */
  readonly taskId: number;
  /** 1 for the first run of the task, 2 for its first retry. */
  readonly attempt: number;
  /** Aborts at the task's `softTimeout` and when the task is stopped, for tasks that can finish cleanly. */
  readonly signal: AbortSignal;
  /** Reports progress to the `onProgress` of the push. The value is cloned; one that would not arrive is refused. */
  progress(value: unknown): void;
}
