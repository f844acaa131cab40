/**
 * How the queue is reached, and what is told of it when it cannot be.
 *
 * @module
 */
import { delay } from "@std/async";
import {
  type Job,
  Queue,
  QueueEvents,
  QueueEventsProducer,
  type QueueOptions,
  Worker,
  type WorkerOptions,
} from "bullmq";
import { Redis, type RedisOptions } from "ioredis";
import { within } from "../util/within.ts";
import type { Connection, OtherStore } from "./options.ts";

/** Errors that come this soon after one of the same outage belong to it, in milliseconds. */
const OUTAGE_MS = 5_000;
/** How long something else that went wrong is not told again, in milliseconds. */
const QUIET_MS = 60_000;

/** The longest that a client waits before it tries again to connect, in milliseconds. */
const MAX_RETRY_MS = 2_000;

const UNREACHABLE =
  /ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOST|ENET|EPIPE|Connection is closed|Socket closed|LOADING|MASTERDOWN|terminating connection|Connection terminated|the database system is|Client has encountered a connection error/i;

const REFUSED =
  /WRONGPASS|NOAUTH|NOPERM|invalid password|AUTH .*called without|password authentication failed|permission denied/i;

/** What BullMQ says where another machine has taken a task over, which is no fault: its outcome will come. */
const TAKEN_OVER =
  /could not renew lock for job|(Missing lock|Missing key|Lock mismatch) for job|is not in the active state/;

/** How long the end of a connection is waited for, in milliseconds. */
const DISCONNECT_MS = 200;

/** How long BullMQ waits before it tries again what it could not do because the store was away, in milliseconds. */
const RETRY_MS = 1_000;
/** Not BullMQ's limit of how often a job may stall: what it fails itself would have no outcome. */
const NO_LIMIT = 1e9;

type WorkerSettings = Omit<WorkerOptions, "connection">;

/** An open way to the queue, shared by all that a producer or a machine does there. */
export class Link {
  /** Whether the store gives JSON back as it was: PostgreSQL sorts keys, and knows no U+0000. */
  readonly keepsJson: boolean;
  /** An ioredis client, or what the backend takes. */
  // deno-lint-ignore no-explicit-any -- BullMQ's types name the ioredis of its own
  readonly #connection: any;
  // deno-lint-ignore no-explicit-any -- each class of BullMQ has a type for each kind of backend
  readonly #backend: any;
  readonly #workers: Worker[] = [];
  readonly #where: string;
  readonly #onError: (error: Error) => unknown;
  /** The client, and what BullMQ has made of it, so that none of them tries to connect for ever. */
  readonly #clients = new Set<Redis>();
  readonly #refused = Promise.withResolvers<never>();
  #lastError: Error | undefined;
  #unreachableAt = -Infinity;
  readonly #told = new Map<string, number>();
  #closed = false;

