import { checkTimeout } from "../info_task.ts";
import { show } from "../util/show.ts";
import type {
  BindOptions,
  MapOptions,
  MultiProcessOptions,
  PushOptions,
  RetryOptions,
  StopOptions,
} from "../options.ts";
import type { Outcome } from "../outcome.ts";
import { PERMISSIONS, type Permissions } from "../permissions.ts";
import { cores, killGrace } from "../runtime/host.ts";
import { isUrl } from "../runtime/kinds.ts";
import type { RetryData, Sizes } from "../wire/protocol.ts";
import {
  boolean,
  buffers,
  callable,
  type Check,
  finite,
  integer,
  isRecord,
  milliseconds,
  oneOf,
  positive,
  read,
  signal,
  text,
} from "./checks.ts";
import { readSetup, SETUP } from "./read_setup.ts";

type Complete<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** The options of a pool, with the defaults filled in. */
export interface PoolOptions extends
  Complete<
    Omit<
      MultiProcessOptions,
      | "spares"
      | "maxSpares"
      | "retry"
      | "memoryLimit"
      | "maxMemoryBeforeRecycle"
      | "permissions"
      | "onCallbackError"
      | keyof typeof SETUP
    >
  >,
  ReturnType<typeof readSetup> {
  /** When nothing is stopped. */
  spares: number;
  /** Undefined for as many as workers of the kind may be. */
  maxSpares: number | undefined;
  retry: RetryData | undefined;
  memoryLimit: number | undefined;
  maxMemoryBeforeRecycle: number | undefined;
  permissions: Permissions | undefined;
  /** Those that were given do not follow the size. */
  given: Pick<MultiProcessOptions, "minSize" | "maxZombies" | "maxRestarts">;
  onCallbackError: ((error: unknown, outcome: Outcome) => unknown) | undefined;
}

/** The name of a pool that was given none. */
export const DEFAULT_NAME = "multiprocess";

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
    if (Array.isArray(wanted) && wanted.every((item) => typeof item === "string" || isUrl(item))) {
      continue;
    }
    throw new TypeError(
      `${what}: "${name}" must be true, false, "inherit" or an array of strings, received ${show(wanted)}`,
    );
  }
};

const retryOptions: Check = (value, what) => void readRetry(value, what);

/** What is no option here, and where it is given. */
const ELSEWHERE = { timeout: "a time limit is given to each InfoTask" };

const POOL: Record<keyof MultiProcessOptions, Check> = {
  size: integer(1),
  minSize: integer(0),
  idleTimeout: milliseconds(true),
  spares: (value, what) => value === "auto" || integer(0)(value, what),
  maxSpares: integer(0),
  isolation: oneOf("auto", "thread", "process", "cell"),
  bridge: boolean,
  maxQueue: integer(0, true),
  maxTasksPerWorker: integer(1, true),
  retry: retryOptions,
  ...SETUP,
  loadTimeout: milliseconds(true),
  memoryLimit: positive,
  maxMemoryBeforeRecycle: positive,
  permissions: permissionSet,
  callbackTimeout: milliseconds(true),
  disposeTimeout: milliseconds(true),
  onCallbackError: callable,
  name: text,
  killGrace: milliseconds(false),
  cancelGrace: milliseconds(false),
  timeoutGrace: milliseconds(false),
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
  cancelGrace: milliseconds(false),
  timeoutGrace: milliseconds(false),
  transfer: buffers,
  onProgress: callable,
  label: text,
};

const MAP: Record<keyof MapOptions, Check> = {
  ...PUSH,
  ordered: boolean,
  concurrency: integer(1),
  transfer: callable,
  label: (value, what) => {
    if (typeof value === "string" || typeof value === "function") return;
    throw new TypeError(`${what} must be a string or a function, received ${show(value)}`);
  },
};

