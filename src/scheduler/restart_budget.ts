/** Restarts allowed in one burst. */
const RESTART_BURST = 3;

/** Limits how often workers that ended without being told to are replaced: so many a second, and a burst. */
export class RestartBudget {
  #perSecond: number;
  #tokens = RESTART_BURST;
  #at = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** From now on so many restarts a second are allowed. */
  allow(perSecond: number, now: number): void {
    this.#refill(now);
    this.#perSecond = perSecond;
  }

  /** A worker ended without being told to: its replacement is taken from the budget. */
  spend(now: number): void {
    this.#refill(now);
    this.#tokens--;
  }

  /**
   * Milliseconds until so many restarts are left; 0 if they are. With none left workers may be started that are
   * missing; one that is to be risked needs another.
   */
  wait(left: 0 | 1, now: number): number {
    this.#refill(now);
    return this.#tokens >= left ? 0 : (left - this.#tokens) / this.#perSecond * 1_000;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(RESTART_BURST, this.#tokens + (now - this.#at) / 1_000 * this.#perSecond);
    this.#at = now;
  }
}
