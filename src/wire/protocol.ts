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

/** Which of the errors in a value, counted as they are met, are more than their clone, and what: `inner_errors.ts`. */
export type InnerErrors = [at: number, error: ErrorData][];

/** Why a worker ended. */
export interface DeathData {
  /** `"machine"`: with the machine that it ran on, of which there are many. */
  reason: "exit" | "error" | "memory" | "signal" | "machine";
  exitCode: number | null;
  /** What nobody caught. */
  error?: ErrorData;
  /** What a task had changed that others count on: a global, or `"stdin"`. */
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

/** What a task is told of itself where it was pushed elsewhere: to a pool on another machine. */
export interface TaskOrigin {
  /** Its id in that pool. */
  id: number;
  /** How often it was run before it came here. */
  attempts: number;
}

/** A task with more to say than a record holds. */
export interface TaskData {
  id: number;
  module: number;
  timeout: number;
  /** Undefined for a task that only loads its module to see which callbacks it has. */
  args: unknown[] | undefined;
  /** The errors in them. */
  inner?: InnerErrors | undefined;
  /** The arguments, where they are large: see `sealed.ts`. */
  sealed?: MessagePort;
  /** How many bytes are sealed. */
  bytes?: number;
  /** Buffers among the arguments that are moved, not copied. */
  transfer: ArrayBuffer[];
  priority: number;
  softTimeout: number | undefined;
  cancelGrace?: number | undefined;
  timeoutGrace?: number | undefined;
  retry: RetryData | undefined;
  origin?: TaskOrigin | undefined;
}

/** What of the options can change while the pool runs. */
export interface Sizes {
  size: number;
  minSize: number;
  maxZombies: number;
  /** Restarts a second, beyond a burst of 3, for workers that died without being told to. */
  restarts: number;
}

/** What a worker is given beside its tasks. */
export interface WorkerSetup {
  /** Task modules that it loads before it is ready: they have loaded well in other workers. */
  ahead?: readonly ModuleData[];
  /** A module by its URL, and what its `initialize` is called with. */
  initializer: { module: string; data: unknown } | undefined;
  /** How far its priority is below the program's, once it is ready. */
  nice: number;
  /** MiB. */
  memoryLimit: number | undefined;
  /** What becomes of what its tasks print. */
  output: "inherit" | "capture" | "ignore";
  /** MiB from which on it is replaced. */
  maxMemoryBeforeRecycle: number | undefined;
  /** Its environment variables; undefined for those of the program. */
  env: Readonly<Record<string, string>> | undefined;
  /** Its arguments; undefined for those of the program. */
  argv: readonly string[] | undefined;
}

/** What the dispatcher needs to know of the options. */
export interface DispatcherOptions extends Sizes {
  /** Shown in messages. */
  name: string;
  idleTimeout: number;
  spares: number;
  /** Undefined for as many as workers of this kind may be. */
  maxSpares: number | undefined;
  isolation: "thread" | "process";
  /** It runs in a cell. */
  cell: boolean;
  /** The pool was warm with another cell, or dispatcher: it goes on, whatever becomes of the workers of this one. */
  takesOver: boolean;
  /** The entry starts a first worker itself: see `runtime/bridge.ts`. */
  bridge: boolean;
  /** Whether workers may be processes where there is a reason. */
  processes: boolean;
  maxTasksPerWorker: number;
  setup: WorkerSetup;
  loadTimeout: number;
  disposeTimeout: number;
  killGrace: number;
  cancelGrace: number;
  timeoutGrace: number;
  /** What a child process may do; undefined where none may be started. */
  permissions: { flags: string[]; readsAll: boolean; readsSome: boolean } | undefined;
  /** For child processes. */
  cwd: string | undefined;
  v8Flags: readonly string[];
  /** The main module of the program. */
  main: string;
}

/** The first module of a pool, where there are tasks of it in the turn in which the pool is started. */
export interface FirstModule {
  module: number;
  specifier: string;
  /** A batch of one task, which the bridge has already: see `FIRST_RUN`. Told later, the bridge might be heard before. */
  task: ArrayBuffer | undefined;
}

/** Of the run of a task that the entry hands to the bridge itself, before the dispatcher is there. */
export const FIRST_RUN = { seq: 0, slot: 1, attempt: 1 } as const;

/** The dispatcher's end of the worker that the entry has started. */
export interface BridgeData {
  port: MessagePort;
  /** When its start began. */
  since: number;
  /** What it shares with the dispatcher, where it can. */
  memory: SharedArrayBuffer | undefined;
  /** The name of the lock that it is to hold, where that is how its end is noticed. */
  lock: string | undefined;
}

/** From the entry to the dispatcher. A bare buffer, the most frequent message by far: records of tasks. */
export type ToDispatcher =
  | ArrayBuffer
  | {
    type: "hello";
    version: number;
    options: DispatcherOptions;
    /** None to cells. */
    nursery: MessagePort | undefined;
    bridge: BridgeData | undefined;
    first?: FirstModule | undefined;
  }
  /** The worker that the entry has started has ended. */
  | { type: "bridge-gone"; death: DeathData }
  /** It was interrupted, as asked by `kill-bridge`. */
  | { type: "bridge-interrupted" }
  | { type: "module"; module: number; specifier: string }
  /** Nothing is sent with this number any more; `sent`: tasks, and questions for callbacks. */
  | { type: "forget"; module: number; sent: number }
  | { type: "push"; task: TaskData; at: number }
  | { type: "cancel"; ids: number[] }
  /** Of all tasks up to this id, those that no worker has begun. Answered by `waiting-cancelled`, after the outcomes. */
  | { type: "cancel-waiting"; upTo: number }
  | { type: "inspect"; module: number }
  | { type: "resume"; id: number }
  | { type: "resize"; sizes: Sizes }
  /** Answered by `renewed`. */
  | { type: "renew" }
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
  /** The errors in it. */
  inner?: InnerErrors | undefined;
  /** The value, where it is large: see `sealed.ts`. */
  sealed?: MessagePort | undefined;
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
  idleDeaths: number;
  inProcesses: string[];
  waitedMs: { p50: number; p99: number; max: number; mean: number; stddev: number };
  ranMs: { p50: number; p99: number; max: number; mean: number; stddev: number };
}

