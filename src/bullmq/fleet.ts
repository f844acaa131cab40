import type { BoundTask } from "../bound_task.ts";
import { type BindTarget, bindTask } from "../entry/bind.ts";
import { Pool } from "../entry/pool.ts";
import { PoolStateError } from "../errors.ts";
import type { PoolEvent } from "../events.ts";
import type { InfoTask, ProgressOf, ResultOf, ValueOf, YieldOf } from "../info_task.ts";
import type { BindOptions, MapOptions, PushOptions } from "../options.ts";
import type { MapOutcome, Outcome, Stats, Summary } from "../outcome.ts";
import type { TaskPool } from "../task_pool.ts";
import type { FleetOptions } from "./options.ts";
import { QueueClient } from "./queue_client.ts";
import { readFleetOptions } from "./read_options.ts";

/**
 * A pool of all machines that serve a queue: the same `push`, outcomes and callbacks as a `MultiProcess`, with tasks that
 * run elsewhere, and whose outcomes come also after this process was restarted.
 *
 * Every task that `flush()` has confirmed is run at least once, and more than once only where a machine died, froze or
 * was cut off: tasks should be idempotent. Every push gets exactly one outcome as long as this process lives.
 *
 * @example Usage
 * ```ts ignore
 * import { InfoTask } from "@cm/multiprocess";
 * import { Fleet } from "@cm/multiprocess/bullmq";
 *
 * await using mp = new Fleet({
 *   queue: "images",
 *   name: "web-1",
 *   root: import.meta.resolve("./tasks/"),
 *   connection: "redis://redis:6379",
 * });
 * mp.start();
 * const hash = new InfoTask<typeof import("./tasks/hash.ts")>(import.meta.resolve("./tasks/hash.ts"), 5_000, "a.png");
 * const outcome = await mp.push(hash);
 * ```
 */
export class Fleet implements TaskPool {
  readonly #pool: Pool<this>;
  #client: QueueClient | undefined;

  /**
   * Creates a pool. Nothing is started yet, and nothing is connected.
   *
   * @param options The queue, the name of this producer, the folder of the task modules, where the queue is, and more.
   * @throws {TypeError} If an option is missing, unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value, such as a `root` that is no folder.
   */
  constructor(options: FleetOptions) {
    const settings = readFleetOptions(options);
    this.#pool = new Pool(this, settings.entry, (events) => this.#client = new QueueClient(settings, events));
  }

  /**
   * Connects. Pushing need not wait for it: what is pushed waits here until the queue has been reached. Called twice,
   * gives the same promise.
   *
   * @returns Resolves when outcomes can arrive.
   * @throws {PoolStateError} (as a rejection) If the pool has been stopped, or a start before has failed.
   * @throws {Error} (as a rejection) If the queue does not answer within `connectTimeout`, or refuses, or another
   * producer that lives has this name (a dead one's connection may linger, so that is tried for 5 s). Then the pool is
   * closed, and tasks that were pushed are `crashed`.
   */
  start(): Promise<this> {
    return this.#pool.start();
  }

  /**
   * Queues a task. Its arguments are taken as they are now; buffers named in `transfer` are copied all the same. The
   * promise never rejects, so it may be ignored.
   *
   * A module that no machine may run, and arguments over `maxBytes`, give that one task a `failed` outcome. `priority` is
   * a class of its own, rounded to a whole number from -1 048 575 to 1 048 575: waiting gains nothing. In outcomes
   * `workerId` counts on the machine that ran the task, and a cancelled task is told as one that never ran.
   *
   * @param task What to run.
   * @param options Callbacks, signal, priority and more.
   * @returns Resolves with the one outcome of the task, after the callback was called.
   * @throws {PoolStateError} If the pool has not been started, or has been stopped.
   * @throws {QueueFullError} If `maxQueue` tasks of this producer have no outcome yet.
   * @throws {TypeError} If the task is not an `InfoTask`, or an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   */
  push<T extends InfoTask>(
    task: T,
    options?: PushOptions<ValueOf<T>, ProgressOf<T>>,
  ): Promise<Outcome<ValueOf<T>>> {
    return this.#pool.push(task, options) as Promise<Outcome<ValueOf<T>>>;
  }

