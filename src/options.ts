import { type InfoTask, MAX_DELAY, resolveSpecifier, show } from "./info_task.ts";
import type { Outcome } from "./outcome.ts";
import type { RetryData } from "./wire/protocol.ts";
import { NAMES as PERMISSIONS } from "./runtime/permissions.ts";

/**
 * How to run a task again that did not return: the names and the back-off of `RetryOptions` of `@std/async`, and
 * which statuses are tried again. Waiting for the next attempt holds no worker.
 */
export interface RetryOptions {
  /** How often the task is run at most, the first run included. Default 5. */
  maxAttempts?: number | undefined;
  /** Milliseconds before the second attempt. Default 1 000. */
  minTimeout?: number | undefined;
  /** Milliseconds between two attempts at most. Default 60 000. */
  maxTimeout?: number | undefined;
  /** What the wait grows by with each attempt. Default 2. */
  multiplier?: number | undefined;
  /** The share of each wait that is left to chance, from 0 to 1. Default 1. */
  jitter?: number | undefined;
  /** What is tried again. Default `["failed", "crashed"]`. */
  on?: readonly ("failed" | "crashed" | "timed-out")[] | undefined;
}

/** What a pool is made of. Every option has a default. */
export interface MultiProcessOptions {
  /** How many tasks run at once. Default: the number of cores. */
  size?: number | undefined;
  /** How many workers are kept when there is little to do. Default: `size`. */
  minSize?: number | undefined;
  /** Milliseconds until an idle worker beyond `minSize` is ended. Default 10 000. */
  idleTimeout?: number | undefined;
  /** Warm workers beyond `size`, each ready to take over at once when a worker is stopped. Default 1. */
  spares?: number | undefined;
  /**
   * What a worker is. `"thread"`: fast, shares memory. `"process"`: slower, can always be killed, contains native
   * crashes and exhausted memory, and can be given fewer permissions; needs `--allow-run`. `"auto"`, the default:
   * threads where the runtime can stop them (Deno 2.9.4 and later), else processes where they may be started.
   */
  isolation?: "auto" | "thread" | "process" | undefined;
  /** How many tasks may wait, beyond those that run, before `push` throws. Default `Infinity`. */
  maxQueue?: number | undefined;
  /** Runs after which a worker is replaced, between two tasks. Default `Infinity`. */
  maxTasksPerWorker?: number | undefined;
  /** How tasks that did not return are tried again, unless the push says otherwise. Default: they are not. */
  retry?: RetryOptions | undefined;
  /**
   * A module that every worker imports before its first task. Its `initialize()` and, when a worker ends cleanly, its
   * `dispose()` are called and awaited, where it exports them. If it throws, the pool cannot start.
   */
  initializer?: string | URL | undefined;
  /** Milliseconds that loading a task's module may take, and running the `initializer`, times the workers a core. Default 10 000. */
  loadTimeout?: number | undefined;
  /** MiB of memory that a worker may use. Default: what the runtime allows. */
  memoryLimit?: number | undefined;
  /** What tasks may do, never more than the process itself. Needs processes. Default: what the process may. */
  permissions?: Deno.PermissionOptions | undefined;
  /** Milliseconds that `stop()` waits for callbacks. Default `Infinity`. */
  callbackTimeout?: number | undefined;
  /**
   * Called with what a callback threw; may be async. Default: one line on stderr. Where an `onProgress` threw, the task
   * has no outcome yet: then it is a `failed` one whose error says so.
   */
  onCallbackError?: ((error: unknown, outcome: Outcome) => unknown) | undefined;
  /** Shown in messages. Default `"multiprocess"`. */
  name?: string | undefined;
  /** Milliseconds that a stopped worker has to end by itself before it is interrupted. Default 300. */
  killGrace?: number | undefined;
  /** Stopped workers that are known not to have ended, beyond which no new ones are started. Default: `size` + 4. */
  maxZombies?: number | undefined;
  /** Restarts a second, beyond a burst of three, of workers that ended without being told to. Default: `size`. */
  maxRestarts?: number | undefined;
}

