import { type BindTarget, bindTask } from "./entry/bind.ts";
import { connectDispatcher } from "./entry/connect.ts";
import { Pool } from "./entry/pool.ts";
import { type PoolOptions, readPoolOptions, resizeOptions, sizesOf } from "./entry/read_options.ts";
import type { PoolEvent } from "./events.ts";
import type { BoundTask } from "./bound_task.ts";
import type { InfoTask, ProgressOf, ResultOf, ValueOf, YieldOf } from "./info_task.ts";
import type { BindOptions, MapOptions, MultiProcessOptions, PushOptions, StopOptions } from "./options.ts";
import type { MapOutcome, Outcome, Stats, Summary } from "./outcome.ts";
import type { TaskPool } from "./task_pool.ts";

/**
 * A pool that runs tasks off the main thread, and in which every task ends, once, on time.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * await using mp = new MultiProcess(2);
 * mp.start();
 *
 * const double = "data:text/javascript,export const runnable = (n) => 2 * n";
 * const outcome = await mp.push(new InfoTask(double, 1_000, 21));
 * assertEquals(outcome.status === "ok" && outcome.value, 42);
 *
 * const hang = "data:text/javascript,export function runnable() { while (true); }";
 * assertEquals((await mp.push(new InfoTask(hang, 50))).status, "timed-out");
 * ```
 */
export class MultiProcess implements TaskPool {
  readonly #pool: Pool<this>;
  readonly #options: PoolOptions;

  /**
   * Creates a pool. Nothing is started yet.
   *
   * @param options How many tasks run at once, or the options. Default: the number of cores.
   * @throws {TypeError} If an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   * @throws {Deno.errors.NotCapable} If `permissions` asks for what this process may not do itself.
   */
  constructor(options?: number | MultiProcessOptions) {
    const checked = this.#options = readPoolOptions(options);
    this.#pool = new Pool(this, { ...checked, concurrency: 2 * checked.size }, connectDispatcher(checked));
  }

  /**
   * Starts the dispatcher and warms the pool. Pushing need not wait for it. Calling it twice gives the same promise.
   *
   * @returns Resolves when the pool is warm.
   * @throws {PoolStateError} (as a rejection) If the pool has been stopped, or an earlier start failed (then with its
   * `cause`). Rejects with the cause if the workers cannot be started; then the pool is closed.
   */
  start(): Promise<this> {
    return this.#pool.start();
  }

  /**
   * Queues a task. Its arguments are taken as they are now. The promise never rejects, so it may be ignored: of a module
   * that cannot be loaded, and of which no `errorCallback` hears, one line on stderr tells.
   *
   * What is pushed in one turn of the event loop leaves when the turn ends: a turn that pushes and then blocks the
   * thread delays its own tasks.
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
  ): Promise<Outcome<ValueOf<T>>> {
    return this.#pool.push(task, options) as Promise<Outcome<ValueOf<T>>>;
  }

  /**
   * Queues a task like `push`, and gives its value.
   *
   * @param task What to run.
   * @param options Callbacks, signal, priority and more.
   * @returns Resolves with the value of the task; rejects with the error of its outcome, and with what `push` throws.
   */
  run<T extends InfoTask>(task: T, options?: PushOptions<ValueOf<T>, ProgressOf<T>>): Promise<ValueOf<T>> {
    return this.#pool.run(task, options) as Promise<ValueOf<T>>;
  }

  /**
   * Runs a task for every input, and gives their outcomes.
   *
   * Inputs are pulled one by one, only while fewer than `concurrency` tasks are in flight, so they may be infinite.
   * A task that fails is an outcome like others and does not end the loop. Leaving the loop early (`break`, `return`,
   * an error), a source or `toTask` that throws, and an aborted `signal` cancel what is in flight.
   *
   * What is returned acts at once where an async generator would wait: `return()` cancels and tells the source also
   * while a `next()` is pending. So a `ReadableStream.from(mp.map(…))` stops when its reader goes.
   *
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * await using mp = new MultiProcess(2);
   * mp.start();
   *
   * const double = "data:text/javascript,export const runnable = (n) => 2 * n";
   * const values: unknown[] = [];
   * for await (const outcome of mp.map([1, 2, 3], (n) => new InfoTask(double, 1_000, n))) {
   *   values.push([outcome.input, outcome.status === "ok" && outcome.value]);
   * }
   * assertEquals(values, [[1, 2], [2, 4], [3, 6]]);
   * ```
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
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * await using mp = new MultiProcess(2);
   * mp.start();
   *
   * const double = "data:text/javascript,export const runnable = (n) => 2 * n";
   * const values = await Array.fromAsync(mp.mapValues([1, 2, 3], (n) => new InfoTask(double, 1_000, n)));
   * assertEquals(values, [2, 4, 6]);
   * ```
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
   * Name the type of the module, or of the export, to have it typed:
   * `mp.bind<typeof import("./hash.ts")>(import.meta.resolve("./hash.ts"), { timeout: 5_000 })`.
   *
   * The pool need not be started for that.
   *
   * @example Usage
   * ```ts
   * import { MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * await using mp = new MultiProcess(2);
   * mp.start();
   *
   * type Module = { runnable(a: number, b: number): number };
   * const add = mp.bind<Module>("data:text/javascript,export const runnable = (a, b) => a + b", { timeout: 1_000 });
   *
   * assertEquals(await add(1, 2), 3);
   * const outcome = await add.with({ timeout: 50, label: "a sum" }).push(3, 4);
   * assertEquals(outcome.status === "ok" && outcome.value, 7);
   * ```
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
   * @returns Resolves when the queue has room, which is at once unless it is full.
   * @throws {PoolStateError} (as a rejection) If the pool ends, or has not been started.
   */
  room(): Promise<void> {
    return this.#pool.room();
  }

