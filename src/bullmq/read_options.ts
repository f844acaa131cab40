/**
 * What the options of a fleet must be, said at the door.
 *
 * @module
 */
import { statSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import { fromFileUrl, resolve, toFileUrl } from "@std/path";
import {
  callable,
  type Check,
  integer,
  isRecord,
  milliseconds,
  positive,
  read,
  specifier,
  text,
} from "../entry/checks.ts";
import type { EntryOptions } from "../entry/pool.ts";
import { type PoolOptions, readPoolOptions } from "../entry/read_options.ts";
import { resolveSpecifier } from "../info_task.ts";
import { show } from "../util/show.ts";
import { Modules } from "./modules.ts";
import type {
  Connection,
  FleetOptions,
  FleetQueueOptions,
  MachinePoolOptions,
  ServeOptions,
} from "./options.ts";
import { MAX_NAME, NAME, outcomesOf } from "./wire.ts";

/** PostgreSQL truncates the names by which connections are counted. */
const MAX_CONNECTION_NAME = 63;
/** What BullMQ and this module put behind the name of a queue, to name a connection. */
const LIFE_NAME = ":w:".length + 16;

/** How many tasks of a `map` are in flight at most, unless it says otherwise. */
const MAP_CONCURRENCY = 64;

const name: Check = (value, what) => {
  text(value, what);
  if (!NAME.test(value as string)) {
    throw new RangeError(
      `${what} must be 1 to ${MAX_NAME} letters, digits, "_", "-" and ".", received ${show(value)}`,
    );
  }
};

const specifiers: Check = (value, what) => {
  if (!Array.isArray(value)) throw new TypeError(`${what} must be an array, received ${show(value)}`);
  for (const item of value) specifier(item, `${what}: each`);
};

const connection: Check = (value, what) => {
  if (typeof value === "string" || value instanceof URL) {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || !["redis:", "rediss:", "valkey:", "valkeys:"].includes(url.protocol)) {
      // Without what it is: there may be a password in it.
      throw new TypeError(`${what} must be a URL such as "redis://localhost:6379" or "rediss://…"`);
    }
  } else if (!isRecord(value)) {
    throw new TypeError(
      `${what} must be a URL, options for ioredis, or { store, backend }, received ${show(value)}`,
    );
  } else if ("backend" in value) {
    callable(value.backend, `${what}: "backend"`);
  } else if ("defineCommand" in value) {
    throw new TypeError(`${what} must be the options of a client, not a client`);
  }
};

const pool: Check = (value, what) => {
  if (typeof value !== "number" && !isRecord(value)) {
    throw new TypeError(`${what} must be a size or the options of a pool, received ${show(value)}`);
  }
};

const QUEUE = {
  queue: name,
  root: specifier,
  connection,
  modules: specifiers,
  connectTimeout: milliseconds(true),
  onError: callable,
};

const FLEET: Record<keyof FleetOptions, Check> = {
  ...QUEUE,
  name,
  maxBytes: integer(1),
  checkInterval: positive,
  // Looked at by the core, which knows what they are.
  maxQueue: () => {},
  retry: () => {},
  callbackTimeout: () => {},
  onCallbackError: () => {},
};

const SERVE: Record<keyof ServeOptions, Check> = {
  ...QUEUE,
  pool,
  prefetch: integer(0),
  lockDuration: integer(100),
  maxCrashes: integer(1),
  grace: milliseconds(true),
  keep: integer(0),
  maxBytes: integer(1),
  name: text,
};

/** What both sides need to reach the queue. */
export interface QueueSettings {
  queue: string;
  name: string;
  modules: Modules;
  connection: Connection;
  connectTimeout: number;
  onError: (error: Error) => unknown;
}

/** The options of a producer, complete. */
export interface FleetSettings extends QueueSettings {
  maxBytes: number;
  checkInterval: number;
  /** For the thread that pushes. */
  entry: EntryOptions;
}

/** The options of a machine, complete. */
export interface ServeSettings extends QueueSettings {
  pool: PoolOptions;
  prefetch: number;
  lockDuration: number;
  maxCrashes: number;
  grace: number;
  keep: number;
  maxBytes: number;
}