const STOP: Record<keyof StopOptions, Check> = {
  waiting: oneOf("run", "cancel"),
  reason: () => {},
};
const BIND: Record<keyof BindOptions, Check> = { ...PUSH, timeout: checkTimeout };

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
  const given = read<MultiProcessOptions>(argument, POOL, what, undefined, ELSEWHERE);
  const size = given.size ?? cores();
  const needs = needsProcesses(given);
  if (needs !== undefined && given.isolation === "thread") {
    const [option, whose] = needs;
    throw new TypeError(
      `${what}: "${option}" needs isolation: "process"; all threads of a process have its ${whose}`,
    );
  }
  return {
    ...readSizes(size, given, what),
    given,
    idleTimeout: given.idleTimeout ?? 10_000,
    ...readSpares(given),
    isolation: given.isolation === "cell" || needs === undefined ? given.isolation ?? "auto" : "process",
    bridge: given.bridge ?? true,
    maxQueue: given.maxQueue ?? Infinity,
    maxTasksPerWorker: given.maxTasksPerWorker ?? Infinity,
    retry: given.retry && readRetry(given.retry, `${what}: "retry"`),
    ...readSetup(given, what),
    loadTimeout: given.loadTimeout ?? 10_000,
    memoryLimit: given.memoryLimit,
    maxMemoryBeforeRecycle: given.maxMemoryBeforeRecycle,
    permissions: isRecord(given.permissions) ? withoutPrototype(given.permissions) : given.permissions,
    callbackTimeout: given.callbackTimeout ?? Infinity,
    disposeTimeout: given.disposeTimeout ?? 5_000,
    onCallbackError: given.onCallbackError,
    name: given.name ?? DEFAULT_NAME,
    killGrace: given.killGrace ?? killGrace,
    cancelGrace: given.cancelGrace ?? 0,
    timeoutGrace: given.timeoutGrace ?? 0,
  };
}

/** The option that no thread can have, and what all threads share instead; undefined for none. */
function needsProcesses({ permissions, cwd, v8Flags }: MultiProcessOptions): [string, string] | undefined {
  if (permissions !== undefined && permissions !== "inherit") return ["permissions", "permissions"];
  if (cwd !== undefined) return ["cwd", "working directory"];
  return v8Flags === undefined ? undefined : ["v8Flags", "V8 flags"];
}

/** The size, and what follows it unless it was given. */
function readSizes(
  size: number,
  { minSize = size, maxZombies = size + 4, maxRestarts = size }: PoolOptions["given"],
  what: string,
): Pick<PoolOptions, "size" | "minSize" | "maxZombies" | "maxRestarts"> {
  if (minSize > size) {
    throw new RangeError(`${what}: "minSize" must be at most "size", received ${minSize} and ${size}`);
  }
  return { size, minSize, maxZombies, maxRestarts };
}

/** Checks the argument of `resize`, and changes the options that follow the size. */
export function resizeOptions(options: PoolOptions, size: number): void {
  const what = "Cannot resize the pool";
  integer(1)(size, `${what}: the size`);
  Object.assign(options, readSizes(size, options.given, what));
}

/** What of the options can change while the pool runs, as the dispatcher is told it. */
export function sizesOf({ size, minSize, maxZombies, maxRestarts }: PoolOptions): Sizes {
  return { size, minSize, maxZombies, restarts: maxRestarts };
}

/** A number of spares stays what it is. */
function readSpares(
  { spares = "auto", maxSpares }: MultiProcessOptions,
): Pick<PoolOptions, "spares" | "maxSpares"> {
  return spares === "auto"
    ? { spares: Math.min(1, maxSpares ?? 1), maxSpares }
    : { spares, maxSpares: spares };
}

/** Push options, checked. */
export interface CheckedPushOptions extends Omit<PushOptions<never>, "retry"> {
  retry?: RetryData;
  /** Somebody looks at the outcome: set by `map`, and by nobody else. */
  heard?: true;
}

/** Checks the options of `push` and `run`. */
export function readPushOptions(options: unknown): CheckedPushOptions {
  const given = read<PushOptions<never>>(options, PUSH, "Cannot push a task", undefined, ELSEWHERE);
  if (given.retry !== undefined) given.retry = readRetry(given.retry, 'Cannot push a task: "retry"');
  return given as CheckedPushOptions;
}

/** Checks the options of `map`. */
export function readMapOptions(options: unknown): MapOptions {
  return read<MapOptions>(options, MAP, "Cannot map", undefined, ELSEWHERE);
}

/** Checks the options of `stop`. */
export function readStopOptions(options: unknown): StopOptions {
  return read<StopOptions>(options, STOP, "Cannot stop the pool");
}

/** Push options, and a time limit. */
export type CheckedBindOptions = CheckedPushOptions & { timeout: number };

/** Checks the options of `bind`. */
export function readBindOptions(options: unknown): CheckedBindOptions {
  const what = "Cannot bind a task";
  const given = read<BindOptions<never>>(options, BIND, what);
  if (given.timeout === undefined) checkTimeout(given.timeout, `${what}: "timeout"`);
  return given as CheckedBindOptions;
}

/** A copy that has no properties but its own. */
function withoutPrototype<T extends object>(options: T): T {
  return Object.assign(Object.create(null), options);
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