/** How one task is run. */
export interface PushOptions<R = unknown> {
  /** Called with the value instead of the module's `callback`. */
  callback?: ((value: R, outcome: Outcome<R>) => unknown) | undefined;
  /** Called with the error instead of the module's `errorCallback`. */
  errorCallback?: ((error: Error, outcome: Outcome<R>) => unknown) | undefined;
  /** Cancels the task when it aborts. */
  signal?: AbortSignal | undefined;
  /** Higher goes first; a waiting task gains one level a second. Any finite number. Default 0. */
  priority?: number | undefined;
  /** How the task is tried again. Default: the pool's `retry`. */
  retry?: RetryOptions | undefined;
  /** Milliseconds of running after which the task's `signal` aborts, so that it can finish cleanly. */
  softTimeout?: number | undefined;
  /** Buffers among the arguments that are moved, not copied. */
  transfer?: ArrayBuffer[] | undefined;
  /** Called with every progress the task reports. */
  onProgress?: ((value: unknown, task: InfoTask) => unknown) | undefined;
}

/** How a whole sequence of tasks is run. Without `transfer`: a buffer could be moved only once. */
export interface MapOptions<R = unknown> extends Omit<PushOptions<R>, "transfer"> {
  /** Outcomes in the order of the inputs; `false`: as they complete. Default `true`. */
  ordered?: boolean | undefined;
  /** How many tasks are in flight at most. Default: twice the pool's size. */
  concurrency?: number | undefined;
}

type Complete<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** The options of a pool, complete. */
export interface PoolOptions extends
  Complete<
    Omit<MultiProcessOptions, "retry" | "initializer" | "memoryLimit" | "permissions" | "onCallbackError">
  > {
  retry: RetryData | undefined;
  /** Resolved. */
  initializer: string | undefined;
  memoryLimit: number | undefined;
  permissions: Deno.PermissionOptions | undefined;
  onCallbackError: ((error: unknown, outcome: Outcome) => unknown) | undefined;
}

/** What a value must be: throws the fitting error where it is not. */
type Check = (value: unknown, what: string) => void;

const integer = (min: number, infinite = false): Check => (value, what) => {
  number(value, what);
  if (infinite && value === Infinity) return;
  if (!Number.isSafeInteger(value) || value as number < min) {
    throw new RangeError(
      `${what} must be an integer of at least ${min}${infinite ? ", or Infinity" : ""}, received ${value}`,
    );
  }
};

const milliseconds = (infinite: boolean): Check => (value, what) => {
  number(value, what);
  const ms = value as number;
  if (infinite && ms === Infinity) return;
  if (!(ms >= 0 && ms <= MAX_DELAY)) {
    throw new RangeError(
      `${what} must be at least 0 and less than 2^31 milliseconds${
        infinite ? ", or Infinity" : ""
      }, received ${ms}`,
    );
  }
};

const positive: Check = (value, what) => {
  number(value, what);
  if (!(value as number > 0 && value as number < Infinity)) {
    throw new RangeError(`${what} must be a finite number above 0, received ${value}`);
  }
};

const finite: Check = (value, what) => {
  number(value, what);
  if (!Number.isFinite(value)) throw new RangeError(`${what} must be a finite number, received ${value}`);
};

const callable: Check = (value, what) => {
  if (typeof value !== "function") throw new TypeError(`${what} must be a function, received ${show(value)}`);
};

