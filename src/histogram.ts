import type { Percentiles } from "./outcome.ts";

/** Buckets a doubling of the value: each is 2^(1/8), about 9 %, wide, so its middle is within 5 %. */
const STEPS = 8;
/** The smallest value told apart, in milliseconds. */
const FLOOR = 1e-3;
const BUCKETS = 42 * STEPS;

/** Counts values in buckets of a constant relative width, in constant memory. */
export class Histogram {
  #counts = new Float64Array(BUCKETS);
  #total = 0;
  #max = 0;

  add(ms: number): void {
    const bucket = ms > FLOOR ? Math.min(BUCKETS - 1, Math.ceil(Math.log2(ms / FLOOR) * STEPS)) : 0;
    this.#counts[bucket]!++;
    this.#total++;
    if (ms > this.#max) this.#max = ms;
  }

  percentiles(): Percentiles {
    return { p50: this.#at(0.5), p99: this.#at(0.99), max: this.#max };
  }

  #at(share: number): number {
    let left = Math.ceil(share * this.#total);
    if (left === 0) return 0;
    let bucket = 0;
    while ((left -= this.#counts[bucket]!) > 0) bucket++;
    return Math.min(this.#max, FLOOR * 2 ** ((bucket - 0.5) / STEPS));
  }
}
