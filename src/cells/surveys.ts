import type { StatsData } from "../wire/protocol.ts";
import type { CellRecord } from "./cell_record.ts";

/** A question to all cells, and what is known by now. */
interface Survey {
  readonly first: CellRecord | undefined;
  readonly left: Set<CellRecord>;
  readonly parts: StatsData[];
}

const NONE = { p50: 0, p99: 0, max: 0, mean: 0, stddev: 0 };

/** What is counted from the start on. */
type Totals = Pick<StatsData, "spawned" | "killed" | "ended" | "idleDeaths">;

/** Statistics of a pool, put together from those of its cells. */
export class Surveys {
  readonly #tell: (request: number, stats: StatsData) => void;
  readonly #surveys = new Map<number, Survey>();
  /** What each cell has told last. */
  readonly #last = new Map<CellRecord, StatsData>();
  #latest: Pick<StatsData, "waitedMs" | "ranMs"> = { waitedMs: NONE, ranMs: NONE };
  /** What cells did that have ended, as far as they told. */
  #ended: Totals = {
    spawned: 0,
    killed: 0,
    ended: { asked: 0, interrupted: 0 },
    idleDeaths: 0,
  };

  constructor(tell: (request: number, stats: StatsData) => void) {
    this.#tell = tell;
  }

  /** Asks them. */
  begin(request: number, records: readonly CellRecord[]): void {
    const survey = { first: records[0], left: new Set(records), parts: [] };
    this.#surveys.set(request, survey);
    for (const { cell } of records) cell.post({ type: "stats", request });
    this.#finish(request, survey);
  }

  /** Asks one that may end soon, for the totals. */
  remember(record: CellRecord): void {
    record.cell.post({ type: "stats", request: 0 });
  }

  answer(from: CellRecord, request: number, stats: StatsData): void {
    this.#last.set(from, stats);
    this.#latest = stats;
    const survey = this.#surveys.get(request);
    if (!survey?.left.delete(from)) return;
    // The first of those that were asked is given tasks.
    if (from === survey.first) survey.parts.unshift(stats);
    else survey.parts.push(stats);
    this.#finish(request, survey);
  }

  /** A cell has ended. */
  ended(record: CellRecord): void {
    const last = this.#last.get(record);
    this.#last.delete(record);
    if (last !== undefined) {
      // Those that it had to kill have ended along with it.
      const { killed, ended: { asked } } = last;
      this.#ended = this.#sum(this.#ended, { ...last, ended: { asked, interrupted: killed - asked } });
    }
    for (const [request, survey] of this.#surveys) {
      if (survey.left.delete(record)) this.#finish(request, survey);
    }
  }

  /** When no cell is left. */
  total(): StatsData {
    return this.#put([]);
  }

  #finish(request: number, { left, parts }: Survey): void {
    if (left.size > 0) return;
    this.#surveys.delete(request);
    this.#tell(request, this.#put(parts));
  }

  /** The times are those of one cell: of that which is given tasks, if it has answered. */
  #put(parts: readonly StatsData[]): StatsData {
    const add = (of: (part: StatsData) => number) => parts.reduce((sum, part) => sum + of(part), 0);
    const { waitedMs, ranMs } = parts[0] ?? this.#latest;
    return {
      ...parts.reduce((sum, part) => this.#sum(sum, part), this.#ended),
      workers: {
        starting: add(({ workers }) => workers.starting),
        idle: add(({ workers }) => workers.idle),
        busy: add(({ workers }) => workers.busy),
        stopping: add(({ workers }) => workers.stopping),
      },
      queued: add(({ queued }) => queued),
      running: add(({ running }) => running),
      zombies: add(({ zombies }) => zombies),
      inProcesses: [],
      waitedMs,
      ranMs,
    };
  }

  #sum(sum: Totals, part: Totals): Totals {
    return {
      spawned: sum.spawned + part.spawned,
      killed: sum.killed + part.killed,
      ended: {
        asked: sum.ended.asked + part.ended.asked,
        interrupted: sum.ended.interrupted + part.ended.interrupted,
      },
      idleDeaths: sum.idleDeaths + part.idleDeaths,
    };
  }
}