  /** How many tasks run at once: the option, or what `resize` made of it. */
  get size(): number {
    return this.#pool.size;
  }

  /**
   * How many tasks run, as far as this thread knows, which need not ask for it: those without an outcome, as many as the
   * pool has places. `stats()` asks, and tells those apart that wait for a worker to start, or for their next attempt.
   */
  get running(): number {
    return this.#pool.running;
  }

  /**
   * How many tasks wait, as far as this thread knows: those without an outcome beyond the size of the pool, which is what
   * `maxQueue` limits.
   *
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * await using mp = new MultiProcess(2);
   * mp.start();
   *
   * for (let n = 0; n < 5; n++) mp.push(InfoTask.inline((n) => n, 1_000, n));
   * assertEquals([mp.size, mp.running, mp.queued], [2, 2, 3]);
   * ```
   */
  get queued(): number {
    return this.#pool.queued;
  }

  /**
   * A snapshot of the pool. Always works; before the start all is zero, after the end nothing changes any more.
   *
   * @returns Workers by state, tasks by state, outcomes by status, times.
   */
  stats(): Promise<Stats> {
    return this.#pool.stats();
  }

  /**
   * Changes how many tasks run at once. Workers that are too many end: idle ones now, busy ones after their task.
   * What followed the size by default follows it still: `minSize`, `maxZombies` and `maxRestarts`, and how many tasks of
   * a `map` that begins later are in flight.
   *
   * Can be called at any time before the pool has ended.
   *
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * await using mp = new MultiProcess(1);
   * await mp.start();
   * mp.resize(2);
   *
   * const nap = "data:text/javascript,export const runnable = (ms) => new Promise((end) => setTimeout(end, ms))";
   * for (let i = 0; i < 3; i++) mp.push(new InfoTask(nap, Infinity, 60_000));
   * while ((await mp.stats()).running < 2);
   * const { cancelled } = await mp.terminate();
   * assertEquals(cancelled, 3);
   * ```
   *
   * @param size How many tasks run at once.
   * @throws {TypeError} If it is no number.
   * @throws {RangeError} If it is no integer of at least 1, or smaller than the `minSize` that was given.
   * @throws {PoolStateError} If the pool has ended.
   */
  resize(size: number): void {
    resizeOptions(this.#options, size);
    this.#pool.resize(sizesOf(this.#options));
  }

  /**
   * Replaces every worker, for new code or a new configuration: a worker keeps the modules that it has loaded, and what
   * its initializer made. There is no gap: each works on until a new one is ready to take its place, a running task goes
   * on to its end, and the queue is not touched.
   *
   * A callback of a task's module runs where the pool was made, where the module stays what it was when it was loaded.
   *
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   * import { toFileUrl } from "@std/path";
   *
   * const file = await Deno.makeTempFile({ suffix: ".js" });
   * const module = toFileUrl(file).href;
   * await Deno.writeTextFile(file, "export const runnable = () => 'old'");
   *
   * await using mp = new MultiProcess(1);
   * mp.start();
   * assertEquals(await mp.run(new InfoTask(module, 5_000)), "old");
   *
   * await Deno.writeTextFile(file, "export const runnable = () => 'new'");
   * await mp.renew();
   * assertEquals(await mp.run(new InfoTask(module, 5_000)), "new");
   * ```
   *
   * @returns Resolves when no worker from before begins another task, or the pool has ended. At once before the start.
   * @throws {PoolStateError} (as a rejection) If the pool has ended before.
   */
  renew(): Promise<void> {
    return this.#pool.renew();
  }

  /**
   * Takes no more tasks, waits for every outcome and every callback (also async ones, up to `callbackTimeout`), and
   * closes everything. Idempotent. Must not be awaited inside a callback: it would wait for itself.
   *
   * On Deno a pool that was started keeps the process alive until it is stopped, also when it has nothing to do. `deno serve`
   * ends by itself on SIGTERM, when nothing is left to be done: with a pool at its top level it needs to be told,
   * `Deno.addSignalListener("SIGTERM", () => void mp.stop())`. Requests that are being answered then still are.
   *
   * With `waiting: "cancel"` only what runs is waited for: see {@linkcode MultiProcess.cancelWaiting}. That can also be
   * said of a pool that is stopping.
   *
   * @example Finish what runs, drop what waits
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * const mp = new MultiProcess(1);
   * await mp.start();
   * const nap = "data:text/javascript,export const runnable = (ms) => new Promise((end) => setTimeout(end, ms))";
   * const running = Promise.withResolvers<void>();
   * (async () => {
   *   for await (const { type } of mp.events()) if (type === "started") running.resolve();
   * })();
   * for (let i = 0; i < 10; i++) mp.push(new InfoTask(nap, 10_000, 500));
   * await running.promise;
   *
   * const { ok, cancelled } = await mp.stop({ waiting: "cancel" });
   * assertEquals([ok, cancelled], [1, 9]);
   * ```
   *
   * On Node and Bun a pool that nobody waits for does not keep the program running: when nothing else does, it is stopped.
   *
   * @param options What becomes of tasks that wait.
   * @returns Resolves with what the pool did in its life.
   * @throws {TypeError} If an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   */
  stop(options?: StopOptions): Promise<Summary> {
    return this.#pool.stop(options);
  }

  /**
   * Cancels what waits, and lives on: nothing that was pushed before begins any more. What is queued, waits for its next
   * attempt, or was handed to a worker that has not begun it is `cancelled`. What runs goes on, but is not tried again;
   * a process that was sent a task counts as having begun it. A `map` goes on with its next inputs.
   *
   * Works at any time, also while the pool stops; where nothing waits it does nothing.
   *
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals, assertInstanceOf } from "@std/assert";
   *
   * await using mp = new MultiProcess(1);
   * await mp.start();
   * const nap = "data:text/javascript,export const runnable = (ms) => new Promise((end) => setTimeout(end, ms, ms))";
   * const first = mp.run(new InfoTask(nap, 10_000, 500));
   * while ((await mp.stats()).running === 0);
   * const second = mp.push(new InfoTask(nap, 10_000, 1));
   *
   * assertEquals(await mp.cancelWaiting(new Error("The user left")), 1);
   * const outcome = await second;
   * assertEquals(outcome.status, "cancelled");
   * assertInstanceOf(outcome.status === "cancelled" && outcome.error.cause, Error);
   * assertEquals(await first, 500);
   * assertEquals(await mp.run(new InfoTask(nap, 10_000, 2)), 2);
   * ```
   *
   * @param reason The `cause` of the `TaskCancelledError` that they get.
   * @returns Resolves with how many were cancelled, when they have their outcomes.
   */
  cancelWaiting(reason?: unknown): Promise<number> {
    return this.#pool.cancelWaiting(reason);
  }

  /**
   * Ends everything now: queued and running tasks get `cancelled`, workers are killed.
   *
   * @param reason The `cause` of the `TaskCancelledError` that the tasks get.
   * @returns Resolves within a second, also with a million tasks pushed, with what the pool did in its life. Later where
   * very many of them were pushed by `run`, or with options: each of those needs an error at once.
   */
  terminate(reason?: unknown): Promise<Summary> {
    return this.#pool.terminate(reason);
  }

  /** {@linkcode MultiProcess.stop}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * What happens in the pool from now on: enough to draw every worker's time line. Ends when the pool does. Costs
   * nothing while nobody watches; events are kept until they are taken.
   *
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * const mp = new MultiProcess(1);
   * const events = mp.events();
   * mp.start();
   * mp.push(new InfoTask("data:text/javascript,export const runnable = () => 1", 1_000));
   * await mp.stop();
   *
   * const types = (await Array.fromAsync(events)).map(({ type }) => type);
   * assertEquals(types.filter((type) => type === "pushed" || type === "settled"), ["pushed", "settled"]);
   * ```
   *
   * @returns Events as they come.
   */
  events(): AsyncIterableIterator<PoolEvent> {
    return this.#pool.events();
  }
}
