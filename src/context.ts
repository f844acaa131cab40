/**
 * What a running task knows about itself: `this` in a function, `this.context` in an object or a `Model`.
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
 *   slot: 1,
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
  /**
   * The task's place in the pool, from 1 to its size: for a port, a GPU or a temporary folder. No two tasks that run at the
   * same moment have the same, and a worker gets the one that it had before where that is free.
   *
   * A task that was stopped has its outcome, but its code may still be running: up to some hundred milliseconds in a
   * thread, some ten in a process, and as long as its `cancelGrace` or `timeoutGrace` lasts. Until it has ended its slot
   * goes to another task only where all others are taken; what two must never have at once needs a lock of its own, or
   * a pool that has a place more than tasks at once.
   */
  readonly slot: number;
  /** Aborts at the task's `softTimeout` and when the task is stopped, for tasks that can finish cleanly. */
  readonly signal: AbortSignal;
  /** Reports progress to the `onProgress` of the push. The value is cloned; what would not arrive is refused. */
  progress(value: unknown): void;
}
