/**
 * Every message between the entry, the dispatcher, the nursery and the workers: types only, one union for each
 * direction.
 *
 * ```
 * entry ── ToDispatcher ──▶ dispatcher ── ToWorker ──▶ worker
 * entry ◀── ToEntry ─────── dispatcher ◀── FromWorker ─ worker
 *                           dispatcher ◀── FromNursery / ToNursery ──▶ nursery (starts and ends the workers)
 * ```
 *
 * Tasks and outcomes whose values are small and plain travel as records in one buffer a batch (`records.ts`),
 * all others as a message of their own.
 *
 * @module
 */

/** Changes whenever a message does: both ends of a channel must speak the same. */
export const PROTOCOL_VERSION = 1;

/** Bits that say which callbacks a task module has. */
export const HAS_CALLBACK = 1;
/** See {@linkcode HAS_CALLBACK}. */
export const HAS_ERROR_CALLBACK = 2;

/** An error as plain data. */
export interface ErrorData {
  /** The nearest built-in class, such as `"TypeError"`, `"DOMException"` or `"Deno.errors.NotFound"`. */
  class: string;
  name: string;
  message: string;
  stack: string | undefined;
  /** Own properties such as `code`, and `cause`; those that are errors themselves are data too. */
  properties: [key: string, value: unknown, isError: boolean][];
  /** The errors of an `AggregateError`. */
  errors?: ErrorData[];
}

/** Why a worker ended. */
export interface DeathData {
  reason: "exit" | "error" | "memory" | "signal";
  exitCode: number | null;
  /** What nobody caught. */
  error?: ErrorData;
  /** The global that a task had changed. */
  changed?: string;
  /** What happened, as the end of a sentence that begins with "the worker". */
  message: string;
}

/** How to run a task that failed once more, all in milliseconds. */
export interface RetryData {
  maxAttempts: number;
  minTimeout: number;
  maxTimeout: number;
  multiplier: number;
  jitter: number;
  on: readonly ("failed" | "crashed" | "timed-out")[];
}

/** A task with more to say than a record holds. */
export interface TaskData {
  id: number;
  module: number;
  timeout: number;
  /** Undefined for a task that only loads its module to see which callbacks it has. */
  args: unknown[] | undefined;
  /** Buffers among the arguments that are moved, not copied. */
  transfer: ArrayBuffer[];
  priority: number;
  softTimeout: number | undefined;
  retry: RetryData | undefined;
}

/** What the dispatcher needs to know of the options. */
export interface DispatcherOptions {
  /** Shown in messages. */
  name: string;
  size: number;
  minSize: number;
  idleTimeout: number;
  spares: number;
  isolation: "thread" | "process";
  maxTasksPerWorker: number;
  initializer: string | undefined;
  loadTimeout: number;
  killGrace: number;
  maxZombies: number;
  restarts: number;
  memoryLimit: number | undefined;
  /** What a child process may do; undefined for threads. */
  permissions: { flags: string[]; readsAll: boolean } | undefined;
  /** The configuration file for child processes. */
  config: string | undefined;
}

/** From the entry to the dispatcher. A bare buffer, the most frequent message by far: records of tasks. */
export type ToDispatcher =
  | ArrayBuffer
  | { type: "hello"; version: number; options: DispatcherOptions; nursery: MessagePort }
  | { type: "module"; module: number; specifier: string }
  | { type: "push"; task: TaskData; at: number }
  | { type: "cancel"; id: number }
  | { type: "inspect"; module: number }
  | { type: "resume"; id: number }
  | { type: "watch-events"; on: boolean }
  | { type: "stats"; request: number }
  | { type: "stop" }
  | { type: "terminate" };

/** The outcome of one task, where a record cannot hold it. */
export interface OutcomeData {
  id: number;
  status: "ok" | "failed" | "timed-out" | "crashed" | "cancelled";
  worker: number | undefined;
  attempts: number;
  waitedMs: number;
  ranMs: number;
  /** Which callbacks the module has; undefined where it was never loaded. */
  callbacks: number | undefined;
  /** The value of a task that returned. */
  value?: unknown;
  /** What it threw. */
  error?: ErrorData;
  /** How its worker ended. */
  death?: DeathData;
  /** What kind of limit was passed, and the limit. */
  limit?: { loading: boolean; timeout: number };
  /** Why it could not be loaded. */
  load?: { message: string; cause?: ErrorData };
}

