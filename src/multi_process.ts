import { Callbacks } from "./entry/callbacks.ts";
import { DispatcherClient } from "./entry/dispatcher_client.ts";
import { rebuildError } from "./wire/error_data.ts";
import { PoolStateError, QueueFullError, WorkerCrashError } from "./errors.ts";
import { EventHub, type PoolEvent } from "./events.ts";
import { mapOutcomes, type MapTarget } from "./entry/map.ts";
import { InfoTask, show, type ValueOf } from "./info_task.ts";
import { now } from "./wire/now.ts";
import {
  type CheckedPushOptions,
  type MapOptions,
  type MultiProcessOptions,
  type PoolOptions,
  type PushOptions,
  readMapOptions,
  readPoolOptions,
  readPushOptions,
} from "./options.ts";
import type { ErrorOutcome, Outcome, Stats, Status, Summary } from "./outcome.ts";
import { cancelled, errorOf, neverRan, shortName, withTask } from "./entry/outcome_error.ts";
import { type Extras, type Pending, PendingTable, type Resolve } from "./entry/pending.ts";
import type { OutcomeData, StatsData, ToEntry } from "./wire/protocol.ts";
import { Rooms } from "./entry/rooms.ts";
import { findConfig } from "./runtime/child_config.ts";
import { chooseIsolation } from "./runtime/isolation.ts";
import { childPermissions } from "./runtime/permissions.ts";
import { within } from "./util/within.ts";

/** How long `terminate()` waits for the pool to end in order, in milliseconds, before it ends it anyhow. */
const TERMINATE_MS = 800;
/** How long `terminate()` waits for the word of which tasks were running. */
const TELL_MS = 300;
/** How long `stop()` waits for the workers to end once all tasks have. */
const STOP_MS = 3_000;
/** How often a dispatcher that died is started again, within a minute. */
const MAX_DISPATCHER_RESTARTS = 3;

/** A pool that takes no more tasks. */
interface Ending {
  phase: "stopping" | "terminating" | "ended";
  why: string;
  /** What kept it from going on, or the reason given to `terminate()`. */
  cause: unknown;
}

type State = { phase: "new" | "running" } | Ending;

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
export class MultiProcess implements AsyncDisposable {
  readonly #options: PoolOptions;
  readonly #callbacks: Callbacks;
  readonly #pending = new PendingTable();
  readonly #counts: Record<Status, number> = { ok: 0, failed: 0, "timed-out": 0, crashed: 0, cancelled: 0 };
  readonly #requests = new Map<number, (stats: StatsData) => void>();
  readonly #inspections = new Map<string, PromiseWithResolvers<number>>();
  readonly #events = new EventHub((watched) => this.#client?.post({ type: "watch-events", on: watched }));
  #state: State = { phase: "new" };
  #client: DispatcherClient | undefined;
  readonly #started = Promise.withResolvers<this>();
  /** However the pool ends: by itself, stopped or terminated, or one after the other. */
  readonly #ended = Promise.withResolvers<Summary>();
  #startedAt = 0;
  #pushed = 0;
  #request = 0;
  #lastStats: StatsData = emptyStats();
  /** Who waits for the last outcome. */
  #drained: PromiseWithResolvers<void> | undefined;
  readonly #rooms = new Rooms(() => this.#free());
  /** The end of every dispatcher that there was. */
  #closing: Promise<unknown> = Promise.resolve();
  #deaths: number[] = [];
  /** It was warm once: a dispatcher that dies before will die again. */
  #warm = false;