/** Checks the argument of `new Fleet()` and fills in the defaults. */
export function readFleetOptions(options: unknown): FleetSettings {
  const what = "Cannot create a fleet";
  const given = read<FleetOptions>(options, FLEET, what);
  const { maxQueue, retry, callbackTimeout, onCallbackError } = given;
  const name = required(given, "name", what);
  const shared = readPoolOptions({ maxQueue, retry, callbackTimeout, onCallbackError, name });
  const settings = readQueueOptions(given, name, what);
  checkConnectionName(settings, what);
  return {
    ...settings,
    maxBytes: given.maxBytes ?? 2 ** 20,
    checkInterval: given.checkInterval ?? 30_000,
    // No task runs in this process: all that have no outcome count as waiting.
    entry: { ...shared, size: 0, concurrency: MAP_CONCURRENCY },
  };
}

/** Checks the argument of `serve()` and fills in the defaults. */
export function readServeOptions(options: unknown): ServeSettings {
  const what = "Cannot serve";
  const given = read<ServeOptions>(options, SERVE, what);
  const name = given.name ?? `${hostname()}:${process.pid}`;
  return {
    ...readQueueOptions(given, name, what),
    pool: readMachinePool(given.pool, name, what),
    prefetch: given.prefetch ?? 0,
    lockDuration: given.lockDuration ?? 15_000,
    maxCrashes: given.maxCrashes ?? 3,
    grace: given.grace ?? 10_000,
    keep: given.keep ?? 100,
    maxBytes: given.maxBytes ?? 2 ** 20,
  };
}

function readQueueOptions(
  given: Partial<FleetQueueOptions>,
  name: string,
  what: string,
): QueueSettings {
  const root = readRoot(required(given, "root", what), `${what}: "root"`);
  const modules = (given.modules ?? []).map((each) => resolveSpecifier(each, `${what}: "modules": each`));
  return {
    queue: required(given, "queue", what),
    name,
    modules: new Modules(root, modules),
    connection: required(given, "connection", what),
    connectTimeout: given.connectTimeout ?? 10_000,
    onError: given.onError ?? ((error) => console.error(`${name}: ${error.message}`)),
  };
}

function readMachinePool(
  pool: number | MachinePoolOptions | undefined,
  name: string,
  what: string,
): PoolOptions {
  if (isRecord(pool)) {
    for (const key of ["maxQueue", "retry", "callbackTimeout", "onCallbackError", "name"]) {
      if (Object.hasOwn(pool, key)) {
        throw new TypeError(
          `${what}: "pool": ${JSON.stringify(key)} is for the producer to say, not for a machine`,
        );
      }
    }
    return readPoolOptions({ ...pool, name });
  }
  return readPoolOptions({ size: pool, name });
}

function required<T extends object, K extends keyof T & string>(
  given: T,
  key: K,
  what: string,
): Exclude<T[K], undefined> {
  const value = given[key];
  if (value === undefined) throw new TypeError(`${what}: "${key}" is required`);
  return value as Exclude<T[K], undefined>;
}

/** The URL of the folder, with a slash at its end. */
function readRoot(root: string | URL, what: string): string {
  const isPath = typeof root === "string" && !URL.canParse(root);
  const url = isPath ? toFileUrl(resolve(root)) : new URL(root);
  if (!["file:", "https:", "http:"].includes(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new RangeError(`${what} must be a path or the URL of a folder, received ${show(String(root))}`);
  }
  if (url.protocol === "file:") checkFolder(url, what);
  else if (!url.href.endsWith("/")) {
    throw new RangeError(`${what} must end with "/" where it is no file: URL, received ${show(url.href)}`);
  }
  return url.href.endsWith("/") ? url.href : `${url.href}/`;
}

function checkFolder(url: URL, what: string): void {
  const path = fromFileUrl(url);
  let why = "is no folder";
  try {
    if (statSync(path).isDirectory()) return;
  } catch (error) {
    // Who may not look may still be right.
    if ((error as { code?: unknown }).code !== "ENOENT") return;
    why = "does not exist";
  }
  throw new RangeError(`${what} must be a folder: ${path} ${why}`);
}

/** Two producers of one name are told apart by the names of their connections, which must not be truncated. */
function checkConnectionName({ queue, name, connection }: QueueSettings, what: string): void {
  if (!isRecord(connection) || !("backend" in connection)) return;
  const longest = MAX_CONNECTION_NAME - LIFE_NAME -
    (outcomesOf(queue, name).length - queue.length - name.length);
  if (queue.length + name.length > longest) {
    throw new RangeError(
      `${what}: "queue" and "name" together must have at most ${longest} letters in this store`,
    );
  }
}