/** The dispatcher's part of `Stats`. */
export interface StatsData {
  workers: { starting: number; idle: number; busy: number; stopping: number };
  queued: number;
  running: number;
  zombies: number;
  spawned: number;
  killed: number;
  ended: { asked: number; interrupted: number };
  waitedMs: { p50: number; p99: number; max: number };
  ranMs: { p50: number; p99: number; max: number };
}

/** What happens in a pool, for whoever watches. `at` is in milliseconds since the epoch. */
export type EventData =
  | { type: "started"; at: number; taskId: number; attempt: number; workerId: number }
  | { type: "worker-started" | "worker-killed" | "worker-gone"; at: number; workerId: number };

/** From the dispatcher to the entry. A bare buffer: records of outcomes. */
export type ToEntry =
  | ArrayBuffer
  | { type: "ready" }
  /** The pool cannot start, or cannot go on. */
  | { type: "broken"; error: ErrorData; message: string }
  | { type: "outcome"; outcome: OutcomeData }
  | { type: "inspected"; module: number; callbacks: number }
  | { type: "progress"; id: number; value: unknown; pull: boolean }
  | { type: "events"; events: EventData[] }
  | { type: "stats"; request: number; stats: StatsData }
  /** Told to terminate: the outcomes of the tasks that ran have been sent. */
  | { type: "told" }
  | { type: "closed"; stats: StatsData };

/** From the dispatcher to the nursery. */
export type ToNursery =
  | {
    type: "spawn";
    worker: number;
    port: MessagePort;
    shared: SharedArrayBuffer | undefined;
    spec: WorkerSpec;
  }
  /** Interrupts a thread, kills a process. */
  | { type: "kill"; worker: number }
  /** Asks for `drained`. */
  | { type: "drain"; worker: number; request: number };

/** What a new worker needs to know. */
export interface WorkerSpec {
  isolation: "thread" | "process";
  initializer: string | undefined;
  memoryLimit: number | undefined;
  /** Command line flags of a child process. */
  flags: string[];
  /** Modules whose files it must be able to read, where it may not read everything. */
  readable: string[];
}

/** From the nursery to the dispatcher. */
export type FromNursery =
  | { type: "gone"; worker: number; death: DeathData }
  /** A message that a child process cannot be sent. */
  | { type: "undeliverable"; worker: number; seq: number; error: ErrorData }
  /** What a child process had said when this was asked for has been passed on. */
  | { type: "drained"; request: number };

/** A task module. Its specifier comes taken apart: in a worker, tasks may have patched what that needs. */
export interface ModuleData {
  specifier: string;
  url: string;
  /** The name of the export, where the specifier names one. */
  exported: string | undefined;
}

/** From the dispatcher to a worker. A bare buffer: records of runs, each with the number it has on this worker. */
export type ToWorker =
  | ArrayBuffer
  | { type: "modules"; from: number; modules: ModuleData[] }
  | { type: "run-one"; seq: number; id: number; attempt: number; module: number; args: unknown[] | undefined }
  /** Aborts the `signal` of the task, if it still runs. */
  | { type: "abort"; seq: number }
  /** The entry took a yielded value: the generator may go on. */
  | { type: "resume"; seq: number }
  /** In a child process: what the task reported or yielded cannot be sent to another process. */
  | { type: "refused"; seq: number; message: string }
  /** Has a worker with a memory limit see whether its heap is full: see `TaskRunner`. */
  | { type: "ping" }
  | { type: "close"; clean: boolean };

/** There are results in the shared memory. */
export const RESULTS = 0;

/** From a worker to the dispatcher. */
export type FromWorker =
  | typeof RESULTS
  | { type: "ready"; version: number; at: number }
  | { type: "initializing" }
  | { type: "failed-start"; error: ErrorData }
  /** Only where there is no shared memory to tell it: the task loads, or runs. */
  | { type: "started"; seq: number; at: number; loading: boolean; callbacks: number }
  | { type: "result"; result: ResultData }
  | { type: "progress"; seq: number; value: unknown; pull: boolean }
  /** The worker is about to end by itself. */
  | { type: "dying"; death: DeathData };

/** What a worker is doing. */
export interface Running {
  readonly seq: number;
  /** When it began: to load the module, or to run. */
  readonly since: number;
  readonly loading: boolean;
  /** Which callbacks the task's module has, once it is loaded. */
  readonly callbacks: number | undefined;
}

/** The end of one run, where a record cannot hold it. */
export interface ResultData {
  seq: number;
  /** Which callbacks the module has; undefined where nobody tried to load it. */
  callbacks: number | undefined;
  startedAt: number;
  endedAt: number;
  value?: unknown;
  error?: ErrorData;
  load?: { message: string; cause?: ErrorData };
}
