/**
 * What happens in a pool, for whoever watches: enough to draw every worker's time line. `at` is in milliseconds since
 * the epoch.
 */
export type PoolEvent =
  | {
    /** A task was pushed. */
    type: "pushed";
    /** When. */
    at: number;
    /** The task. */
    taskId: number;
    /** What it is called: its label, else the end of its specifier. */
    label?: string | undefined;
  }
  | {
    /** A run of a task began. Told when the dispatcher learns of it, which may be up to 50 ms later. */
    type: "started";
    /** When. */
    at: number;
    /** The task. */
    taskId: number;
    /** 1 for the first run, 2 for the first retry. */
    attempt: number;
    /** The worker that runs it. */
    workerId: number;
    /** Its place in the pool: see `TaskContext.slot`. */
    slot: number;
  }
  | {
    /** A task printed something, in a pool with `output: "capture"`: mostly whole lines, in a flood the last of them. */
    type: "output";
    /** When it arrived. */
    at: number;
    /** The task. */
    taskId: number;
    /** What it is called: its label, else the end of its specifier. */
    label?: string | undefined;
    /** Where it was printed. */
    stream: "stdout" | "stderr";
    /** What it printed. */
    text: string;
  }
  | {
    /** A task reported progress. */
    type: "progress";
    /** When it arrived. */
    at: number;
    /** The task. */
    taskId: number;
    /** What it reported. */
    value: unknown;
  }
  | {
    /** A task has its outcome. */
    type: "settled";
    /** When it arrived. */
    at: number;
    /** The task. */
    taskId: number;
    /** The worker that ran it last; undefined for a task that never ran. */
    workerId: number | undefined;
    /** How it ended. */
    status: "ok" | "failed" | "timed-out" | "crashed" | "cancelled";
    /** How often it was run. */
    attempts: number;
    /** Milliseconds of its last run. */
    ranMs: number;
    /** What its error says, where it has one. */
    message?: string | undefined;
  }
  | {
    /**
     * A worker is warm, or was told to end. Who begins to watch is told of the workers that are warm by then, with the
     * time since when they are.
     */
    type: "worker-started" | "worker-killed";
    /** When. */
    at: number;
    /** The worker. */
    workerId: number;
  }
  | {
    /** A worker has ended that had started. */
    type: "worker-gone";
    /** When. */
    at: number;
    /** The worker. */
    workerId: number;
    /**
     * Why: `"stopped"` if the pool told it to, and otherwise as in `WorkerCrashError`. Where it ended by itself between
     * two tasks, because of a timer that one of them left behind for example, nothing else tells of it but
     * `Stats.idleDeaths`, and a line on stderr while nobody watches.
     */
    reason: "stopped" | "exit" | "error" | "memory" | "signal" | "machine";
    /** What nobody caught. */
    error: Error | undefined;
  };
