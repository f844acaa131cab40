import { QueueFullError } from "../errors.ts";
import type { PoolEvent } from "../events.ts";
import { InfoTask } from "../info_task.ts";
import { inlineHint } from "../inline_function.ts";
import { show } from "../util/show.ts";
import type { MapOutcome, Outcome, Stats, Summary } from "../outcome.ts";
import { rebuildError } from "../wire/error_data.ts";
import { now } from "../wire/now.ts";
import type { EventData, Sizes } from "../wire/protocol.ts";
import { Callbacks } from "./callbacks.ts";
import { copyHint } from "./checks.ts";
import type { MessageToPool } from "./dispatcher_client.ts";
import { EventHub } from "./event_hub.ts";
import { type CheckedMapOptions, giveOutcome, giveValue, Mapping, type MapWork } from "./map.ts";
import { cancelled, shortName } from "./outcome_error.ts";
import { PendingTable, type Resolve } from "./pending.ts";
import { type Connect, PoolLife } from "./pool_life.ts";
import {
  type CheckedPushOptions,
  DEFAULT_NAME,
  type PoolOptions,
  readMapOptions,
  readPushOptions,
  readStopOptions,
} from "./read_options.ts";
import { Progress } from "./progress.ts";
import { Questions } from "./questions.ts";
import { Rooms } from "./rooms.ts";
import { Settlement } from "./settlement.ts";
import { Signals } from "./signals.ts";

/** The options that matter on the thread that pushes, wherever the tasks run. */
export interface EntryOptions extends
  Pick<
    PoolOptions,
    | "name"
    | "size"
    | "maxQueue"
    | "retry"
    | "loadTimeout"
    | "callbackTimeout"
    | "disposeTimeout"
    | "onCallbackError"
  > {
  /** How many tasks of a `map` are in flight at most, unless it says otherwise. */
  concurrency: number;
}

/** The tasks of a pool on the thread that pushes them: each is owed one outcome, and its callback. */
export class Pool<Owner> {
  readonly #options: EntryOptions;
  /** What messages say of the pool that a thing is of, where it has a name. */
  readonly #ofPool: string;
  readonly #life: PoolLife<Owner>;
  readonly #callbacks: Callbacks;
  readonly #pending = new PendingTable();
  readonly #signals = new Signals((ids) => this.#cancel(ids));
  readonly #events: EventHub;
  readonly #questions: Questions;
  readonly #progress: Progress;
  readonly #settlement: Settlement;
  readonly #rooms = new Rooms(() => this.#free());
  #pushed = 0;

