/**
 * What the scheduler is told and what it tells: types only.
 *
 * @module
 */
import type { DeathData, RetryData, Running } from "../wire/protocol.ts";
import type { Batch, Queued } from "./queue.ts";

/** A task, as far as scheduling is concerned. */
export interface Task extends Queued {
  readonly module: number;
  /** The time limit of a run. */
  readonly timeout: number;
  readonly softTimeout: number | undefined;
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
  /** How often it was taken from a worker that did not begin it. */
  refusals: number;
  /** Its number on the worker that it was handed to. */
  seq: number;
  state: "queued" | "offered" | "waiting" | "settled";
  cancelled: boolean;
}

/** A run of a task. */
export interface Run {
  readonly worker: number;
  readonly startedAt: number;
  readonly ranMs: number;
  /** The worker had begun it, at least to load its module. */
  readonly begun: boolean;
}

/** The policy's numbers, see `MultiProcessOptions`. */
export interface SchedulerOptions {
  size: number;
  minSize: number;
  idleTimeout: number;
  spares: number;
  maxTasksPerWorker: number;
  loadTimeout: number;
  /** How many workers can run at the same moment. */
  cores: number;
  killGrace: number;
  maxZombies: number;
  /** Restarts a second, beyond a burst of 3, for workers that died without being told to. */
  restarts: number;
  /** How many workers may be starting at once while tasks run: starting a process keeps a core busy. */
  maxStarting: number;
  /** The most tasks a worker holds at once: 1 where it cannot share memory with the dispatcher. */
  maxOffered: number;
  /** The largest number that a task may have on a worker; a worker that has used all is replaced. */
  maxSeq: number;
  /** The largest difference between the numbers of two tasks that a worker holds. */
  maxSpan: number;
}

/** The end of a run, as the worker tells it. */
export interface Result {
  readonly seq: number;
  readonly ok: boolean;
  readonly callbacks: number | undefined;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** What the scheduler is told. */
export type Event<T extends Task, R extends Result> =
  | { type: "batch"; batch: Batch<T> }
  | { type: "push"; task: T }
  | { type: "cancel"; task: T }
  | { type: "ready"; worker: number }
  | { type: "results"; worker: number; results: readonly R[] }
  | {
    type: "looked";
    worker: number;
    running: Running | undefined;
    /** All that the worker had posted by then was told before. */
    drained: boolean;
  }
  /** It has come so far as to run its initializer. */
  | { type: "initializing"; worker: number }
  /** The answer to `take-back`: the numbers of the tasks that the worker had not begun. */
  | { type: "taken-back"; worker: number; seqs: readonly number[] }
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
  /** Workers started before this lack something that the tasks to come need. */
  | { type: "renew" }
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
  | { type: "spawn"; worker: number }
  | { type: "offer"; worker: number; tasks: readonly T[] }
  | { type: "take-back"; worker: number; seqs: readonly number[] }
  /** Look at the worker; `drained`: when all that it has posted so far has been told. */
  | { type: "look"; worker: number; drained: boolean }
  /** Have the worker looked at then, or earlier. */
  | { type: "watch"; worker: number; at: number }
  | { type: "abort"; worker: number; seq: number }
  /** A run of a task that is to be tried again began then. */
  | { type: "ran"; task: T; worker: number; startedAt: number }
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
  /** The pool is warm. */
  | { type: "warm" }
  /** The pool cannot start. */
  | { type: "broken"; death: DeathData }
  | { type: "closed" };