/** What happens in a pool, for whoever watches. `at` is in milliseconds since the epoch. */
export type EventData =
  | { type: "started"; at: number; taskId: number; attempt: number; workerId: number; slot: number }
  | { type: "output"; at: number; taskId: number; stream: "stdout" | "stderr"; text: string }
  | { type: "worker-started" | "worker-killed"; at: number; workerId: number }
  | {
    type: "worker-gone";
    at: number;
    workerId: number;
    reason: DeathData["reason"] | "stopped";
    error: ErrorData | undefined;
  };

/** From the dispatcher to the entry. A bare buffer: records of outcomes. */
export type ToEntry =
  | ArrayBuffer
  /** The pool is warm. The quickest of its workers took so many milliseconds to start. */
  | { type: "ready"; startMs: number }
  /** Interrupts the worker that the entry has started. Answered by `bridge-interrupted`. */
  | { type: "kill-bridge" }
  /** Of a cell: a thread in it does not end. */
  | { type: "zombie" }
  /** Of a cell: a task of the module came to an end of its own. Told once, before its outcome. */
  | { type: "sound"; module: number; callbacks: number | undefined }
  /** Of a cell: a run of the task is over, so many in all, and another is to follow. */
  | { type: "again"; id: number; attempts: number }
  /** The pool cannot start, or cannot go on. */
  | { type: "broken"; error: ErrorData; message: string }
  | { type: "outcome"; outcome: OutcomeData }
  /** Of tasks that did not return: many may be cancelled at once. */
  | { type: "outcomes"; outcomes: OutcomeData[] }
  /** What a task has printed, told before its outcome. */
  | { type: "output"; id: number; text: string }
  | { type: "waiting-cancelled" }
  | { type: "renewed" }
  /** Undefined where it could not be loaded. */
  | { type: "inspected"; module: number; callbacks: number | undefined }
  | { type: "progress"; id: number; value: unknown; inner?: InnerErrors | undefined; pull: boolean }
  | { type: "events"; events: EventData[] }
  | { type: "stats"; request: number; stats: StatsData }
  /** Told to terminate: the outcomes of the tasks that ran have been sent. */
  | { type: "told" }
  | { type: "closed"; stats: StatsData };

/** From the entry to the nursery's thread: whose orders it takes, and that all workers are to end. */
export type ToNurseryThread =
  | {
    type: "serve";
    port: MessagePort;
    /** Where a module is that is part of the program: see `web.ts`. */
    places?: Record<string, string> | undefined;
  }
  | { type: "end" };

/** From the nursery's thread to the entry: none is left that is to end before this thread does. */
export type FromNurseryThread = { type: "ended" };

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
  /** Asks for `readable`. */
  | { type: "ask-readable"; file: number; specifier: string; permissions: readonly string[]; main: string }
  /** Asks for `drained`. */
  | { type: "drain"; worker: number; request: number };

