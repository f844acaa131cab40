import { RestartBudget } from "../scheduler/restart_budget.ts";
import type { DeathData } from "../wire/protocol.ts";

/** How many may fail one after the other before one is ready: then the pool cannot start. */
const MAX_FIRST = 3;
/** The pause after the second that fails, doubled after each that follows, and at most; in milliseconds. */
const PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
/** How long tasks wait for a cell while all fail, in milliseconds. */
const PATIENCE_MS = 60_000;
/** A start was good if the cell has been ready for so long, in milliseconds, though it has begun no task. */
const STEADY_MS = 1_000;

/** What follows when a cell has ended that was to be given tasks. */
export type Verdict =
  /** The next is to be started after so many milliseconds, or when the restart budget has another. */
  | { pause: number; unavailable?: undefined }
  /** And no cell can be had for the time being: that is what tasks that wait are told. */
  | { pause: number; unavailable: DeathData }
  /** None could ever be started. */
  | "never";

/**
 * When the next cell may be started, and what follows from starts that fail: as for workers, in the scheduler's `Starts`.
 * Pure: all times are milliseconds, and arguments.
 */
export class CellStarts {
  /** What pays for cells that end without being told to. */
  readonly restarts: RestartBudget;
  #failed = 0;
  /** When the first of those failed. */
  #since = 0;

  /** @param perSecond How many are replaced in a second: see `maxRestarts`. */
  constructor(perSecond: number) {
    this.restarts = new RestartBudget(perSecond);
  }

  /**
   * A cell has ended that was to be given tasks.
   *
   * @param begun Whether it had begun any.
   * @param readyAt When it was ready, if it was.
   * @param warm Whether the pool has had a cell that was ready.
   */
  ended(
    death: DeathData,
    { begun, readyAt, warm }: { begun: boolean; readyAt: number | undefined; warm: boolean },
    now: number,
  ): Verdict {
    if (begun || (readyAt !== undefined && now - readyAt >= STEADY_MS)) {
      this.#failed = 0;
      return { pause: 0 };
    }
    if (this.#failed++ === 0) this.#since = now;
    if (!warm && this.#failed >= MAX_FIRST) return "never";
    const pause = this.#failed === 1 ? 0 : Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** (this.#failed - 2));
    if (now - this.#since < PATIENCE_MS) return { pause };
    const seconds = Math.round((now - this.#since) / 1_000);
    const message = `could not be started: no cell could for ${seconds} s, and the last one ${death.message}`;
    return { pause, unavailable: { ...death, message } };
  }
}