  constructor(connection: Connection, onError: (error: Error) => unknown) {
    this.#onError = onError;
    this.#refused.promise.catch(() => {});
    if (isOtherStore(connection)) {
      this.#connection = connection.store;
      // BullMQ listens to a pool of PostgreSQL once for each of its objects.
      (connection.store as Partial<Redis> | null)?.setMaxListeners?.(0);
      this.#backend = connection.backend;
      this.keepsJson = false;
      this.#where = "the queue's store";
      return;
    }
    const redis = openRedis(connection, () => this.#closed);
    const { host, port, path } = redis.options;
    this.#where = path ?? `${host}:${port}`;
    this.#connection = redis;
    this.keepsJson = true;
    this.#track(redis);
    redis.on("error", this.failed);
    redis.setMaxListeners(0);
  }

  queue(name: string, options: Omit<QueueOptions, "connection"> = {}): Queue {
    const queue: Queue = new Queue(name, { connection: this.#connection, ...options }, this.#backend);
    return this.#watch(queue);
  }

  /** Does not run yet. */
  worker(
    name: string,
    process: (job: Job, token?: string) => Promise<unknown>,
    options: WorkerSettings,
  ): Worker {
    const worker: Worker = new Worker(
      name,
      process,
      {
        connection: this.#connection,
        autorun: false,
        runRetryDelay: RETRY_MS,
        maxStalledCount: NO_LIMIT,
        ...options,
      },
      this.#backend,
    );
    this.#workers.push(worker);
    return this.#watch(worker);
  }

  /**
   * Does not run yet.
   *
   * @param from The event after which to begin; by default only those that are to come are told.
   */
  events(name: string, from = "$"): QueueEvents {
    const options = { connection: this.#connection, lastEventId: from, autorun: false };
    const events: QueueEvents = new QueueEvents(name, options, this.#backend);
    return this.#watch(events);
  }

  publisher(name: string): QueueEventsProducer {
    const publisher: QueueEventsProducer = new QueueEventsProducer(
      name,
      { connection: this.#connection },
      this.#backend,
    );
    return this.#watch(publisher);
  }

  /** Takes in an error of whatever uses this link: told once an outage, and once a while for others. */
  readonly failed = (error: Error): void => {
    if (this.#closed) return;
    this.#lastError = error;
    if (REFUSED.test(error.message)) this.#refused.reject(error);
    if (TAKEN_OVER.test(error.message)) return;
    const now = performance.now();
    if (UNREACHABLE.test(textOf(error))) {
      const begins = now - this.#unreachableAt > OUTAGE_MS;
      this.#unreachableAt = now;
      if (begins) this.#tell(new Error(`Cannot reach ${this.#where}: ${textOf(error)}`, { cause: error }));
      return;
    }
    const kind = error.message.replaceAll(/[\w-]*\d[\w-]*/g, "#");
    if (now - (this.#told.get(kind) ?? -Infinity) < QUIET_MS) return;
    if (this.#told.size > 100) this.#told.clear();
    this.#told.set(kind, now);
    this.#tell(error);
  };

  /**
   * Waits for the first answer.
   *
   * @param ready Resolves with it.
   * @param timeout How long it may take, in milliseconds.
   * @throws {Error} If it does not come in time, or who asks may not.
   */
  async reached(ready: Promise<unknown>, timeout: number): Promise<void> {
    let reached = false;
    const done = Promise.race([ready, this.#refused.promise]).then(() => void (reached = true));
    try {
      await (timeout === Infinity ? done : within(done, timeout));
    } catch (cause) {
      throw new Error(`${this.#where} refuses: ${textOf(cause)}`, { cause });
    }
    if (reached) return;
    const cause = this.#lastError;
    const why = cause === undefined ? "" : `: ${textOf(cause)}`;
    throw new Error(`No answer from ${this.#where} within ${timeout} ms (connectTimeout)${why}`, { cause });
  }

  /** Whether the store could not be reached just now. */
  get isAway(): boolean {
    return performance.now() - this.#unreachableAt < OUTAGE_MS;
  }

  /** Cuts it, whatever is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const worker of this.#workers) {
      // A worker that is closed while the store is away waits for it for ever, and its timer with it (BullMQ 6.7).
      const { lockManager } = worker as unknown as { lockManager: { close(): Promise<void> } };
      await lockManager.close();
    }
    const clients = [...this.#clients];
    // Of a socket that has gone already ioredis waits for the end all the same, and says "end" before (seen in 6.0).
    const lingers = clients.some(({ status }) => status === "reconnecting" || status === "close");
    const ended = clients.map((client) => new Promise((resolve) => client.once("end", resolve)));
    for (const client of clients) client.disconnect();
    if (lingers) await delay(DISCONNECT_MS + 1);
    else await within(Promise.all(ended), DISCONNECT_MS + 1);
  }

  #track(client: Redis): void {
    this.#clients.add(client);
    client.once("end", () => this.#clients.delete(client));
    const connect = client.connect.bind(client);
    // A worker of BullMQ that ends while the store is away would connect again.
    client.connect = (...done) => {
      return this.#closed ? Promise.reject(new Error("Connection is closed.")) : connect(...done);
    };
    const duplicate = client.duplicate.bind(client);
    client.duplicate = (override) => {
      const copy = duplicate(override);
      this.#track(copy);
      return copy;
    };
  }

  #watch<E extends { on(event: "error", listener: (error: Error) => void): unknown }>(emitter: E): E {
    emitter.on("error", this.failed);
    return emitter;
  }

  #tell(error: Error): void {
    try {
      this.#onError(error);
    } catch {
      // Whoever is told of errors must not be the next.
    }
  }
}

function isOtherStore(connection: Connection): connection is OtherStore {
  return typeof connection === "object" && "backend" in connection;
}

function openRedis(connection: Exclude<Connection, OtherStore>, isClosed: () => boolean): Redis {
  // Waits for Redis as long as it takes: what is pushed meanwhile is sent when it is back.
  const waiting: RedisOptions = {
    maxRetriesPerRequest: null,
    disconnectTimeout: DISCONNECT_MS,
    retryStrategy: (times) => isClosed() ? null : Math.min(50 * 2 ** times, MAX_RETRY_MS),
    // After a failover the server may be a replica now: another connection finds the one that is not.
    reconnectOnError: (error) => error.message.startsWith("READONLY") ? 2 : false,
  };
  // `never`: under exactOptionalPropertyTypes the constructor does not take the library's own type of options.
  if (typeof connection === "object" && !(connection instanceof URL)) {
    return new Redis({ ...waiting, ...connection } as never);
  }
  // Valkey's own names of the same.
  return new Redis(String(connection).replace(/^valkey/, "redis"), waiting as never);
}

/** An `AggregateError` of all addresses that were tried says nothing itself. */
function textOf(error: unknown): string {
  const { message, errors, code } = error as { message?: string; errors?: Error[]; code?: string };
  return message || errors?.[0]?.message || code || String(error);
}
