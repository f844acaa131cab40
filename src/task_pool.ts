import type { PoolEvent } from "./events.ts";
import type { BoundTask } from "./bound_task.ts";
import type { InfoTask, ProgressOf, ResultOf, ValueOf, YieldOf } from "./info_task.ts";
import type { BindOptions, MapOptions, PushOptions } from "./options.ts";
import type { MapOutcome, Outcome, Stats, Summary } from "./outcome.ts";

/**
 * What every pool does, wherever its tasks run: a `MultiProcess` on this machine, a `Fleet` on many. A function that
 * takes a `TaskPool` takes either.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess, type TaskPool } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * const double = "data:text/javascript,export const runnable = (n) => 2 * n";
 *
 * async function doubled(pool: TaskPool, n: number): Promise<unknown> {
 *   return await pool.run(new InfoTask(double, 1_000, n));
 * }
 *
 * await using mp = new MultiProcess(1);
 * mp.start();
 * assertEquals(await doubled(mp, 21), 42);
 * ```
 */
export interface TaskPool extends AsyncDisposable {
  /**
   * Starts the pool. Pushing need not wait for it. Calling it twice gives the same promise.
   *
   * @returns Resolves when the pool is warm, or can hear of outcomes.
   * @throws {PoolStateError} (as a rejection) If the pool has been stopped, or an earlier start failed.
   */
  start(): Promise<this>;

  /**
   * Queues a task. Its arguments are taken as they are now. The promise never rejects, so it may be ignored.
   *
   * @param task What to run.
   * @param options Callbacks, signal, priority and more.
   * @returns Resolves with the one outcome of the task, after the callback was called.
   * @throws {PoolStateError} If the pool has not been started, or has been stopped.
   * @throws {QueueFullError} If `maxQueue` tasks are waiting.
   * @throws {TypeError} If the task is not an `InfoTask`, or an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   */
  push<T extends InfoTask>(
    task: T,
    options?: PushOptions<ValueOf<T>, ProgressOf<T>>,
  ): Promise<Outcome<ValueOf<T>>>;

  /**
   * Queues a task like `push`, and gives its value.
   *
   * @param task What to run.
   * @param options Callbacks, signal, priority and more.
   * @returns Resolves with the value of the task; rejects with the error of its outcome, and with what `push` throws.
   */
  run<T extends InfoTask>(task: T, options?: PushOptions<ValueOf<T>, ProgressOf<T>>): Promise<ValueOf<T>>;

  /**
   * Runs a task for every input, and gives their outcomes. Inputs are pulled one by one, only while fewer than
   * `concurrency` tasks are in flight. Leaving the loop early cancels what is in flight.
   *
   * @param inputs Any iterable, also async or infinite.
   * @param toTask Makes the task for an input.
   * @param options Options for every push, `ordered` and `concurrency`.
   * @returns The outcomes, each with its `input` and `index`, in the order of the inputs, or as they complete with
   * `ordered: false`.
   * @throws {PoolStateError} If the pool has not been started, or has been stopped.
   * @throws {TypeError} If the inputs cannot be iterated, or an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   */
  map<I, T extends InfoTask>(
    inputs: Iterable<I> | AsyncIterable<I>,
    toTask: (input: I) => T,
    options?: MapOptions<ValueOf<T>, NoInfer<I>, ProgressOf<T>>,
  ): AsyncGenerator<MapOutcome<ValueOf<T>, I>, void, undefined>;

  /**
   * Runs a task for every input like `map`, and gives their values. The first outcome that is not `ok` ends it: what is
   * in flight is cancelled, and the loop throws its error.
   *
   * @param inputs Any iterable, also async or infinite.
   * @param toTask Makes the task for an input.
   * @param options Options for every push, `ordered` and `concurrency`.
   * @returns The values, in the order of the inputs, or as they come with `ordered: false`.
   * @throws {PoolStateError} If the pool has not been started, or has been stopped.
   * @throws {TypeError} If the inputs cannot be iterated, or an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   */
  mapValues<I, T extends InfoTask>(
    inputs: Iterable<I> | AsyncIterable<I>,
    toTask: (input: I) => T,
    options?: MapOptions<ValueOf<T>, NoInfer<I>, ProgressOf<T>>,
  ): AsyncGenerator<ValueOf<T>, void, undefined>;

  /**
   * Makes a function of a task: calling it runs the task with the arguments, as `run` does. Its `push`, `map` and
   * `mapValues` do as those of the pool, and `with` gives the same task with other options, for one call or for many.
   *
   * Name the type of the module, or of the export, to have it typed:
   * `mp.bind<typeof import("./hash.ts")>(import.meta.resolve("./hash.ts"), { timeout: 5_000 })`.
   *
   * The pool need not be started for that.
   *
   * @param specifier The module, as for `new InfoTask`.
   * @param options The time limit of every call, and what `push` takes.
   * @returns The function.
   * @throws {TypeError} If the specifier is none, `timeout` is missing, or an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   */
  bind<M = unknown>(
    specifier: string | URL,
    options: BindOptions<ResultOf<M>, YieldOf<M>>,
  ): BoundTask<M>;

  /**
   * Back-pressure for `push`.
   *
   * @returns Resolves when the queue has room, which is at once unless it is full.
   * @throws {PoolStateError} (as a rejection) If the pool ends, or has not been started.
   */
  room(): Promise<void>;

  /** A snapshot of the pool. Always works. */
  stats(): Promise<Stats>;

  /** What happens in the pool from now on. Ends when the pool does. */
  events(): AsyncIterableIterator<PoolEvent>;

  /**
   * Takes no more tasks, waits for every outcome and every callback, and closes everything. Idempotent. Must not be
   * awaited inside a callback: it would wait for itself.
   *
   * @returns Resolves with what the pool did in its life.
   */
  stop(): Promise<Summary>;

  /**
   * Ends everything now: tasks without an outcome get `cancelled`.
   *
   * @param reason The `cause` of the `TaskCancelledError` that the tasks get.
   * @returns Resolves within a second with what the pool did in its life.
   */
  terminate(reason?: unknown): Promise<Summary>;
}
