import type { Task } from "./scheduling.ts";
import type { Workers } from "./workers.ts";

/** A bridge that takes longer to start is not waited for, in milliseconds. */
const START_MS = 500;
/** For how long the first tasks have the cores to themselves, in milliseconds. */
const TASKS_MS = 30;
/** A bridge that has ended none for so long has a long one, in milliseconds. */
const LONG_MS = 10;

/**
 * When the first of the pool's own workers are started, where a start keeps a core busy: the bridge starts alone, and the
 * first tasks run on it alone, as long as they are short. A short program waits for nothing else; and one that is over by
 * then has no thread to end that has just begun.
 */
export class HeadStart<T extends Task> {
  readonly #workers: Workers<T>;
  #readyAt: number | undefined;
  #over = false;

  constructor(workers: Workers<T>) {
    this.#workers = workers;
  }

  /** Until when no other worker is started if nothing happens; undefined once they may be. */
  until(now: number): number | undefined {
    if (this.#over) return undefined;
    const until = this.#until(now);
    this.#over = until <= now;
    return this.#over ? undefined : until;
  }

  #until(now: number): number {
    const { bridge } = this.#workers;
    if (bridge === undefined) return now;
    const { state, handed } = bridge;
    if (state.phase === "starting") return state.since + START_MS;
    this.#readyAt ??= now;
    const until = this.#readyAt + TASKS_MS;
    if (state.phase === "busy") return Math.min(until, state.since + LONG_MS);
    // Nobody waits for anything but the pool itself.
    return handed === 0 ? now : until;
  }
}
