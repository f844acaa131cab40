/** Restarts allowed in one burst. */
export const RESTART_BURST = 3;

/** Limits how often workers that ended without being told to are replaced: so many a second, and a burst. */
export class RestartBudget {
  readonly #perSecond: number;
  #tokens = RESTART_BURST;
  #at = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** A worker ended without being told to: its replacement is taken from the budget. */
  spend(now: number): void {
    this.#refill(now);
    this.#tokens--;
  }

  /** Milliseconds until workers may be started again; 0 if they may. */
  wait(now: number): number {
    this.#refill(now);
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perSecond * 1_000;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(RESTART_BURST, this.#tokens + (now - this.#at) / 1_000 * this.#perSecond);
    this.#at = now;
  }
}