  /**
   * Creates a pool. Nothing is started yet.
   *
   * @param options How many tasks run at once, or the options. Default: the number of cores.
   * @throws {TypeError} If an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   * @throws {Deno.errors.NotCapable} If `permissions` asks for what this process may not do itself.
   */
  constructor(options?: number | MultiProcessOptions) {
    this.#options = readPoolOptions(options);
    // Asks for too much: better said now than at the start.
    if (this.#options.permissions !== undefined) childPermissions(this.#options.permissions);
    this.#callbacks = new Callbacks((specifier) => this.#inspect(specifier), this.#options);
    // Who does not wait for it learns of a failure by the outcomes.
    this.#started.promise.catch(() => {});
  }

  /**
   * Starts the dispatcher and warms the pool. Pushing need not wait for it. Called twice, gives the same promise.
   *
   * @returns Resolves when the pool is warm.
   * @throws {PoolStateError} (as a rejection) If the pool has been stopped, or a start before has failed (then with its
   * `cause`). Rejects with the cause if the workers cannot be started; then the pool is closed.
   */
  start(): Promise<this> {
    if (this.#state.phase === "new") {
      this.#startedAt = performance.now();
      this.#state = { phase: "running" };
      this.#connect();
    } else if (this.#state.phase !== "running") {
      return Promise.reject(this.#refusal("Cannot start the pool"));
    }
    return this.#started.promise;
  }

  /**
   * Queues a task. Its arguments are taken as they are now. The promise never rejects, so it may be ignored.
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
  push<T extends InfoTask>(task: T, options?: PushOptions<ValueOf<T>>): Promise<Outcome<ValueOf<T>>> {
    const checked = this.#admit(task, options);
    const promise = new Promise<never>(keepResolve);
    this.#send(task, checked, takeResolve(), false);
    return promise;
  }

  /**
   * Queues a task like `push`, and gives its value.
   *
   * @param task What to run.
   * @param options Callbacks, signal, priority and more.
   * @returns Resolves with the value of the task; rejects with the error of its outcome.
   * @throws Synchronously, what `push` throws.
   */
  run<T extends InfoTask>(task: T, options?: PushOptions<ValueOf<T>>): Promise<ValueOf<T>> {
    const checked = this.#admit(task, options);
    const promise = new Promise<never>(keepResolve);
    this.#send(task, checked, takeResolve(), true);
    return promise;
  }

  /**
   * Runs a task for every input, and gives their outcomes.
   *
   * Inputs are pulled one by one, only while fewer than `concurrency` tasks are in flight, so they may be infinite.
   * A task that fails is an outcome like others and does not end the loop. Leaving the loop early (`break`, `return`,
   * an error), a source or `toTask` that throws, and an aborted `signal` cancel what is in flight.
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
   *   values.push(outcome.status === "ok" && outcome.value);
   * }
   * assertEquals(values, [2, 4, 6]);
   * ```
   *
   * @param inputs Any iterable, also async or infinite.
   * @param toTask Makes the task for an input.
   * @param options Options for every push, `ordered` and `concurrency`.
   * @returns The outcomes, in the order of the inputs, or as they complete with `ordered: false`.
   * @throws {PoolStateError} If the pool has not been started, or has been stopped.
   * @throws {TypeError} If the inputs cannot be iterated, or an option is unknown or has the wrong type.
   * @throws {RangeError} If an option has an impossible value.
   */
  map<I, T extends InfoTask>(
    inputs: Iterable<I> | AsyncIterable<I>,
    toTask: (input: I) => T,
    options: MapOptions<ValueOf<T>> = {},
  ): AsyncGenerator<Outcome<ValueOf<T>>, void, undefined> {
    if (this.#state.phase !== "running") throw this.#refusal("Cannot map");
    const checked = readMapOptions(options);
    if (!(Symbol.iterator in Object(inputs) || Symbol.asyncIterator in Object(inputs))) {
      throw new TypeError(`Cannot map: the inputs must be iterable, received ${show(inputs)}`);
    }
    if (typeof toTask !== "function") {
      throw new TypeError(`Cannot map: toTask must be a function, received ${show(toTask)}`);
    }
    const concurrency = checked.concurrency ?? 2 * this.#options.size;
    const pool: MapTarget = {
      push: (task, options) => this.push(task, options),
      room: () => this.room(),
      contended: () => this.#rooms.contended,
    };
    const outcomes = mapOutcomes(pool, inputs, toTask, { ...checked, concurrency });
    return outcomes as AsyncGenerator<Outcome<ValueOf<T>>, void, undefined>;
  }

  /**
   * Back-pressure for `push`.
   *
   * @returns Resolves when the queue has room, which is at once unless it is full.
   * @throws {PoolStateError} (as a rejection) If the pool ends, or has not been started.
   */
  room(): Promise<void> {
    if (this.#state.phase !== "running") return Promise.reject(this.#refusal("Cannot wait for room"));
    return this.#rooms.wait();
  }

  /**
   * A snapshot of the pool. Always works; before the start all is zero, after the end nothing changes any more.
   *
   * @returns Workers by state, tasks by state, outcomes by status, times.
   */
  async stats(): Promise<Stats> {
    if (this.#client !== undefined) {
      const request = ++this.#request;
      const { promise, resolve } = Promise.withResolvers<StatsData>();
      this.#requests.set(request, resolve);
      this.#client.post({ type: "stats", request });
      this.#lastStats = await promise;
    }
    const { ok, failed, crashed, cancelled } = this.#counts;
    return {
      ...this.#lastStats,
      outcomes: { ok, failed, timedOut: this.#counts["timed-out"], crashed, cancelled },
      callbackErrors: this.#callbacks.errors,
    };
  }

  /**
   * Takes no more tasks, waits for every outcome and every callback (also async ones, up to `callbackTimeout`), and
   * closes everything. Idempotent. Must not be awaited inside a callback: it would wait for itself.
   *
   * @returns Resolves with what the pool did in its life.
   */
  stop(): Promise<Summary> {
    if (this.#state.phase === "new") {
      this.#state = { phase: "ended", why: "the pool is stopped", cause: undefined };
      this.#events.close();
      this.#ended.resolve(this.#summary());
    } else if (this.#state.phase === "running") {
      void this.#stop("the pool is stopped", undefined);
    }
    return this.#ended.promise;
  }

  /**
   * Ends everything now: queued and running tasks get `cancelled`, workers are killed.
   *
   * @param reason The `cause` of the `TaskCancelledError` that the tasks get.
   * @returns Resolves within a second (later where very many tasks wait: each gets an error) with what the pool
   * did in its life.
   */
  terminate(reason?: unknown): Promise<Summary> {
    const { phase } = this.#state;
    if (phase === "new") return this.stop();
    if (phase === "running" || phase === "stopping") void this.#terminate(reason);
    return this.#ended.promise;
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
    return this.#events.watch();
  }

  // Pushing

  /** Whether the task may be pushed, and how. */
  #admit(task: InfoTask, options: unknown): CheckedPushOptions | undefined {
    if (this.#state.phase !== "running") throw this.#refusal("Cannot push a task");
    if (!(task instanceof InfoTask)) {
      throw new TypeError(`Cannot push a task: it must be an InfoTask, received ${show(task)}`);
    }
    const checked = options === undefined ? undefined : readPushOptions(options);
    if (this.#free() <= 0) {
      throw new QueueFullError(
        `Cannot push a task: the queue is full (maxQueue: ${this.#options.maxQueue}); await room() before`,
      );
    }
    return checked;
  }

  #send(
    task: InfoTask,
    options: CheckedPushOptions | undefined,
    resolve: Resolve,
    wantsValue: boolean,
  ): void {
    const id = ++this.#pushed;
    this.#rooms.taken();
    const extras: Extras | undefined = options && { options, release: undefined };
    this.#pending.set(id, task, extras, resolve, wantsValue);
    if (this.#events.watched) this.#events.emit({ type: "pushed", at: now(), taskId: id });
    const signal = options?.signal;
    if (signal?.aborted) {
      this.#settleHere(id, "cancelled", cancelled(id, task, signal.reason));
      return;
    }
    try {
      this.#client!.push(id, task, options, options?.retry ?? this.#options.retry);
    } catch (thrown) {
      this.#settleHere(id, "failed", thrown as Error);
      return;
    }
    if (signal !== undefined) {
      const abort = () => this.#client?.post({ type: "cancel", id });
      signal.addEventListener("abort", abort, { once: true });
      extras!.release = () => signal.removeEventListener("abort", abort);
    }
  }

  /** How many more tasks the queue takes. */
  #free(): number {
    return this.#options.maxQueue - (this.#pending.size - this.#options.size);
  }

  #refusal(what: string): PoolStateError {
    if (!("why" in this.#state)) {
      return new PoolStateError(`${what}: the pool is not started; call start() first`);
    }
    const { why, cause } = this.#state;
    return new PoolStateError(`${what}: ${why}`, cause === undefined ? {} : { cause });
  }

  // Outcomes

  #settle(outcome: Outcome, pending: Pending, callbacks: number | undefined): void {
    pending.extras?.release?.();
    if (this.#events.watched) {
      const { taskId, workerId, status, attempts, ranMs } = outcome;
      this.#events.emit({ type: "settled", at: now(), taskId, workerId, status, attempts, ranMs });
    }
    this.#counts[outcome.status]++;
    const firing = this.#callbacks.fire(outcome, pending.extras?.options, callbacks);
    if (firing === undefined) pending.settle(outcome);
    else void firing.then(() => pending.settle(outcome));
    this.#afterSettling();
  }

  #afterSettling(): void {
    if (this.#rooms.waiting) this.#rooms.wake();
    if (this.#pending.size === 0) this.#drained?.resolve();
  }

  /** Settles a task that never got to a worker. In a later microtask: nobody expects a callback inside `push`. */
  #settleHere(id: number, status: ErrorOutcome["status"], thrown: unknown): void {
    queueMicrotask(() => {
      const pending = this.#pending.take(id);
      if (pending === undefined) return;
      this.#settleUnrun(id, pending, status, withTask(thrown, pending.task));
    });
  }

  /** Gives all pending tasks the same kind of end. */
  #settleAll(status: ErrorOutcome["status"], errorOf: (id: number, pending: Pending) => Error): void {
    for (const id of this.#pending.ids()) {
      // A callback of one before it may have had it settled.
      const pending = this.#pending.take(id);
      if (pending !== undefined) this.#settleUnrun(id, pending, status, errorOf(id, pending));
    }
  }

  #settleUnrun(id: number, pending: Pending, status: ErrorOutcome["status"], error: Error): void {
    this.#settle({ status, error, ...neverRan(pending.task, id) }, pending, undefined);
  }

  #onOutcome(data: OutcomeData): void {
    const pending = this.#pending.take(data.id);
    // A late reply: the task was settled when the pool was terminated.
    if (pending === undefined) return;
    const { task } = pending;
    const facts = {
      task,
      taskId: data.id,
      workerId: data.worker,
      attempts: data.attempts,
      waitedMs: data.waitedMs,
      ranMs: data.ranMs,
    };
    const outcome: Outcome = data.status === "ok"
      ? { status: "ok", value: data.value, ...facts }
      : { status: data.status, error: errorOf(data, task, this.#cancelReason(pending)), ...facts };
    this.#settle(outcome, pending, data.callbacks);
  }

  /** Why a task was cancelled, if it was: its own signal comes first. */
  #cancelReason({ extras }: Pending): unknown {
    const signal = extras?.options.signal;
    if (signal?.aborted) return signal.reason;
    return this.#state.phase === "terminating" ? this.#state.cause : undefined;
  }

  #onMessage(message: Exclude<ToEntry, ArrayBuffer | { type: "outcome" | "told" }>): void {
    switch (message.type) {
      case "ready":
        this.#warm = true;
        this.#started.resolve(this);
        return;
      case "broken":
        return this.#break(rebuildError(message.error), message.message);
      case "inspected":
        for (const [specifier, inspection] of this.#inspections) {
          if (this.#client!.module(specifier) !== message.module) continue;
          this.#inspections.delete(specifier);
          inspection.resolve(message.callbacks);
        }
        return;
      case "progress":
        return this.#onProgress(message.id, message.value, message.pull);
      case "events":
        for (const event of message.events) this.#events.emit(event);
        return;
      case "stats":
        this.#requests.get(message.request)?.(message.stats);
        this.#requests.delete(message.request);
        return;
      case "closed":
        this.#lastStats = message.stats;
        return;
      default:
        message satisfies never;
    }
  }

  #onProgress(id: number, value: unknown, pull: boolean): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    if (this.#events.watched) this.#events.emit({ type: "progress", at: now(), taskId: id, value });
    const onProgress = pending.extras?.options.onProgress;
    const taking = onProgress && this.#callbacks.progress(onProgress, value, pending.task, id);
    if (!pull) return;
    // A generator waits for who takes its values.
    const resume = () => this.#client?.post({ type: "resume", id });
    if (taking === undefined) resume();
    else void taking.then(resume);
  }

