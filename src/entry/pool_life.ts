import { PoolStateError } from "../errors.ts";
import type { Summary } from "../outcome.ts";
import { within } from "../util/within.ts";
import type { DispatcherEvents, PoolClient } from "./dispatcher_client.ts";

/** How long `terminate()` waits for the pool to end in order, in milliseconds, before it ends it by force. */
const TERMINATE_MS = 800;
/** How long it waits in all; what has not ended by then ends soon after. */
const TERMINATED_MS = 950;
/** How long `terminate()` waits to be told which tasks were running, in milliseconds. */
const TELL_MS = 300;
/** How long `stop()` waits for the workers to end once all tasks have and `disposeTimeout` is over. */
const STOP_MS = 7_000;
/** How often a dispatcher that died is started again within a minute. */
const MAX_DISPATCHER_RESTARTS = 3;

/** A pool that takes no more tasks. */
interface Ending {
  phase: "stopping" | "terminating" | "ended";
  why: string;
  /** What kept it from going on, or the reason given to `terminate()`. */
  cause: unknown;
}

type State = { phase: "new" | "running" } | Ending;

/** What the life of a pool needs of its tasks. */
export interface LifeTasks {
  /** Resolves when every task has its outcome. */
  settled(): Promise<void>;
  /** Resolves when no callback is running. */
  idle(): Promise<void>;
  /** Whether there is a task without an outcome, or a question without an answer. */
  owes(): boolean;
  /** The pool takes no more tasks. */
  refuse(): void;
  /** A dispatcher was started. */
  connected(client: PoolClient): void;
  /** It is gone: nothing that it was asked will be answered. */
  disconnected(): void;
  /** Ends all tasks that have no outcome. No worker can be asked about them any more. */
  cancelAll(): Promise<void>;
  /** Ends all tasks that have no outcome; the message is the end of a sentence. */
  crashAll(message: string, reason: "error" | "dispatcher", cause: unknown): void;
  /** The pool has ended. */
  close(): void;
  /** What it did in its life. */
  summary(elapsedMs: number): Summary;
}

/** Starts what runs the tasks; throws the reason if that is not possible. */
export type Connect = (events: DispatcherEvents) => PoolClient;

/** What the life of a pool needs to know of its options. Times are in milliseconds. */
export interface LifeOptions {
  /** How long `stop()` waits for callbacks. */
  readonly callbackTimeout: number;
  /** How long `stop()` waits for the initializer's `dispose()` in each worker. */
  readonly disposeTimeout: number;
  /** What messages call the pool: "the pool", with its name where it has one. */
  readonly pool: string;
}

/** New, running, stopping or terminating, ended: the life of a pool, and of its dispatcher, restarted if it dies. */
export class PoolLife<Owner> {
  readonly #owner: Owner;
  readonly #tasks: LifeTasks;
  readonly #connectTo: () => PoolClient;
  readonly #options: LifeOptions;
  /** What messages call it. */
  readonly #pool: string;
  #state: State = { phase: "new" };
  #client: PoolClient | undefined;
  readonly #started = Promise.withResolvers<Owner>();
  /** Resolves however the pool ends: by itself, stopped or terminated, or first the one and then the other. */
  readonly #ended = Promise.withResolvers<Summary>();
  #startedAt = 0;
  /** The end of every dispatcher that there was. */
  #closing: Promise<unknown> = Promise.resolve();
  #deaths: number[] = [];
  /** It was warm once: a dispatcher that dies before that would die again. */
  #warm = false;

  /** @param owner What `start()` resolves with. */
  constructor(
    owner: Owner,
    tasks: LifeTasks,
    connect: Connect,
    events: Omit<DispatcherEvents, "died">,
    options: LifeOptions,
  ) {
    this.#owner = owner;
    this.#tasks = tasks;
    this.#options = options;
    this.#pool = options.pool;
    this.#connectTo = () => {
      const client: PoolClient = connect({
        ...events,
        owes: () => this.#state.phase !== "running" || !this.#warm || this.#tasks.owes(),
        abandoned: () => void this.stop(),
        died: (error) => {
          if (this.#client === client) this.#onDeath(error);
        },
      });
      return client;
    };
    // Whoever does not wait for it learns of a failure from the outcomes.
    this.#started.promise.catch(() => {});
  }

  /** The way to the dispatcher; undefined before the start and after the end. */
  get client(): PoolClient | undefined {
    return this.#client;
  }

  /** Whether the pool takes tasks. */
  get running(): boolean {
    return this.#state.phase === "running";
  }

  /** Whether the pool has ended. */
  get ended(): boolean {
    return this.#state.phase === "ended";
  }

  /** Whether the pool was told to end at once. */
  get terminating(): boolean {
    return this.#state.phase === "terminating";
  }

  /** The reason that was given for that; undefined otherwise. */
  get reason(): unknown {
    return this.#state.phase === "terminating" ? this.#state.cause : undefined;
  }

