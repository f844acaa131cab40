import { deadline } from "@std/async";

/**
 * The live deadline of a worker: every run is timed by `deadline` of `@std/async`, here, where a stuck task cannot
 * stop the clock.
 *
 * One `deadline` serves all short tasks that run one after the other, instead of one each, which would leave its
 * timer behind until it fires: when it fires early for the task that is running by then, it is armed again.
 */
export class Watch {
  readonly #fire: () => void;
  #at = Infinity;
  #run: PromiseWithResolvers<void> | undefined;

  constructor(fire: () => void) {
    this.#fire = fire;
  }

  /** Fires at that moment, or earlier if it was already to fire earlier. */
  by(at: number, now: number): void {
    if (at >= this.#at) return;
    this.end();
    this.#at = at;
    void this.#arm(Math.max(0, Math.ceil(at - now)));
  }

  /** Calls it off: it does not fire any more. */
  end(): void {
    this.#run?.resolve();
    this.#run = undefined;
    this.#at = Infinity;
  }

  async #arm(ms: number): Promise<void> {
    const run = this.#run = Promise.withResolvers<void>();
    try {
      await deadline(run.promise, ms);
    } catch {
      if (this.#run !== run) return;
      this.#run = undefined;
      this.#at = Infinity;
      this.#fire();
    }
  }
}
