import type { Task } from "./scheduling.ts";
import type { Workers } from "./workers.ts";

/** A bridge that takes longer to start is not waited for, in milliseconds. */
const START_MS = 500;
/** A bridge that has not ended its first task after so long has a long one, in milliseconds, */
const LONG_MS = 10;
/** or for so many times as long as it took to start. */
const LONG = 0.25;

/**
 * When the first of the pool's own workers are started, where a start keeps a core busy: the bridge starts alone, and the
 * first tasks run on it alone for as long as it took to start, unless the first of all is long. More would take about as long to
 * start as what waits then is late by. So a short program waits for nothing else; and one that is over by then has no
 * thread to end that has just begun.
 */
export class HeadStart<T extends Task> {
  readonly #workers: Workers<T>;
  #readyAt = Infinity;
  /** How long the bridge took to start. */
  #startMs = 0;
  #over = false;

  constructor(workers: Workers<T>) {
    this.#workers = workers;
  }

  /** The bridge, which began to start then, is ready. */
  ready(since: number, now: number): void {
    this.#readyAt = now;
    this.#startMs = now - since;
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
    const { state, handed, useful } = bridge;
    if (state.phase === "starting") return state.since + START_MS;
    const until = this.#readyAt + this.#startMs;
    if (state.phase === "busy" && !useful) {
      return Math.min(until, state.since + Math.max(LONG_MS, LONG * this.#startMs));
    }
    // Nobody waits for anything but the pool itself.
    return handed === 0 ? now : until;
  }
}
