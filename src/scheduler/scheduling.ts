/**
 * What the scheduler is told and what it tells: types only.
 *
 * @module
 */
import type { DeathData, RetryData, Running, Sizes } from "../wire/protocol.ts";
import type { Batch, Cancelled, Queued } from "./queue.ts";

/** A task, as far as scheduling is concerned. */
export interface Task extends Queued {
  readonly module: number;
  /** The time limit of a run. */
  readonly timeout: number;
  readonly softTimeout: number | undefined;
  /** How long it has to let go when it is cancelled, and at its time limit; undefined for what the options say. */
  readonly cancelGrace: number | undefined;
  readonly timeoutGrace: number | undefined;
  readonly retry: RetryData | undefined;
  /** It leaves with buffers of its own, so that once handed out it cannot be taken back: it waits behind no other. */
  readonly exclusive: boolean;
  /** How many bytes those are. */
  readonly bytes: number;
  /** How long its message took to send: some take far longer to arrive. */
  sendMs: number;
  /** How often it was started. */
  attempts: number;
  /** The last run of one that is to be tried again. */
  lastRun: Run | undefined;
  /** How often it was taken away from a worker that did not begin it. */
  refusals: number;
  /** Its number on the worker that it was handed to. */
  seq: number;
  /** The place of that worker: see `Slots`. */
  slot: number;
  /** `aside`: it is queued, and lets others go first, see `WaitingTasks`. `waiting`: for its next attempt. */
  state: "queued" | "aside" | "offered" | "waiting" | "settled";
  cancelled: Cancelled;
  crashed: boolean;
}

/** A run of a task. */
export interface Run {
  readonly worker: number;
  readonly startedAt: number;
  readonly ranMs: number;
  /** The worker had begun it, at least to load its module. */
  readonly begun: boolean;
}

/** What a worker is. A process can be stopped for certain, and can run whatever a thread can. */
export type WorkerKind = "thread" | "process";

/** What workers of a kind can hold. */
export interface Capacity {
  /** How many workers may be starting at once while tasks run: starting a process keeps a core busy. */
  readonly maxStarting: number;
  /** The most tasks a worker holds at once: 1 where it cannot share memory with the dispatcher. */
  readonly maxOffered: number;
  /** The largest number that a task may have on a worker; a worker that has used all is replaced. */
  readonly maxSeq: number;
  /** The largest difference between the numbers of two tasks that a worker holds. */
  readonly maxSpan: number;
}

/** The policy's numbers, see `MultiProcessOptions`. */
export interface SchedulerOptions extends Sizes {
  /** What workers are, unless there is a reason for them to be processes. */
  kind: WorkerKind;
  /** Whether they may be processes where there is a reason. */
  processes: boolean;
  capacity: Readonly<Record<WorkerKind, Capacity>>;
  idleTimeout: number;
  /** Workers beyond `size`: when nothing is stopped, and at most. See `Spares`. */
  spares: number;
  maxSpares: number;
  maxTasksPerWorker: number;
  loadTimeout: number;
  /** How many workers can run at the same moment. */
  cores: number;
  /** The pool has had workers elsewhere: that those here cannot be started does not end it. */
  takesOver: boolean;
  /** Its process ends with the pool, and all workers that have not ended by then. */
  cell: boolean;
  /** Whether others are started after the bridge: see `HeadStart`. */
  headStart: boolean;
  /** How long a worker may take to clean up when it ends in peace; undefined where it has nothing to clean up. */
  disposeTimeout: number | undefined;
  killGrace: number;
  cancelGrace: number;
  timeoutGrace: number;
}