  /** Which callbacks a module has that no worker has loaded: one is asked to. */
  #inspect(specifier: string): Promise<number> {
    // Too late to ask, and the entry does not load what nobody has vouched for.
    if (this.#client === undefined || this.#state.phase === "terminating") return Promise.resolve(0);
    let inspection = this.#inspections.get(specifier);
    if (inspection === undefined) {
      this.#inspections.set(specifier, inspection = Promise.withResolvers());
      const module = this.#client.module(specifier);
      this.#client.post({ type: "inspect", module });
    }
    return inspection.promise;
  }

  // The life of the pool

  /** Starts a dispatcher. If that is not possible, the pool ends. */
  #connect(): void {
    try {
      this.#client = this.#createClient();
      if (this.#events.watched) this.#client.post({ type: "watch-events", on: true });
    } catch (error) {
      this.#fail(`the pool could not be started: ${(error as Error).message}`, error, error);
    }
  }

  #createClient(): DispatcherClient {
    const options = this.#options;
    const isolation = chooseIsolation(options.isolation, options.name);
    const client: DispatcherClient = new DispatcherClient(
      {
        name: options.name,
        size: options.size,
        minSize: options.minSize,
        idleTimeout: options.idleTimeout,
        spares: options.spares,
        isolation,
        maxTasksPerWorker: options.maxTasksPerWorker,
        initializer: options.initializer,
        loadTimeout: options.loadTimeout,
        killGrace: options.killGrace,
        maxZombies: options.maxZombies,
        restarts: options.maxRestarts,
        memoryLimit: options.memoryLimit,
        permissions: isolation === "process" ? childPermissions(options.permissions) : undefined,
        config: isolation === "process" ? findConfig() : undefined,
      },
      options.name,
      {
        value: (taskId, workerId, attempts, callbacks, waitedMs, ranMs, value) => {
          const pending = this.#pending.take(taskId);
          if (pending === undefined) return;
          const { task } = pending;
          if (pending.wantsOnlyValue(callbacks) && !this.#events.watched) {
            if (callbacks !== 0) this.#callbacks.learn(task.specifier, callbacks);
            this.#counts.ok++;
            pending.fulfil(value);
            this.#afterSettling();
            return;
          }
          const outcome = { status: "ok", value, task, taskId, workerId, attempts, waitedMs, ranMs } as const;
          this.#settle(outcome, pending, callbacks);
        },
        outcome: (data) => this.#onOutcome(data),
        message: (message) => this.#onMessage(message),
        died: (error) => {
          if (this.#client === client) this.#onDeath(error);
        },
      },
    );
    return client;
  }

