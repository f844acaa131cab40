import type { InfoTask } from "./info_task.ts";

/** How a task ended. */
export type Status = "ok" | "failed" | "timed-out" | "crashed" | "cancelled";

/** What every outcome tells about its task. */
export interface OutcomeFacts {
  /** The task that was pushed. */
  readonly task: InfoTask;
  /** The id of the task in its pool; counts from 1. */
  readonly taskId: number;
  /** The worker that ran the task last; undefined for a task that never ran. */
  readonly workerId: number | undefined;
  /** How often the task was run; 0 for a task that never ran. */
  readonly attempts: number;
  /** Milliseconds from the push to the start of the last run, or to the end of a task that never ran. */
  readonly waitedMs: number;
  /** Milliseconds the last run took; 0 for a task that never ran. */
  readonly ranMs: number;
  /**
   * What it printed in all its runs, the last 64 Ki characters of it, with `output: "capture"`. Not there if it printed
   * nothing.
   */
  readonly output?: string;
}

/** The outcome of a task that returned. */
export interface OkOutcome<R = unknown> extends OutcomeFacts {
  /** The task returned. */
  readonly status: "ok";
  /** What it returned. */
  readonly value: R;
}

/** The outcome of a task that ended in any other way. */
export interface ErrorOutcome extends OutcomeFacts {
  /**
   * `"failed"`: it threw, or could not be loaded, or its arguments or its result could not be cloned.
   * `"timed-out"`: it passed its time limit. `"crashed"`: its worker ended under it. `"cancelled"`: it was no longer
   * wanted, see `TaskCancelledError`.
   */
  readonly status: "failed" | "timed-out" | "crashed" | "cancelled";
  /** What it threw, or one of the pool's own errors. Has `task`. */
  readonly error: Error;
}

/** The one result of a pushed task. */
export type Outcome<R = unknown> = OkOutcome<R> | ErrorOutcome;

/** What `map` tells of a task beside its outcome. */
export interface MapFacts<I = unknown> {
  /** The input that the task was made for. */
  readonly input: I;
  /** Which input it was; counts from 0. */
  readonly index: number;
}

/** The outcome of one of the tasks of a `map`. */
export type MapOutcome<R = unknown, I = unknown> = Outcome<R> & MapFacts<I>;

/** What a pool did in its life, from `stop()` and `terminate()`. */
export interface Summary {
  /** Tasks pushed: the sum of the five that follow. */
  readonly pushed: number;
  /** Tasks that returned. */
  readonly ok: number;
  /** Tasks that threw, could not be loaded or could not be cloned. */
  readonly failed: number;
  /** Tasks that passed their time limit. */
  readonly timedOut: number;
  /** Tasks whose worker ended under them. */
  readonly crashed: number;
  /** Tasks that were cancelled. */
  readonly cancelled: number;
  /** Callbacks that threw, rejected, or could not be imported. */
  readonly callbackErrors: number;
  /** Milliseconds from `start()` to the end. */
  readonly elapsedMs: number;
}

/**
 * Half of all values are at most `p50`, 99 % at most `p99`, none above `max`; they are `mean` on average, and differ from
 * that by `stddev`. Milliseconds.
 */
export interface Percentiles {
  /** The median. */
  readonly p50: number;
  /** The 99th percentile. */
  readonly p99: number;
  /** The largest value. */
  readonly max: number;
  /** The arithmetic mean. */
  readonly mean: number;
  /** The standard deviation of all values. */
  readonly stddev: number;
}

/** A snapshot of a pool. */
export interface Stats {
  /** Workers by state. Spares count as idle. */
  readonly workers: {
    /** Being started. */
    readonly starting: number;
    /** Warm and free. */
    readonly idle: number;
    /** Running a task. */
    readonly busy: number;
    /** Told to end, and not known to have ended. */
    readonly stopping: number;
  };
  /** Tasks that wait, for a worker or for their next attempt. */
  readonly queued: number;
  /** Tasks that run: that a worker has begun. */
  readonly running: number;
  /** Killed workers whose thread is known not to have ended yet. */
  readonly zombies: number;
  /** Workers started so far. */
  readonly spawned: number;
  /** Workers killed so far, because their task timed out or was cancelled, or they did not answer. */
  readonly killed: number;
  /** How the killed workers that have ended did so. */
  readonly ended: {
    /** By themselves, when asked to. */
    readonly asked: number;
    /** Interrupted, or killed by a signal. */
    readonly interrupted: number;
  };
  /**
   * Workers that ended by themselves between two tasks, so that no outcome tells of it: a timer that a task left behind
   * threw, rejected or exited, for example. See `worker-gone` of `PoolEvent`.
   */
  readonly idleDeaths: number;
  /**
   * URLs of modules whose tasks run in processes, with `isolation: "auto"`, while others run in threads: a thread that
   * ran one could not be stopped, or one took its process along.
   */
  readonly inProcesses: readonly string[];
  /** Settled tasks by status. */
  readonly outcomes: {
    /** Returned. */
    readonly ok: number;
    /** Threw, or could not be loaded or cloned. */
    readonly failed: number;
    /** Passed the time limit. */
    readonly timedOut: number;
    /** Lost the worker. */
    readonly crashed: number;
    /** Cancelled. */
    readonly cancelled: number;
  };
  /** Callbacks that threw, rejected, or could not be imported. */
  readonly callbackErrors: number;
  /** Milliseconds tasks waited from push to start, within about 3 %. */
  readonly waitedMs: Percentiles;
  /** Milliseconds tasks ran, within about 3 %. */
  readonly ranMs: Percentiles;
}