  /** Why the pool does not do this now. */
  refusal(what: string): PoolStateError {
    if (!("why" in this.#state)) {
      return new PoolStateError(`${what}: ${this.#pool} is not started; call start() first`);
    }
    const { why, cause } = this.#state;
    return new PoolStateError(`${what}: ${why}`, cause === undefined ? {} : { cause });
  }

  /** Resolves when the pool is warm. */
  start(): Promise<Owner> {
    if (this.#state.phase === "new") {
      this.#startedAt = performance.now();
      this.#state = { phase: "running" };
      this.#connect();
    } else if (this.#state.phase !== "running") {
      return Promise.reject(this.refusal("Cannot start the pool"));
    }
    return this.#started.promise;
  }

  /** The pool is warm. */
  warm(): void {
    this.#warm = true;
    this.#started.resolve(this.#owner);
  }

  /** Waits for all outcomes and callbacks, then ends the pool. */
  stop(): Promise<Summary> {
    if (this.#state.phase === "new") {
      this.#state = { phase: "ended", why: `${this.#pool} is stopped`, cause: undefined };
      this.#tasks.close();
      this.#ended.resolve(this.#tasks.summary(0));
    } else if (this.#state.phase === "running") {
      this.#client?.hold();
      void this.#stop(`${this.#pool} is stopped`, undefined);
    }
    return this.#ended.promise;
  }

  /** Ends the pool now. */
  terminate(reason: unknown): Promise<Summary> {
    const { phase } = this.#state;
    if (phase === "new") return this.stop();
    if (phase === "running" || phase === "stopping") {
      this.#client?.hold();
      void this.#terminate(reason);
    }
    return this.#ended.promise;
  }

  /**
   * Ends the pool, and leaves its tasks to whoever runs them: they get no outcome here.
   *
   * @param last What is to be done before, while no more tasks are taken.
   */
  async leave(last: () => Promise<void>): Promise<void> {
    if (this.#state.phase === "new") void this.stop();
    if (this.#state.phase === "running") {
      const ending: Ending = { phase: "stopping", why: `${this.#pool} is detached`, cause: undefined };
      this.#state = ending;
      this.#tasks.refuse();
      await last();
      if (this.#state === ending) this.#end(ending);
    }
    await this.#ended.promise;
  }

  /** The pool cannot start. */
  broken(cause: Error, message: string): void {
    this.#fail(`${this.#pool} could not be started: a worker ${message}`, cause, cause);
    this.#tasks.crashAll(`its worker ${message}`, "error", cause);
  }

  /** Starts a dispatcher. If that is not possible, the pool ends. */
  #connect(): void {
    try {
      this.#client = this.#connectTo();
      this.#tasks.connected(this.#client);
    } catch (error) {
      this.#fail(`${this.#pool} could not be started: ${(error as Error).message}`, error, error);
    }
  }

  /** Ends the dispatcher, and answers whoever waits for it. */
  #disconnect(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) this.#closing = Promise.all([this.#closing, client.end()]);
    this.#tasks.disconnected();
  }

  /** Goes on only as long as `terminate()` does not take over. */
  async #stop(why: string, cause: unknown): Promise<void> {
    const ending: Ending = { phase: "stopping", why, cause };
    this.#state = ending;
    this.#tasks.refuse();
    await this.#tasks.settled();
    const idle = Promise.race([this.#tasks.idle(), this.#ended.promise]);
    const { callbackTimeout, disposeTimeout } = this.#options;
    if (callbackTimeout === Infinity) await idle;
    else await within(idle, callbackTimeout);
    if (this.#state !== ending) return;
    await within(this.#client?.stop(), STOP_MS + disposeTimeout);
    if (this.#state === ending) this.#end(ending);
  }

  async #terminate(reason: unknown): Promise<void> {
    const since = performance.now();
    const ending: Ending = { phase: "terminating", why: `${this.#pool} is terminated`, cause: reason };
    this.#state = ending;
    this.#tasks.refuse();
    const client = this.#client;
    await within(client?.terminate(), TELL_MS);
    await this.#tasks.cancelAll();
    const left = Math.max(0, TERMINATE_MS - (performance.now() - since));
    await within(Promise.all([client?.closed, this.#tasks.idle()]), left);
    this.#end(ending, TERMINATED_MS - (performance.now() - since));
  }

  /** @param ms How long the end of all threads is waited for; they end anyhow. */
  #end({ why, cause }: Ending, ms = Infinity): void {
    this.#state = { phase: "ended", why, cause };
    this.#disconnect();
    // Without effect if it was warm once.
    this.#started.reject(this.refusal("Cannot start the pool"));
    this.#tasks.close();
    void within(this.#closing, ms).then(() => {
      this.#ended.resolve(this.#tasks.summary(performance.now() - this.#startedAt));
    });
  }

  /** The pool cannot go on: it ends, and nothing runs any more. What is pending is still to be settled. */
  #fail(why: string, cause: unknown, startError?: unknown): void {
    if (this.#state.phase === "running") void this.#stop(why, cause);
    this.#started.reject(startError ?? new PoolStateError(`Cannot start the pool: ${why}`, { cause }));
    this.#disconnect();
  }

  /** What was under way is lost; what is pushed from now on goes to a new dispatcher. */
  #onDeath(error: unknown): void {
    const how = this.#warm ? "died" : "could not be started";
    const message = `dispatcher ${how}: ${error instanceof Error ? error.message : String(error)}`;
    const now = performance.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < 60_000), now];
    if (this.#state.phase === "running" && this.#warm && this.#deaths.length <= MAX_DISPATCHER_RESTARTS) {
      this.#disconnect();
      this.#connect();
    } else {
      this.#fail(`${this.#pool}'s ${message}`, error);
    }
    this.#tasks.crashAll(`the ${message}`, "dispatcher", error);
  }
}