/** The end of a run, as the worker tells it. */
export interface Result {
  readonly seq: number;
  readonly ok: boolean;
  /** The worker could not load the task's module. */
  readonly unloaded: boolean;
  readonly callbacks: number | undefined;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** What the scheduler is told. */
export type Event<T extends Task, R extends Result> =
  | { type: "batch"; batch: Batch<T> }
  | { type: "push"; task: T }
  | { type: "cancel"; tasks: readonly T[] }
  /** All tasks up to this id are cancelled that no worker has begun. Answered by `waiting-cancelled`. */
  | { type: "cancel-waiting"; upTo: number }
  /** The bridge, which starts, was given this task by the entry: see `FIRST_RUN`. */
  | { type: "handed"; task: T }
  | { type: "ready"; worker: number }
  | { type: "results"; worker: number; results: readonly R[] }
  | {
    type: "looked";
    worker: number;
    running: Running | undefined;
    /** All that the worker had posted by then had been told before. */
    drained: boolean;
  }
  /** Loading the module changed the worker's globals: from now on it runs tasks of its file only. */
  | { type: "home"; worker: number; module: number }
  /** There will be tasks of the module: `file` is the first module of its file, of the length of whose name `chars` is. Only workers of that `kind` may run them. */
  | { type: "module"; module: number; file: number; chars: number; kind?: WorkerKind | undefined }
  /** No task of the module is left, and none is to come. */
  | { type: "forget-module"; module: number }
  /** The worker has got as far as its initializer. */
  | { type: "initializing"; worker: number }
  /** The answer to `take-back`: the numbers of the tasks that the worker had not begun. */
  | { type: "taken-back"; worker: number; seqs: readonly number[] }
  /** The worker was told to close, and cleans up. */
  | { type: "disposing"; worker: number }
  /** The worker, which was to be interrupted, has been. */
  | { type: "interrupted"; worker: number }
  /** The worker has ended. */
  | {
    type: "gone";
    worker: number;
    death: DeathData;
    /** Results that nobody was told of. */
    results: readonly R[];
    /** What it was doing last. */
    running: Running | undefined;
    /** The numbers of the tasks that it had not begun. */
    unclaimed: readonly number[];
  }
  /** Whether workers may read the file, which has a module that is new, is asked: `readable` or `discard` tells. */
  | { type: "asked"; file: number }
  | { type: "readable"; file: number }
  /** Workers started before this may not read the file, which has a module that is new. */
  | { type: "discard"; file: number }
  /** Every worker is to be replaced, without a gap. Answered by `renewed`. */
  | { type: "renew" }
  /** One is, since it takes too much memory. */
  | { type: "full"; worker: number }
  | { type: "resize"; sizes: Sizes }
  /** Whether nothing more is to be handed out for now. */
  | { type: "hold"; on: boolean }
  | { type: "tick" }
  | { type: "stop" }
  | { type: "terminate" };

/** Why a task ended without a result. */
export type Verdict =
  | { status: "timed-out"; limit: { loading: boolean; timeout: number } }
  | { status: "crashed"; death: DeathData }
  | { status: "cancelled" };

/** What the dispatcher is told to do. */
export type Command<T extends Task, R extends Result> =
  | { type: "spawn"; worker: number; kind: WorkerKind }
  /** Take the bridge over: it is known by this number. */
  | { type: "adopt"; worker: number }
  /** Hand tasks to a worker; of these modules it has not had any before. */
  | { type: "offer"; worker: number; tasks: readonly T[]; modules: readonly number[] }
  /** There will be no more tasks of a module that it knows. */
  | { type: "forget"; worker: number; module: number }
  | { type: "take-back"; worker: number; seqs: readonly number[] }
  /** Look at the worker; if `drained`, when all that it has posted so far has been told. */
  | { type: "look"; worker: number; drained: boolean }
  /** Have the worker looked at then, or earlier. */
  | { type: "watch"; worker: number; at: number }
  /** Abort the signal of a task; if it is `over`, nothing that it tells counts any more. */
  | { type: "abort"; worker: number; seq: number; over: boolean }
  /** A run began then, of a task that is to be tried again. */
  | { type: "ran"; task: T; worker: number; startedAt: number }
  /** No worker from before a `renew` begins another task. */
  | { type: "renewed" }
  /** All that a `cancel-waiting` was about are settled, or go on. */
  | { type: "waiting-cancelled" }
  | { type: "finish"; task: T; worker: number; result: R; waitedMs: number }
  | {
    type: "settle";
    task: T;
    /** Undefined for a task that no worker was given. */
    worker: number | undefined;
    verdict: Verdict;
    /** Which callbacks its module has; undefined where no worker has tried to load it. */
    callbacks: number | undefined;
    waitedMs: number;
    ranMs: number;
  }
  /** Ask the worker to close; cleanly where it is idle. */
  | { type: "close"; worker: number; clean: boolean }
  | { type: "kill"; worker: number }
  /** The worker took too long to clean up. */
  | { type: "undisposed"; worker: number }
  /** A worker has ended by itself, and no outcome tells of it; `module`: of the task that ended on it last. */
  | { type: "idle-death"; worker: number; death: DeathData; module: number | undefined }
  /** It was interrupted, and has not ended. */
  | { type: "zombie"; worker: number }
  /** The modules of the file run in processes from now on: a thread could not be stopped, or a process went along. */
  | { type: "restricted"; file: number; why: "zombie" | "crash" }
  /** The pool is warm. The quickest of its threads took so many milliseconds to start; `Infinity` for none. */
  | { type: "warm"; startMs: number }
  /** The pool cannot start. */
  | { type: "broken"; death: DeathData }
  | { type: "closed" };
