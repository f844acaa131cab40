/**
 * What the figures should be.
 *
 * @module
 */
import { BARE, type Contestant, OURS, OURS_CELLS, OURS_PROCESSES } from "./contestants.ts";
import { ratio, spread } from "./measure.ts";

/** What a contestant was measured to have, one value a round; undefined where a round failed. */
export type Values = ReadonlyMap<Contestant, readonly (number | undefined)[]>;

/** A target, and how far it was met. */
export interface Verdict {
  readonly target: string;
  readonly measured: number;
  readonly met: boolean;
}

/** Compares what was measured with what is wanted; undefined where there is nothing to compare with. */
export type Target = (values: Values, better: "more" | "less") => Verdict | undefined;

/** So many times better than the best peer of a runtime. */
export function beyondBest(factor: number, runtime: Contestant["runtime"]): Target {
  return (values, better) => {
    const ratios = peers(values).filter((peer) => peer.runtime === runtime)
      .map((peer) => ratio(values.get(OURS) ?? [], values.get(peer)!, better))
      .filter(Number.isFinite);
    if (ratios.length === 0) return undefined;
    const measured = Math.min(...ratios);
    return {
      target: `at least ${factor} × the fastest peer on ${title(runtime)}`,
      measured,
      met: measured >= factor,
    };
  };
}

/** No more than so many times what the best peer takes, of a runtime or of all. */
export function withinBest(factor: number, runtime?: Contestant["runtime"]): Target {
  return (values, better) => {
    const ratios = peers(values).filter((peer) => runtime === undefined || peer.runtime === runtime)
      .map((peer) => 1 / ratio(values.get(OURS) ?? [], values.get(peer)!, better))
      .filter(Number.isFinite);
    if (ratios.length === 0) return undefined;
    const measured = Math.max(...ratios);
    const whom = runtime === undefined ? "the best peer" : `the fastest peer on ${title(runtime)}`;
    return verdict(`at most ${factor} × ${whom}`, measured, measured <= factor);
  };
}

/** No more than so many times what the bare threads take. */
export function withinBare(factor: number): Target {
  return (values) => {
    const bare = values.get(BARE);
    if (bare === undefined) return undefined;
    const measured = ratio(bare, values.get(OURS) ?? [], "less");
    return verdict(`at most ${factor} × the bare threads`, measured, measured <= factor);
  };
}

/** Cells are at least so many times as good as threads. */
export function cellsBesideThreads(factor: number): Target {
  return (values, better) => {
    const measured = ratio(values.get(OURS_CELLS) ?? [], values.get(OURS) ?? [], better);
    return verdict(`at least ${factor} × threads (${OURS_CELLS.name})`, measured, measured >= factor);
  };
}

/** A median of no more than that. */
export function atMost(most: number, whose = OURS): Target {
  return (values) => {
    const { median } = spread(present(values.get(whose)));
    return verdict(`at most ${most}${of(whose)}`, median, median <= most);
  };
}

/** A median of no less than that. */
export function atLeast(least: number, whose = OURS): Target {
  return (values) => {
    const { median } = spread(present(values.get(whose)));
    return verdict(`at least ${least}${of(whose)}`, median, median >= least);
  };
}

function of(whose: Contestant): string {
  return whose === OURS ? "" : ` (${whose.name})`;
}

/** All of it; what is taken for all, as no number was named. */
export function allOf(least: number): Target {
  return (values) => {
    const { median } = spread(present(values.get(OURS)));
    return verdict(`all (${least} and more taken for that)`, median, median >= least);
  };
}

/** Less than any peer. */
export function lessThanLeast(): Target {
  return (values) => {
    const medians = peers(values).map((peer) => spread(present(values.get(peer))).median).filter(
      Number.isFinite,
    );
    if (medians.length === 0) return undefined;
    const { median } = spread(present(values.get(OURS)));
    const least = Math.min(...medians);
    return verdict(`less than the leanest peer's ${Math.round(least)}`, median, median < least);
  };
}

/** The values of the rounds that had one. */
export function present(values: readonly (number | undefined)[] = []): number[] {
  return values.filter((value) => value !== undefined);
}

/** The name of a runtime. */
export function title(runtime: Contestant["runtime"]): string {
  return runtime === "deno" ? "Deno" : "Node";
}

function peers(values: Values): Contestant[] {
  return [...values.keys()].filter((contestant) =>
    ![OURS, OURS_CELLS, OURS_PROCESSES, BARE].includes(contestant)
  );
}

function verdict(target: string, measured: number, met: boolean): Verdict | undefined {
  return Number.isFinite(measured) ? { target, measured, met } : undefined;
}
