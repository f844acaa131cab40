/**
 * What becomes of the figures of several rounds.
 *
 * @module
 */

/** A figure's values, one a round, as they are shown. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The value in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value that so large a share of the others does not exceed; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? NaN;
  const above = sorted[Math.ceil(at)] ?? NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** Median, least and most. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * How many times better ours is: the median of the ratios of each round, since the two were measured close to each
 * other in time there, on a machine that may have been slower in another round.
 */
export function ratio(
  ours: readonly (number | undefined)[],
  theirs: readonly (number | undefined)[],
  better: "more" | "less",
): number {
  const ratios: number[] = [];
  for (const [round, one] of ours.entries()) {
    const other = theirs[round];
    if (one === undefined || other === undefined) continue;
    ratios.push(better === "more" ? one / other : other / one);
  }
  return median(ratios);
}