  /**
   * Queues a task like `push`, and gives its value.
   *
   * @param task What to run.
   * @param options Callbacks, signal, priority and more.
   * @returns Resolves with the value of the task; rejects with the error of its outcome.
   */
  run<T extends InfoTask>(task: T, options?: PushOptions<ValueOf<T>, ProgressOf<T>>): Promise<ValueOf<T>> {
    return this.#pool.run(task, options) as Promise<ValueOf<T>>;
  }

  /**
   * Runs a task for every input, and gives their outcomes: see `MultiProcess.map`. 64 are in flight at most, unless
   * `concurrency` says otherwise.
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
    options: MapOptions<ValueOf<T>, NoInfer<I>, ProgressOf<T>> = {},
  ): AsyncGenerator<MapOutcome<ValueOf<T>, I>, void, undefined> {
    return this.#pool.map(inputs, toTask, options) as never;
  }

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
    options: MapOptions<ValueOf<T>, NoInfer<I>, ProgressOf<T>> = {},
  ): AsyncGenerator<ValueOf<T>, void, undefined> {
    return this.#pool.mapValues(inputs, toTask, options) as never;
  }

  /**
   * Makes a function of a task: calling it runs the task with the arguments, as `run` does. Its `push`, `map` and
   * `mapValues` do as those of the pool, and `with` gives the same task with other options, for one call or for many.
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
  ): BoundTask<M> {
    return bindTask(this as BindTarget, specifier, options) as BoundTask<M>;
  }

  /**
   * Back-pressure for `push`.
   *
   * @returns Resolves when fewer than `maxQueue` tasks of this producer have no outcome.
   * @throws {PoolStateError} (as a rejection) If the pool ends, or has not been started.
   */
  room(): Promise<void> {
    return this.#pool.room();
  }

  /**
   * Waits until all that was pushed is in the queue: from then on it survives this process.
   *
   * @returns Resolves when it is.
   * @throws {PoolStateError} (as a rejection) If the pool has not been started, or ends before.
   */
  async flush(): Promise<void> {
    if (this.#client === undefined) {
      throw new PoolStateError("Cannot flush: the pool is not started; call start() first");
    }
    await this.#client.flushed();
  }

  /**
   * Leaves: flushes, takes no more tasks, and closes everything without waiting. What has no outcome goes on, and its
   * outcome waits for the next producer of this name, which calls the callbacks of its module. The promises of these
   * tasks stay pending, as closures are gone with this life.
   *
   * @returns Resolves when all is in the queue, and nothing of this pool is left here.
   * @throws {PoolStateError} (as a rejection) If the pool is ended before all is in the queue.
   */
  detach(): Promise<void> {
    return this.#pool.detach(() => this.flush());
  }

  /**
   * How many machines serve the queue: 0 tells why nothing happens.
   *
   * @returns Their number, 0 before the start and after the end.
   */
  async machines(): Promise<number> {
    return await this.#client?.machines() ?? 0;
  }

  /**
   * A snapshot: `queued` and `running` of the whole queue, `outcomes` and `callbackErrors` of this producer. All else is
   * the machines', and 0.
   *
   * @returns Tasks by state, outcomes by status.
   */
  stats(): Promise<Stats> {
    return this.#pool.stats();
  }

  /**
   * What happens in this pool from now on: `pushed`, `progress` and `settled`. What machines do is not told.
   *
   * @returns Events as they come.
   */
  events(): AsyncIterableIterator<PoolEvent> {
    return this.#pool.events();
  }

  /**
   * Takes no more tasks, waits for every outcome and every callback, and closes everything. Machines go on. Idempotent.
   * Must not be awaited inside a callback: it would wait for itself.
   *
   * @returns Resolves with what this producer did in its life; outcomes of an earlier life count as pushed in this.
   */
  stop(): Promise<Summary> {
    return this.#pool.stop();
  }

  /**
   * Ends everything now: tasks without an outcome get `cancelled`, leave the queue, and are stopped where they run. Many
   * thousands of tasks leave the queue behind that; machines that take one of them drop it.
   *
   * @param reason The `cause` of the `TaskCancelledError` that the tasks get.
   * @returns Resolves within a second with what this producer did in its life.
   */
  terminate(reason?: unknown): Promise<Summary> {
    return this.#pool.terminate(reason);
  }

  /** {@linkcode Fleet.stop}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
