import type { Bench, Metric } from "./benches.ts";
import { type Contestant, OURS } from "./contestants.ts";
import { ratio, type Spread, spread } from "./measure.ts";
import { formatNumber, type Section } from "./table.ts";
import { present, title, type Values, type Verdict } from "./targets.ts";

/** What all rounds of a bench gave. */
export interface BenchResult {
  readonly bench: Bench;
  /** Figures by name, for each round. */
  readonly figures: Map<Contestant, (Record<string, number> | undefined)[]>;
  /** Why a pool has no figures, or not all. */
  readonly errors: Map<Contestant, string>;
}

/** A metric, for the file. */
export interface MetricData {
  readonly bench: string;
  readonly metric: string;
  readonly title: string;
  readonly better: "more" | "less";
  readonly pools: readonly PoolData[];
  readonly targets: readonly Verdict[];
}

/** A row, for the file. */
export interface PoolData extends Partial<Spread> {
  readonly pool: string;
  readonly runtime: string;
  readonly values: readonly number[];
  /** How many times better ours is. */
  readonly ours?: number;
  readonly error?: string;
}

/** A section of the table for each metric of a bench, and the same as data. */
export function reportSections(result: BenchResult): { section: Section; data: MetricData }[] {
  return result.bench.metrics.map((metric) => report(result, metric));
}

function report(
  { bench, figures, errors }: BenchResult,
  metric: Metric,
): { section: Section; data: MetricData } {
  const { key, better } = metric;
  const values: Values = new Map(
    [...figures].map(([contestant, rounds]) => [contestant, rounds.map((round) => round?.[key])]),
  );
  const pools = [...values].map(([contestant, rounds]): PoolData => {
    const error = errors.get(contestant);
    const all = present(rounds);
    return {
      pool: contestant.name,
      runtime: title(contestant.runtime),
      values: all,
      ...(all.length > 0 && spread(all)),
      ...(all.length > 0 && metric.ratio !== false && { ours: ratio(values.get(OURS)!, rounds, better) }),
      ...(error !== undefined && { error }),
    };
  });
  const targets = metric.targets.map((target) => target(values, better)).filter((each) => each !== undefined);
  return {
    section: {
      title: `(${bench.id}) ${metric.title}`,
      rows: pools.map(row),
      remarks: targets.map(({ target, measured, met }) =>
        `target: ${target}; measured: ${formatNumber(measured)}; ${met ? "met" : "missed"}`
      ),
    },
    data: { bench: bench.id, metric: key, title: metric.title, better, pools, targets },
  };
}

function row({ pool, runtime, median, min, max, ours, error }: PoolData): string[] {
  return [
    pool,
    runtime,
    median === undefined ? "–" : formatNumber(median),
    median === undefined ? "" : `${formatNumber(min!)} – ${formatNumber(max!)}`,
    ours === undefined ? "" : `${formatNumber(ours)} ×`,
    error === undefined ? "" : short(error),
  ];
}

/** Errors can be whole paragraphs; the file has them complete. */
function short(error: string): string {
  const line = error.split("\n", 1)[0]!;
  return line.length > 90 ? `${line.slice(0, 90)}…` : line;
}