/** What a new worker needs to know. */
export interface WorkerSpec {
  isolation: "thread" | "process";
  setup: WorkerSetup;
  /** Somebody waits for it: a thread loads later what is only needed to interrupt it safely. */
  hurried: boolean;
  /** The name of the lock that it is to hold, where that is how its end is noticed. */
  lock?: string | undefined;
  /** In a cell: which part of the claims it writes. */
  claims?: number | undefined;
  /** For a child process. */
  child?: ChildSpec | undefined;
}

/** What a child process is to be started with. */
export interface ChildSpec {
  /** What it may do, as command line flags. */
  permissions: readonly string[];
  /** Modules whose files it must be able to read, where it may not read everything. */
  readable: readonly string[];
  /** Its working directory; undefined for that of the program. */
  cwd: string | undefined;
  /** Flags for V8 beside those of the program. */
  v8Flags: readonly string[];
  /** The main module of the program. */
  main: string;
}

/** From the nursery to the dispatcher. */
export type FromNursery =
  | { type: "gone"; worker: number; death: DeathData }
  /** It was to be interrupted, or killed, and has been. */
  | { type: "interrupted"; worker: number }
  /** A message that a child process cannot be sent. */
  | { type: "undeliverable"; worker: number; seq: number; error: ErrorData }
  /** Whether child processes that have nothing but their permissions may read all files of a module. */
  | { type: "readable"; file: number; readable: boolean }
  /** What a child process had said when this was asked for has been passed on. */
  | { type: "drained"; request: number };

/** A task module. Its specifier comes taken apart: in a worker, tasks may have patched what that needs. */
export interface ModuleData {
  module: number;
  specifier: string;
  url: string;
  /** The name of the export, where the specifier names one. */
  exported: string | undefined;
}

/** A task to run, with arguments that a record cannot hold. */
export interface RunOne {
  type: "run-one";
  seq: number;
  /** Its id in this pool. */
  task: number;
  /** The id that it is told. */
  id: number;
  attempt: number;
  slot: number;
  module: number;
  args: unknown[] | undefined;
  inner: InnerErrors | undefined;
  /** The arguments, where they are large: see `sealed.ts`. */
  sealed?: MessagePort;
  /** For the nursery: the buffers that came with it and are nowhere else. */
  moved?: ArrayBuffer[];
}

/** From the dispatcher to a worker. A bare buffer: records of runs, each with the number it has on this worker. */
export type ToWorker =
  | ArrayBuffer
  | { type: "modules"; modules: readonly ModuleData[] }
  | { type: "forget"; module: number }
  | RunOne
  /** Aborts the `signal` of the task, if it still runs; if it is `over`, it has its outcome, and tells no more. */
  | { type: "abort"; seq: number; over: boolean }
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
  /** What a task prints, where that is captured. */
  | { type: "output"; seq: number; stream: "stdout" | "stderr"; text: string }
  /** It takes more memory than it should, told once. */
  | { type: "full" }
  | { type: "failed-start"; error: ErrorData }
  /** Only where there is no shared memory to tell it: the task loads, or runs. */
  | { type: "started"; seq: number; at: number; loading: boolean; callbacks: number }
  | { type: "result"; result: ResultData }
  /** Loading the module changed the globals: from now on this worker runs tasks of its file only, and skips others. */
  | { type: "home"; module: number }
  | ProgressData
  /** It was told to close, and runs the initializer's `dispose()`. */
  | { type: "disposing" }
  | { type: "failed-dispose"; error: ErrorData }
  /** The worker is about to end by itself. */
  | { type: "dying"; death: DeathData }
  /** From the nursery: the child process has ended, and all that it told was told before. Answered by `close`. */
  | { type: "ended"; death: DeathData }
  /** From the nursery: what was moved to a process that has ended without having begun the task. */
  | { type: "returned"; seq: number; args: unknown[] | undefined; moved: ArrayBuffer[] };

/** What a worker is doing. */
export interface Running {
  readonly seq: number;
  /** When it began: to load the module, or to run. */
  readonly since: number;
  readonly loading: boolean;
  /** Which callbacks the task's module has, once it is loaded. */
  readonly callbacks: number | undefined;
}

/** What a task reports before its end. */
export interface ProgressData {
  type: "progress";
  seq: number;
  value: unknown;
  /** The errors in it. */
  inner: InnerErrors | undefined;
  /** It was yielded: the task waits until it is taken. */
  pull: boolean;
}

/** The end of one run, where a record cannot hold it. */
export interface ResultData {
  seq: number;
  /** Which callbacks the module has; undefined where nobody tried to load it. */
  callbacks: number | undefined;
  startedAt: number;
  endedAt: number;
  value?: unknown;
  /** The errors in it. */
  inner?: InnerErrors | undefined;
  /** The value, where it is large: see `sealed.ts`. */
  sealed?: MessagePort | undefined;
  error?: ErrorData;
  load?: { message: string; cause?: ErrorData };
}
