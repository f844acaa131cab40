import type { Task } from "./scheduling.ts";
import { startOf, type Workers } from "./workers.ts";

/** How long a run of a module takes, in milliseconds, as far as that is known. */
export type Estimate = (module: number) => number | undefined;

/** A bridge that takes longer to start is not waited for, in milliseconds. */
export const START_MS = 500;
/** A bridge that has not ended its first task after so long has a long one, in milliseconds, */
const LONG_MS = 10;
/** or for so many times as long as it took to start. */
const LONG = 0.25;
/** It is alone for so many times as long as it took to start at most. */
const ALONE = 4;

/**
 * When the first of the pool's own workers are started, where a start keeps a core busy: the bridge starts alone, and the
 * first tasks run on it alone for as long as it took to start, unless the first of all is long; and longer while all that
 * waits is expected to take it less than a start. More would take about as long to start as what waits then is late by. So
 * a short program waits for nothing else; and one that is over by then has no thread to end that has just begun.
 */
export class HeadStart<T extends Task> {
  readonly #workers: Workers<T>;
  readonly #estimate: Estimate;
  #readyAt = Infinity;
  /** How long the bridge took to start. */
  #startMs = 0;
  #over = false;

  constructor(workers: Workers<T>, estimate: Estimate) {
    this.#workers = workers;
    this.#estimate = estimate;
  }

  /** The bridge, which began to start then, is ready. */
  ready(since: number, now: number): void {
    this.#readyAt = now;
    this.#startMs = now - since;
  }

  /**
   * Until when no other worker is started if nothing happens; undefined once they may be.
   *
   * @param waiting How many tasks wait that no worker holds.
   */
  until(waiting: number, now: number): number | undefined {
    if (this.#over) return undefined;
    const until = this.#until(waiting, now);
    this.#over = until <= now;
    return this.#over ? undefined : until;
  }

  #until(waiting: number, now: number): number {
    const { bridge } = this.#workers;
    if (bridge === undefined) return now;
    const { state, handed, useful } = bridge;
    const starting = startOf(bridge);
    if (starting !== undefined) return starting.since + START_MS;
    const until = this.#readyAt + this.#startMs;
    if (state.phase === "busy") {
      const late = state.since + Math.max(LONG_MS, LONG * this.#startMs);
      if (!useful) return Math.min(until, late);
      const estimate = this.#estimate(state.offered.first()!.module) ?? Infinity;
      if (until <= now && estimate * (waiting + state.offered.size) < this.#startMs) {
        return Math.min(this.#readyAt + ALONE * this.#startMs, late);
      }
    }
    // Nobody waits for anything but the pool itself.
    return handed === 0 ? now : until;
  }
}