const text: Check = (value, what) => {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, received ${show(value)}`);
};

const boolean: Check = (value, what) => {
  if (typeof value !== "boolean") throw new TypeError(`${what} must be a boolean, received ${show(value)}`);
};

const specifier: Check = (value, what) => {
  if (typeof value !== "string" && !(value instanceof URL)) {
    throw new TypeError(`${what} must be a string or a URL, received ${show(value)}`);
  }
};

const oneOf = (...values: string[]): Check => (value, what) => {
  text(value, what);
  if (!values.includes(value as string)) {
    throw new RangeError(`${what} must be one of ${values.map(show).join(", ")}, received ${show(value)}`);
  }
};

const signal: Check = (value, what) => {
  if (!(value instanceof AbortSignal)) {
    throw new TypeError(`${what} must be an AbortSignal, received ${show(value)}`);
  }
};

const buffers: Check = (value, what) => {
  if (!Array.isArray(value)) {
    throw new TypeError(`${what} must be an array of ArrayBuffers, received ${show(value)}`);
  }
  for (const [i, item] of value.entries()) {
    if (item instanceof ArrayBuffer) continue;
    const hint = ArrayBuffer.isView(item) ? `a ${item.constructor.name}; name its .buffer` : show(item);
    throw new TypeError(`${what} must be an array of ArrayBuffers, received as item ${i + 1} ${hint}`);
  }
};

const permissionSet: Check = (value, what) => {
  if (value === "none" || value === "inherit") return;
  if (!isRecord(value)) {
    throw new TypeError(
      `${what} must be "none", "inherit" or an object such as { net: true }, received ${show(value)}`,
    );
  }
  for (const [name, wanted] of Object.entries(value)) {
    if (!(PERMISSIONS as readonly string[]).includes(name)) {
      throw new TypeError(
        `${what}: unknown permission ${JSON.stringify(name)}; known are ${PERMISSIONS.join(", ")}`,
      );
    }
    if (wanted === undefined || typeof wanted === "boolean" || wanted === "inherit") continue;
    if (Array.isArray(wanted) && wanted.every((item) => typeof item === "string" || item instanceof URL)) {
      continue;
    }
    throw new TypeError(
      `${what}: "${name}" must be true, false, "inherit" or an array of strings, received ${show(wanted)}`,
    );
  }
};

const retryOptions: Check = (value, what) => void readRetry(value, what);

function number(value: unknown, what: string): void {
  if (typeof value !== "number") throw new TypeError(`${what} must be a number, received ${show(value)}`);
}

const POOL: Record<keyof MultiProcessOptions, Check> = {
  size: integer(1),
  minSize: integer(0),
  idleTimeout: milliseconds(true),
  spares: integer(0),
  isolation: oneOf("auto", "thread", "process"),
  maxQueue: integer(0, true),
  maxTasksPerWorker: integer(1, true),
  retry: retryOptions,
  initializer: specifier,
  loadTimeout: milliseconds(true),
  memoryLimit: positive,
  permissions: permissionSet,
  callbackTimeout: milliseconds(true),
  onCallbackError: callable,
  name: text,
  killGrace: milliseconds(false),
  maxZombies: integer(1, true),
  maxRestarts: positive,
};

const PUSH: Record<keyof PushOptions, Check> = {
  callback: callable,
  errorCallback: callable,
  signal,
  priority: finite,
  retry: retryOptions,
  softTimeout: milliseconds(false),
  transfer: buffers,
  onProgress: callable,
};

const { transfer: _, ...EACH } = PUSH;

const MAP: Record<keyof MapOptions, Check> = { ...EACH, ordered: boolean, concurrency: integer(1) };

const RETRY: Record<keyof RetryOptions, Check> = {
  maxAttempts: integer(1),
  minTimeout: milliseconds(false),
  maxTimeout: milliseconds(false),
  multiplier: positive,
  jitter: finite,
  on: (value, what) => {
    const statuses = ["failed", "crashed", "timed-out"];
    if (!Array.isArray(value)) throw new TypeError(`${what} must be an array, received ${show(value)}`);
    for (const status of value) oneOf(...statuses)(status, `${what}: each`);
  },
};

/** An object that may be options, a module too: no array, no date, nothing else of a kind of its own. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null &&
    ["[object Object]", "[object Module]"].includes(Object.prototype.toString.call(value));
}

/** The own properties that are set, each checked; an unknown one is refused by name. */
function read<T extends object>(
  options: unknown,
  checks: Record<keyof T & string, Check>,
  what: string,
  whole = `${what}: the options`,
): Partial<T> {
  if (!isRecord(options)) throw new TypeError(`${whole} must be a plain object, received ${show(options)}`);
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(checks, key)) {
      const known = Object.keys(checks).join(", ");
      throw new TypeError(`${what}: unknown option ${JSON.stringify(key)}; known are ${known}`);
    }
    const value = options[key];
    if (value === undefined) continue;
    checks[key as keyof T & string](value, `${what}: "${key}"`);
    result[key] = value;
  }
  return result as Partial<T>;
}

/** Checks the argument of `new MultiProcess()` and fills in the defaults. */
export function readPoolOptions(argument: unknown): PoolOptions {
  const what = "Cannot create a pool";
  if (typeof argument !== "object" || argument === null) {
    if (argument === undefined) argument = {};
    else {
      integer(1)(argument, `${what}: the size`);
      argument = { size: argument };
    }
  }
  const given = read<MultiProcessOptions>(argument, POOL, what);
  const size = given.size ?? navigator.hardwareConcurrency;
  if (given.minSize !== undefined && given.minSize > size) {
    throw new RangeError(`${what}: "minSize" must be at most "size", received ${given.minSize} and ${size}`);
  }
  if (given.permissions !== undefined && given.permissions !== "inherit" && given.isolation === "thread") {
    throw new TypeError(
      `${what}: "permissions" needs isolation: "process"; all threads of a process have its permissions`,
    );
  }
  return {
    size,
    minSize: given.minSize ?? size,
    idleTimeout: given.idleTimeout ?? 10_000,
    spares: given.spares ?? 1,
    // Only processes can be given less.
    isolation: given.permissions === undefined || given.permissions === "inherit"
      ? given.isolation ?? "auto"
      : "process",
    maxQueue: given.maxQueue ?? Infinity,
    maxTasksPerWorker: given.maxTasksPerWorker ?? Infinity,
    retry: given.retry && readRetry(given.retry, `${what}: "retry"`),
    initializer: given.initializer === undefined
      ? undefined
      : resolveSpecifier(given.initializer, `${what}: "initializer"`),
    loadTimeout: given.loadTimeout ?? 10_000,
    memoryLimit: given.memoryLimit,
    permissions: given.permissions,
    callbackTimeout: given.callbackTimeout ?? Infinity,
    onCallbackError: given.onCallbackError,
    name: given.name ?? "multiprocess",
    killGrace: given.killGrace ?? 300,
    maxZombies: given.maxZombies ?? size + 4,
    maxRestarts: given.maxRestarts ?? size,
  };
}

/** Push options, checked. */
export interface CheckedPushOptions extends Omit<PushOptions<never>, "retry"> {
  retry?: RetryData;
}

/** Checks the options of `push` and `run`. */
export function readPushOptions(options: unknown): CheckedPushOptions {
  const { retry, ...rest } = read<PushOptions<never>>(options, PUSH, "Cannot push a task");
  if (retry === undefined) return rest as CheckedPushOptions;
  return { ...rest, retry: readRetry(retry, 'Cannot push a task: "retry"') } as CheckedPushOptions;
}

/** Checks the options of `map`. */
export function readMapOptions(options: unknown): MapOptions {
  return read<MapOptions>(options, MAP, "Cannot map");
}

function readRetry(options: unknown, what: string): RetryData {
  const given = read<RetryOptions>(options, RETRY, what, what);
  const retry: RetryData = {
    maxAttempts: given.maxAttempts ?? 5,
    minTimeout: given.minTimeout ?? 1_000,
    maxTimeout: given.maxTimeout ?? Math.max(60_000, given.minTimeout ?? 0),
    multiplier: given.multiplier ?? 2,
    jitter: given.jitter ?? 1,
    on: given.on ? [...given.on] : ["failed", "crashed"],
  };
  if (retry.minTimeout > retry.maxTimeout) {
    throw new RangeError(
      `${what}: "minTimeout" must be at most "maxTimeout", received ${retry.minTimeout} and ${retry.maxTimeout}`,
    );
  }
  if (retry.jitter < 0 || retry.jitter > 1) {
    throw new RangeError(`${what}: "jitter" must be from 0 to 1, received ${retry.jitter}`);
  }
  return retry;
}