  /**
   * @param owner What `start()` resolves with.
   * @param connect Starts what runs the tasks.
   */
  constructor(owner: Owner, options: EntryOptions, connect: Connect) {
    this.#options = options;
    const name = options.name === DEFAULT_NAME ? undefined : JSON.stringify(options.name);
    this.#ofPool = name === undefined ? "" : ` of ${name}`;
    this.#callbacks = new Callbacks((specifier) => this.#questions.inspect(specifier), options);
    this.#events = new EventHub((on) => this.#life.client?.post({ type: "watch-events", on }));
    this.#life = new PoolLife(
      owner,
      {
        settled: () => this.#settlement.settled(),
        idle: () => this.#callbacks.idle(),
        owes: () => this.#pending.size > 0 || this.#questions.open,
        refuse: () => this.#rooms.refuse(() => this.#life.refusal("Cannot wait for room")),
        connected: (client) => {
          if (this.#events.watched) client.post({ type: "watch-events", on: true });
        },
        disconnected: () => this.#questions.answerAll(),
        cancelAll: () => this.#settlement.cancelAll(),
        crashAll: (message, reason, cause) => this.#settlement.crashAll(message, reason, cause),
        close: () => {
          this.#callbacks.close();
          this.#events.close();
        },
        summary: (elapsedMs) => this.#summary(elapsedMs),
      },
      connect,
      {
        value: (id, worker, attempts, callbacks, waitedMs, ranMs, value) =>
          this.#settlement.value(id, worker, attempts, callbacks, waitedMs, ranMs, value),
        outcome: (data) => this.#settlement.outcome(data),
        message: (message) => this.#onMessage(message),
        adopt: (task) => this.#adopt(task),
      },
      { ...options, pool: name === undefined ? "the pool" : `the pool ${name}` },
    );
    this.#questions = new Questions(this.#life);
    this.#progress = new Progress(this.#pending, this.#callbacks, this.#events, this.#life);
    this.#settlement = new Settlement({
      name: options.name,
      ofPool: this.#ofPool,
      pending: this.#pending,
      callbacks: this.#callbacks,
      signals: this.#signals,
      progress: this.#progress,
      events: this.#events,
      rooms: this.#rooms,
      waitingCancels: this.#questions.waitingCancels,
      life: this.#life,
    });
  }

  /** Resolves when the pool is warm. */
  start(): Promise<Owner> {
    return this.#life.start();
  }

  push(task: InfoTask, options: unknown): Promise<Outcome> {
    return this.#push(task, options, false) as Promise<Outcome>;
  }

  run(task: InfoTask, options: unknown): Promise<unknown> {
    try {
      return this.#push(task, options, true);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  map<I>(
    inputs: Iterable<I> | AsyncIterable<I>,
    toTask: (input: I) => InfoTask,
    options: unknown,
  ): AsyncGenerator<MapOutcome<unknown, I>, void, undefined> {
    return this.#map(inputs, toTask, options, giveOutcome);
  }

  mapValues<I>(
    inputs: Iterable<I> | AsyncIterable<I>,
    toTask: (input: I) => InfoTask,
    options: unknown,
  ): AsyncGenerator<unknown, void, undefined> {
    return this.#map(inputs, toTask, options, giveValue);
  }

  #map<I, V>(
    inputs: Iterable<I> | AsyncIterable<I>,
    toTask: (input: I) => InfoTask,
    options: unknown,
    give: MapWork<I, V>["give"],
  ): Mapping<I, V> {
    if (!this.#life.running) throw this.#life.refusal("Cannot map");
    const checked = readMapOptions(options);
    if (!(Symbol.iterator in Object(inputs) || Symbol.asyncIterator in Object(inputs))) {
      throw new TypeError(`Cannot map: the inputs must be iterable, received ${show(inputs)}`);
    }
    if (typeof toTask !== "function") {
      throw new TypeError(`Cannot map: toTask must be a function, received ${show(toTask)}`);
    }
    checked.concurrency ??= this.#options.concurrency;
    const target = {
      push: (task: InfoTask, options: unknown) => this.#push(task, options, false, true) as Promise<Outcome>,
      room: () => this.room(),
      contended: () => this.#rooms.contended,
    };
    return new Mapping(target, inputs, { toTask, give }, checked as CheckedMapOptions<I>);
  }

  room(): Promise<void> {
    if (!this.#life.running) return Promise.reject(this.#life.refusal("Cannot wait for room"));
    return this.#rooms.wait();
  }

  async stats(): Promise<Stats> {
    const data = await this.#questions.stats();
    const { ok, failed, "timed-out": timedOut, crashed, cancelled } = this.#settlement.counts;
    return {
      ...data,
      outcomes: { ok, failed, timedOut, crashed, cancelled },
      callbackErrors: this.#callbacks.errors,
    };
  }

  /** How many tasks run at once. */
  get size(): number {
    return this.#options.size;
  }

  /** How many tasks have no outcome and a place in the pool. */
  get running(): number {
    return Math.min(this.#pending.size, this.#options.size);
  }

  /** How many tasks have no outcome and no place. */
  get queued(): number {
    return this.#pending.size - this.running;
  }

  events(): AsyncIterableIterator<PoolEvent> {
    return this.#events.watch();
  }

  /** Has every worker replaced. Resolves when none from before begins another task. */
  renew(): Promise<void> {
    if (this.#life.ended) return Promise.reject(this.#life.refusal("Cannot renew the workers"));
    return this.#questions.renew();
  }

  /** The pool has another size from now on. */
  resize(sizes: Sizes): void {
    if (this.#life.ended) throw this.#life.refusal("Cannot resize the pool");
    this.#options.size = sizes.size;
    this.#options.concurrency = 2 * sizes.size;
    this.#life.client?.post({ type: "resize", sizes });
    if (this.#rooms.waiting) this.#rooms.wake();
  }

  /** Cancels all tasks that no worker has begun. Resolves with how many, when they have their outcomes. */
  cancelWaiting(reason: unknown): Promise<number> {
    return this.#questions.cancelWaiting(this.#pushed, reason);
  }

  stop(options?: unknown): Promise<Summary> {
    const { waiting, reason } = readStopOptions(options ?? {});
    const stopped = this.#life.stop();
    if (waiting === "cancel") void this.cancelWaiting(reason);
    return stopped;
  }

  terminate(reason: unknown): Promise<Summary> {
    return this.#life.terminate(reason);
  }

  /** Ends the pool and leaves its tasks to go on without it: see `PoolLife.leave`. */
  detach(last: () => Promise<void>): Promise<void> {
    return this.#life.leave(last);
  }

  // Pushing

  #push(task: InfoTask, options: unknown, wantsValue: boolean, heard = false): Promise<unknown> {
    const checked = this.#admit(task, options);
    if (heard && checked !== undefined) checked.heard = true;
    const promise = new Promise<never>(keepResolve);
    const resolve = takeResolve();
    const delivered = this.#callbacks.mayCall(task, checked);
    const promised = delivered ? promise.then(this.#settlement.deliver) : promise;
    this.#send(task, checked, resolve, wantsValue, delivered);
    return promised;
  }

  /** Whether the task may be pushed, and how. */
  #admit(task: InfoTask, options: unknown): CheckedPushOptions | undefined {
    if (!this.#life.running) throw this.#life.refusal("Cannot push a task");
    if (!(task instanceof InfoTask)) {
      throw new TypeError(
        `Cannot push a task: it must be an InfoTask, received ${show(task)}${inlineHint(task)}${
          copyHint(task)
        }`,
      );
    }
    const checked = options === undefined ? undefined : readPushOptions(options);
    if (this.#free() <= 0) {
      throw new QueueFullError(
        `Cannot push a task: the queue${this.#ofPool} is full (maxQueue: ${this.#options.maxQueue}); await room() before`,
      );
    }
    return checked;
  }

  #send(
    task: InfoTask,
    options: CheckedPushOptions | undefined,
    resolve: Resolve,
    wantsValue: boolean,
    delivered: boolean,
  ): void {
    const id = ++this.#pushed;
    this.#rooms.taken();
    this.#pending.set(id, task, options, resolve, wantsValue, delivered);
    if (options?.onProgress !== undefined) this.#progress.expect(id);
    if (this.#events.watched) {
      const label = options?.label ?? shortName(task);
      this.#events.emit({ type: "pushed", at: now(), taskId: id, label });
    }
    const signal = options?.signal;
    if (signal?.aborted) {
      const name = this.#settlement.nameOf(id, task, options);
      this.#settlement.settleHere(id, "cancelled", cancelled(name, task, signal.reason));
      return;
    }
    try {
      this.#life.client!.push(id, task, options, options?.retry ?? this.#options.retry);
    } catch (thrown) {
      this.#settlement.settleHere(id, "failed", thrown as Error);
      return;
    }
    if (signal === undefined) return;
    // A getter among the arguments may have aborted it.
    if (signal.aborted) this.#cancel([id]);
    else this.#signals.add(signal, id);
  }

  #cancel(ids: number[]): void {
    this.#life.client?.post({ type: "cancel", ids });
  }

  /** Takes in a task of an earlier life, of which only the callbacks of its module are owed. */
  #adopt(task: InfoTask): number {
    const id = ++this.#pushed;
    this.#pending.set(id, task, undefined, () => {}, false);
    return id;
  }

  /** How many more tasks the queue takes. */
  #free(): number {
    return this.#options.maxQueue - (this.#pending.size - this.#options.size);
  }

  // What else the dispatcher says

  #onMessage(message: MessageToPool): void {
    switch (message.type) {
      case "ready":
        return this.#life.warm();
      case "broken":
        return this.#life.broken(rebuildError(message.error), message.message);
      case "renewed":
        return this.#questions.renewed();
      case "output":
        return this.#settlement.printed(message.id, message.text);
      case "waiting-cancelled":
        return this.#questions.waitingCancels.answer();
      case "inspected":
        return this.#questions.inspected(message.module, message.callbacks ?? 0);
      case "progress":
        return this.#progress.report(message.id, message.value, message.pull);
      case "events":
        for (const event of message.events) this.#events.emit(this.#eventOf(event));
        return;
      case "stats":
        return this.#questions.counted(message.request, message.stats);
      case "closed":
        return this.#questions.closed(message.stats);
      default:
        message satisfies never;
    }
  }

  #eventOf(event: EventData): PoolEvent {
    switch (event.type) {
      case "output": {
        const pending = this.#pending.get(event.taskId);
        return { ...event, label: pending && (pending.options?.label ?? shortName(pending.task)) };
      }
      case "worker-gone":
        return { ...event, error: event.error && rebuildError(event.error) };
      default:
        return event;
    }
  }

  #summary(elapsedMs: number): Summary {
    const { ok, failed, "timed-out": timedOut, crashed, cancelled } = this.#settlement.counts;
    return {
      pushed: this.#pushed,
      ok,
      failed,
      timedOut,
      crashed,
      cancelled,
      callbackErrors: this.#callbacks.errors,
      elapsedMs,
    };
  }
}

// One function for all promises: a closure for each push would be one more thing to collect.
let kept: Resolve | undefined;
const keepResolve = (resolve: Resolve): void => void (kept = resolve);

/** Takes what was kept just now: kept any longer, it would keep the promise, and its value, alive. */
function takeResolve(): Resolve {
  const resolve = kept!;
  kept = undefined;
  return resolve;
}
