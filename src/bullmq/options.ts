import type { MultiProcessOptions } from "../options.ts";

/** A store of BullMQ other than Redis or Valkey: what its backend connects with, and the factory of that backend. */
export interface OtherStore {
  /** What the backend takes as its connection: for PostgreSQL a `pg` pool. */
  store: unknown;
  /** For PostgreSQL `createPostgresBackend` of BullMQ. */
  backend: (...args: never[]) => unknown;
}

/** The options of an ioredis client: these are the common ones. */
export interface RedisConnection {
  /** Default `localhost`. */
  host?: string;
  /** Default 6379. */
  port?: number;
  /** Of a Unix socket, instead of host and port. */
  path?: string;
  /** Of an ACL user. */
  username?: string;
  /** Of the user, or of the server. */
  password?: string;
  /** The number of the database. Default 0. */
  db?: number;
  /** Options of `node:tls`; `{}` for TLS with the host's own certificates. */
  tls?: object;
  /** Whatever else ioredis takes, such as `sentinels`. */
  [option: string]: unknown;
}

/**
 * Where the queue is: the URL of a Redis or Valkey server (`redis://user:password@host:6379`, `rediss://` for TLS), the
 * options of an ioredis client, or another store.
 */
export type Connection = string | URL | RedisConnection | OtherStore;

/** What producers and machines have in common. */
export interface FleetQueueOptions {
  /** The name of the queue: letters, digits, `_`, `-` and `.`. A version in it keeps old and new task modules apart. */
  queue: string;
  /**
   * The folder of the task modules: a path, or the URL of a folder. What runs is named by its path below it, which is
   * the same on every machine.
   */
  root: string | URL;
  /** Where the queue is. */
  connection: Connection;
  /** Modules elsewhere that may run too: exact URLs (`jsr:`, `npm:`, `https:`, `file:`), or folders that end with `/`. */
  modules?: readonly (string | URL)[] | undefined;
  /** Milliseconds until the queue must have been reached for the first time. Default 10 000. `Infinity`: wait. */
  connectTimeout?: number | undefined;
  /** Called with what goes wrong with the queue, once an outage. Default: one line on stderr. */
  onError?: ((error: Error) => unknown) | undefined;
}

/** What a producer is made of. */
export interface FleetOptions
  extends
    FleetQueueOptions,
    Pick<MultiProcessOptions, "maxQueue" | "retry" | "callbackTimeout" | "onCallbackError"> {
  /**
   * Who this producer is, also after a restart: the outcomes of its tasks wait under this name. No two living producers
   * may have the same.
   */
  name: string;
  /** Bytes that the arguments of a task may take. Default 1 MiB. */
  maxBytes?: number | undefined;
  /** How often it is looked whether the queue has lost a task, in milliseconds. Default 30 000. */
  checkInterval?: number | undefined;
}

/** The pool of a machine: the options of a `MultiProcess`, but for those that are the producer's. */
export type MachinePoolOptions = Omit<
  MultiProcessOptions,
  "maxQueue" | "retry" | "callbackTimeout" | "onCallbackError" | "name"
>;

/** What a machine is made of. */
export interface ServeOptions extends FleetQueueOptions {
  /** How many tasks run here at once, or all options of the pool. Default: the number of cores. */
  pool?: number | MachinePoolOptions | undefined;
  /** Tasks taken beyond those that run. Default 0: none waits here while another machine is idle. */
  prefetch?: number | undefined;
  /** Milliseconds without a sign of life after which another machine takes the tasks over. Default 15 000. */
  lockDuration?: number | undefined;
  /** How many machines may be lost under one task before it is `crashed`. Default 3. */
  maxCrashes?: number | undefined;
  /** Milliseconds that `stop()` lets tasks run before they go back to the queue. Default 10 000. */
  grace?: number | undefined;
  /** Finished jobs, with their arguments, kept for dashboards. Default 100. */
  keep?: number | undefined;
  /** Bytes that the result of a task may take. Default 1 MiB. */
  maxBytes?: number | undefined;
  /** Shown in messages and dashboards. Default: the host's name and the process's id. */
  name?: string | undefined;
}