  /** Ends the dispatcher, and answers whoever waits for it. */
  #disconnect(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) this.#closing = Promise.all([this.#closing, client.end()]);
    for (const inspection of this.#inspections.values()) inspection.resolve(0);
    this.#inspections.clear();
    for (const resolve of this.#requests.values()) resolve(this.#lastStats);
    this.#requests.clear();
  }

  /** Goes on only while nobody takes over: `terminate()` may. */
  async #stop(why: string, cause: unknown): Promise<void> {
    const ending: Ending = { phase: "stopping", why, cause };
    this.#state = ending;
    this.#refuseRooms();
    await this.#settled();
    const { callbackTimeout } = this.#options;
    const idle = Promise.race([this.#callbacks.idle(), this.#ended.promise]);
    if (callbackTimeout === Infinity) await idle;
    else await within(idle, callbackTimeout);
    if (this.#state !== ending) return;
    await within(this.#client?.stop(), STOP_MS);
    if (this.#state === ending) this.#end(ending);
  }

  async #terminate(reason: unknown): Promise<void> {
    const since = performance.now();
    const ending: Ending = { phase: "terminating", why: "the pool is terminated", cause: reason };
    this.#state = ending;
    this.#refuseRooms();
    const client = this.#client;
    await within(client?.terminate(), TELL_MS);
    this.#callbacks.orphan();
    this.#settleAll("cancelled", (id, pending) => cancelled(id, pending.task, this.#cancelReason(pending)));
    const left = Math.max(0, TERMINATE_MS - (performance.now() - since));
    await within(Promise.all([client?.closed, this.#callbacks.idle()]), left);
    this.#end(ending);
  }

  async #settled(): Promise<void> {
    if (this.#pending.size === 0) return;
    this.#drained = Promise.withResolvers();
    await this.#drained.promise;
  }

  #end({ why, cause }: Ending): void {
    this.#state = { phase: "ended", why, cause };
    this.#disconnect();
    // Only if it never was warm.
    this.#started.reject(this.#refusal("Cannot start the pool"));
    this.#callbacks.close();
    this.#events.close();
    void this.#closing.then(() => this.#ended.resolve(this.#summary()));
  }

  /** The pool cannot start. */
  #break(cause: Error, message: string): void {
    this.#fail(`the pool could not be started: a worker ${message}`, cause, cause);
    this.#crashAll(`its worker ${message}`, "error", cause);
  }

  /** The pool cannot go on: it ends, and nothing runs any more. What is pending is still to be settled. */
  #fail(why: string, cause: unknown, startError?: unknown): void {
    if (this.#state.phase === "running") void this.#stop(why, cause);
    this.#started.reject(startError ?? new PoolStateError(`Cannot start the pool: ${why}`, { cause }));
    this.#disconnect();
  }

  #crashAll(message: string, reason: "error" | "dispatcher", cause: unknown): void {
    this.#settleAll("crashed", (id, { task }) => {
      const what = `Task ${id} (${shortName(task)}) crashed: ${message}`;
      return new WorkerCrashError(what, reason, null, { task, cause });
    });
  }

  /** What was under way is lost; what comes goes to a new dispatcher. */
  #onDeath(error: unknown): void {
    const how = this.#warm ? "died" : "could not be started";
    const message = `dispatcher ${how}: ${error instanceof Error ? error.message : String(error)}`;
    const now = performance.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < 60_000), now];
    if (this.#state.phase === "running" && this.#warm && this.#deaths.length <= MAX_DISPATCHER_RESTARTS) {
      this.#disconnect();
      this.#connect();
    } else {
      this.#fail(`the pool's ${message}`, error);
    }
    this.#crashAll(`the ${message}`, "dispatcher", error);
  }

  #refuseRooms(): void {
    this.#rooms.refuse(() => this.#refusal("Cannot wait for room"));
  }

  #summary(): Summary {
    const { ok, failed, crashed, cancelled } = this.#counts;
    return {
      pushed: this.#pushed,
      ok,
      failed,
      timedOut: this.#counts["timed-out"],
      crashed,
      cancelled,
      callbackErrors: this.#callbacks.errors,
      elapsedMs: this.#startedAt === 0 ? 0 : performance.now() - this.#startedAt,
    };
  }
}

// One function for all promises: a closure for each push would be one more thing to collect.
let kept: Resolve | undefined;
const keepResolve = (resolve: Resolve): void => void (kept = resolve);

/** What was kept just now; kept any longer it would keep the promise, and its value, alive. */
function takeResolve(): Resolve {
  const resolve = kept!;
  kept = undefined;
  return resolve;
}

function emptyStats(): StatsData {
  return {
    workers: { starting: 0, idle: 0, busy: 0, stopping: 0 },
    queued: 0,
    running: 0,
    zombies: 0,
    spawned: 0,
    killed: 0,
    ended: { asked: 0, interrupted: 0 },
    waitedMs: { p50: 0, p99: 0, max: 0 },
    ranMs: { p50: 0, p99: 0, max: 0 },
  };
}
