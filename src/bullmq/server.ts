/** What a machine did, and does. */
export interface ServerStats {
  /** Tasks that run here, or wait here to. */
  readonly running: number;
  /** Runs that returned. */
  readonly ok: number;
  /** Runs that threw, or whose module could not be loaded. */
  readonly failed: number;
  /** Runs that passed their time limit, and were stopped. */
  readonly timedOut: number;
  /** Runs whose worker ended under them, and tasks that were lost with too many machines. */
  readonly crashed: number;
  /** Runs that were stopped because the producer cancelled the task. */
  readonly cancelled: number;
  /** Runs that were given up: at the end for another machine to take, or because another had. */
  readonly givenBack: number;
}

/** A machine that takes tasks from a queue. */
export interface Server extends AsyncDisposable {
  /** What it is called in messages and dashboards. */
  readonly name: string;
  /** How many tasks it runs at once. */
  readonly size: number;
  /** Resolves when it has ended; rejects if it had to, because its pool could not be kept alive. */
  readonly closed: Promise<void>;
  /** What it did so far. */
  stats(): ServerStats;
  /**
   * Takes no more tasks, waits for those that run, and closes everything. Idempotent.
   *
   * @param grace Milliseconds after which tasks that still run are stopped and go back to the queue. Default: the
   * option `grace`.
   * @returns Resolves when the machine has ended.
   */
  stop(grace?: number): Promise<void>;
}
