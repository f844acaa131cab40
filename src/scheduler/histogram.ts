import type { StatsData } from "../wire/protocol.ts";

/** Buckets a doubling of the value, all of the same width: a value is within 3 % of the middle of its bucket. */
const STEPS = 16;
/** The smallest value told apart: 2^-10 ms, about a microsecond; and as many doublings as 2^31 ms take. */
const FLOOR = 2 ** -10;
const BUCKETS = 42 * STEPS;

const float = new Float64Array(1);
const words = new Int32Array(float.buffer);

/** The leading bits of a number of 64: its exponent, and 4 bits of its fraction. */
function leading(value: number): number {
  float[0] = value;
  return words[1]! >> 16;
}

const LOWEST = leading(FLOOR);

/** Counts values in buckets of about the same relative width, in constant memory. */
export class Histogram {
  #counts = new Float64Array(BUCKETS);
  #total = 0;
  #max = 0;
  #mean = 0;
  /** The sum of the squares of all differences from the mean, kept up by Welford's method: sums of squares lose digits. */
  #squares = 0;

  add(ms: number): void {
    const bucket = ms > FLOOR ? Math.min(BUCKETS - 1, leading(ms) - LOWEST) : 0;
    this.#counts[bucket]!++;
    this.#total++;
    if (ms > this.#max) this.#max = ms;
    const difference = ms - this.#mean;
    this.#mean += difference / this.#total;
    this.#squares += difference * (ms - this.#mean);
  }

  percentiles(): StatsData["ranMs"] {
    const stddev = this.#total === 0 ? 0 : Math.sqrt(this.#squares / this.#total);
    return { p50: this.#at(0.5), p99: this.#at(0.99), max: this.#max, mean: this.#mean, stddev };
  }

  #at(share: number): number {
    let left = Math.ceil(share * this.#total);
    if (left === 0) return 0;
    let bucket = 0;
    while ((left -= this.#counts[bucket]!) > 0) bucket++;
    const doubling = FLOOR * 2 ** Math.trunc(bucket / STEPS);
    return Math.min(this.#max, doubling * (1 + (bucket % STEPS + 0.5) / STEPS));
  }
}
