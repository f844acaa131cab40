import type { PoolEvent, Status } from "../../mod.ts";

/** One run of a task on a worker. Times are milliseconds since the epoch. */
export interface Run {
  readonly taskId: number;
  readonly workerId: number;
  /** 1 for the first run of a task, 2 for its first retry. */
  readonly attempt: number;
  /** When the task was pushed; undefined where that was before anybody watched. */
  readonly pushedAt: number | undefined;
  readonly startedAt: number;
  readonly endedAt: number;
  /** How the task ended; `"retried"` for a run after which it was tried again. */
  readonly status: Status | "retried";
  /** What the task's error says, where it has one. */
  readonly message: string | undefined;
}

/** How much there is of what changes. */
export interface Levels {
  /** Tasks that have been pushed and do not run. */
  readonly queued: number;
  /** Tasks that run. */
  readonly running: number;
  /** Workers that have started and not ended. */
  readonly workers: number;
}

/** Who hears of what comes of the events. */
export interface RunEvents {
  /** A run is over. */
  run?(run: Run): void;
  /** A task ended that never ran. */
  unrun?(taskId: number, status: Status, message: string | undefined, at: number): void;
  /** Something changed. */
  levels?(levels: Levels, at: number): void;
  /** A worker started, was told to end, or has ended. */
  worker?(workerId: number, what: "started" | "killed" | "gone", at: number): void;
}

interface Waiting {
  readonly pushedAt: number;
}

interface Running {
  readonly workerId: number;
  readonly attempt: number;
  readonly startedAt: number;
}

/**
 * Makes runs of a pool's events: what is pushed, begun and settled belongs together by the task's id. Remembers only
 * tasks that have not ended.
 */
export class Runs {
  readonly #events: RunEvents;
  readonly #pushed = new Map<number, Waiting>();
  readonly #running = new Map<number, Running>();
  readonly #workers = new Set<number>();

  constructor(events: RunEvents) {
    this.#events = events;
  }

  /** Takes an event in. */
  add(event: PoolEvent): void {
    const { type, at } = event;
    switch (type) {
      case "pushed":
        this.#pushed.set(event.taskId, { pushedAt: at });
        return this.#tellLevels(at);
      case "started": {
        const { taskId, workerId, attempt } = event;
        // Pushed before anybody watched: its end tells of the run.
        if (!this.#pushed.has(taskId)) return;
        this.#end(taskId, "retried", undefined, at);
        this.#running.set(taskId, { workerId, attempt, startedAt: at });
        this.#workers.add(workerId);
        return this.#tellLevels(at);
      }
      case "settled":
        this.#settle(event);
        return this.#tellLevels(at);
      case "worker-started":
        this.#workers.add(event.workerId);
        this.#events.worker?.(event.workerId, "started", at);
        return this.#tellLevels(at);
      case "worker-killed":
        return this.#events.worker?.(event.workerId, "killed", at);
      case "worker-gone":
        this.#workers.delete(event.workerId);
        this.#events.worker?.(event.workerId, "gone", at);
        return this.#tellLevels(at);
      default:
        // Progress, and whatever a later version tells.
        return;
    }
  }

  /** What runs and has not ended. */
  *running(): Generator<Pick<Run, "taskId" | "workerId" | "pushedAt" | "startedAt">> {
    for (const [taskId, { workerId, startedAt }] of this.#running) {
      yield { taskId, workerId, startedAt, pushedAt: this.#pushed.get(taskId)?.pushedAt };
    }
  }

  #settle(event: PoolEvent & { type: "settled" }): void {
    const { taskId, status, workerId, attempts, ranMs, message, at } = event;
    // The event comes a moment after the end: how long the run was is known better.
    const running = this.#running.get(taskId);
    if (running !== undefined) {
      this.#end(taskId, status, message, Math.min(at, running.startedAt + ranMs));
    } else if (workerId !== undefined && attempts > 0) {
      // Its beginning came before anybody watched.
      const pushedAt = this.#pushed.get(taskId)?.pushedAt;
      const run = { taskId, workerId, attempt: attempts, startedAt: at - ranMs, endedAt: at };
      this.#events.run?.({ ...run, pushedAt, status, message });
    } else {
      this.#events.unrun?.(taskId, status, message, at);
    }
    this.#pushed.delete(taskId);
  }

  #end(taskId: number, status: Run["status"], message: string | undefined, endedAt: number): void {
    const running = this.#running.get(taskId);
    if (running === undefined) return;
    this.#running.delete(taskId);
    const pushedAt = this.#pushed.get(taskId)?.pushedAt;
    this.#events.run?.({ taskId, ...running, pushedAt, endedAt, status, message });
  }

  #tellLevels(at: number): void {
    const running = this.#running.size;
    const queued = Math.max(0, this.#pushed.size - running);
    this.#events.levels?.({ queued, running, workers: this.#workers.size }, at);
  }
}
