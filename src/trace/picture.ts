import type { PoolEvent, Status } from "../../mod.ts";
import { type Levels, type Run, Runs } from "./runs.ts";

/** Statuses by the number that stands for them in a picture. The last is the one that is seen first. */
export const STATUSES = ["ok", "retried", "cancelled", "failed", "timed-out", "crashed"] as const;

/** What stands for a run that has not ended, after all of those. */
const RUNNING = STATUSES.length;

/** Histogram bins: each is this many times as wide as the one before, from a hundredth of a millisecond on. */
const BIN_FACTOR = Math.SQRT2;
const FIRST_BIN_MS = 0.01;
const BINS = 72;
/** How many of the slowest, and of the last that failed, are named. */
const NAMED = 20;
/** How many points the levels have at most. */
const POINTS = 1_000;

/** What a lane shows: a run, or several short ones that follow one another. */
type Segment = [
  /** Milliseconds since the beginning of the picture. */
  start: number,
  end: number,
  /** An index of `PictureData.statuses`: the worst of its runs. */
  status: number,
  /** How many runs. */
  count: number,
  /** The task, where it is one run. */
  taskId: number,
];

/** A task that is named. */
export interface Named {
  readonly taskId: number;
  readonly label: string | undefined;
  readonly workerId: number | undefined;
  readonly status: Run["status"] | "running";
  readonly waitedMs: number | undefined;
  readonly ranMs: number;
  readonly message: string | undefined;
}

/** A worker's lane. */
interface Lane {
  readonly segments: Segment[];
  readonly startedAt: number;
  killedAt: number | undefined;
  goneAt: number | undefined;
  busyMs: number;
  runs: number;
}

/** All that a page shows, as plain data. */
export interface PictureData {
  readonly name: string;
  /** When the picture begins, in milliseconds since the epoch, and how long it is. */
  readonly startedAt: number;
  readonly ms: number;
  /** `STATUSES`, and `"running"`. */
  readonly statuses: readonly string[];
  readonly counts: Record<string, number>;
  readonly lanes: {
    readonly workerId: number;
    readonly segments: readonly Segment[];
    readonly startedAt: number;
    readonly killedAt: number | undefined;
    readonly goneAt: number | undefined;
    readonly busyMs: number;
    readonly runs: number;
  }[];
  /** Runs by how long their tasks waited, and by how long they took: the bounds of the bins in milliseconds, and counts. */
  readonly bounds: readonly number[];
  readonly waited: readonly number[];
  readonly ran: readonly number[];
  /** `[at, queued, running]`: the most of each in a stretch of time. */
  readonly levels: readonly (readonly [number, number, number])[];
  /** Also of those that run: what hangs is the slowest. */
  readonly slowest: readonly Named[];
  readonly failed: readonly Named[];
}

/** How much a picture may hold. */
export interface PictureLimits {
  /** Segments in all lanes: beyond that short runs that follow one another become one. */
  readonly segments: number;
  /** Milliseconds that it looks back. */
  readonly window: number;
}

/** Gathers what happens in a pool into what a page can show, in bounded memory. */
export class Picture {
  readonly #name: string;
  readonly #limits: PictureLimits;
  readonly #runs: Runs;
  readonly #labels = new Map<number, string>();
  readonly #lanes = new Map<number, Lane>();
  readonly #counts: Record<string, number> = {};
  readonly #waited = new Array<number>(BINS).fill(0);
  readonly #ran = new Array<number>(BINS).fill(0);
  #levels: [number, number, number][] = [];
  #levelMs = 1;
  #slowest: Named[] = [];
  #failed: Named[] = [];
  #segments = 0;
  /** Gaps and runs shorter than this are not told apart. */
  #resolution = 0;
  #since: number | undefined;
  #until = 0;

  constructor(name: string, limits: PictureLimits) {
    this.#name = name;
    this.#limits = limits;
    this.#runs = new Runs({
      run: (run) => this.#run(run),
      unrun: (taskId, status, message) => this.#end(taskId, undefined, status, undefined, 0, message),
      levels: (levels, at) => this.#level(levels, at),
      worker: (workerId, what, at) => {
        const lane = this.#lane(workerId, at);
        if (what === "killed") lane.killedAt = at;
        else if (what === "gone") lane.goneAt = at;
      },
    });
  }

  /** Takes an event in. */
  add(event: PoolEvent): void {
    this.#since ??= event.at;
    this.#until = Math.max(this.#until, event.at);
    if (event.type === "pushed" && "label" in event && typeof event.label === "string") {
      this.#labels.set(event.taskId, event.label);
    }
    this.#runs.add(event);
    if (event.type === "settled") this.#labels.delete(event.taskId);
  }

  /** What it shows now. */
  data(now: number = this.#until): PictureData {
    this.#forget(now);
    const since = Math.max(this.#since ?? now, now - this.#limits.window);
    const from = (at: number) => at - since;
    const maybe = (at: number | undefined) => at === undefined ? undefined : from(at);
    const open = new Map<number, Segment>();
    const running: Named[] = [];
    for (const { taskId, workerId, pushedAt, startedAt } of this.#runs.running()) {
      this.#lane(workerId, startedAt);
      const ranMs = Math.max(0, now - startedAt);
      open.set(workerId, [from(startedAt), from(startedAt) + ranMs, RUNNING, 1, taskId]);
      const waitedMs = pushedAt === undefined ? undefined : startedAt - pushedAt;
      const label = this.#labels.get(taskId);
      running.push({ taskId, label, workerId, status: "running", waitedMs, ranMs, message: undefined });
    }
    return {
      name: this.#name,
      startedAt: since,
      ms: Math.max(1, now - since),
      statuses: [...STATUSES, "running"],
      counts: { ...this.#counts },
      lanes: [...this.#lanes].sort(([a], [b]) => a - b).map(([workerId, lane]) => ({
        workerId,
        segments: [
          ...lane.segments.map(([start, end, ...rest]): Segment => [from(start), from(end), ...rest]),
          ...(open.has(workerId) ? [open.get(workerId)!] : []),
        ],
        startedAt: from(lane.startedAt),
        killedAt: maybe(lane.killedAt),
        goneAt: maybe(lane.goneAt),
        busyMs: lane.busyMs,
        runs: lane.runs,
      })),
      bounds: this.#waited.map((_, bin) => FIRST_BIN_MS * BIN_FACTOR ** bin),
      waited: this.#waited,
      ran: this.#ran,
      levels: this.#levels.map(([at, queued, running]) => [from(at), queued, running] as const),
      slowest: slowestOf([...running, ...this.#slowest]),
      failed: this.#failed,
    };
  }

  #run({ taskId, workerId, pushedAt, startedAt, endedAt, status, message }: Run): void {
    const lane = this.#lane(workerId, startedAt);
    lane.busyMs += endedAt - startedAt;
    lane.runs++;
    this.#segments += this.#append(lane, [startedAt, endedAt, STATUSES.indexOf(status), 1, taskId]);
    if (this.#segments > this.#limits.segments) this.#coarsen();
    const waitedMs = pushedAt === undefined ? undefined : Math.max(0, startedAt - pushedAt);
    this.#ran[binOf(endedAt - startedAt)]!++;
    if (waitedMs !== undefined) this.#waited[binOf(waitedMs)]!++;
    if (status !== "retried") this.#end(taskId, workerId, status, waitedMs, endedAt - startedAt, message);
  }

  /** A task has its outcome. */
  #end(
    taskId: number,
    workerId: number | undefined,
    status: Status,
    waitedMs: number | undefined,
    ranMs: number,
    message: string | undefined,
  ): void {
    this.#counts[status] = (this.#counts[status] ?? 0) + 1;
    const named: Named = {
      taskId,
      label: this.#labels.get(taskId),
      workerId,
      status,
      waitedMs,
      ranMs,
      message,
    };
    if (status !== "ok" && status !== "cancelled") this.#failed = [named, ...this.#failed].slice(0, NAMED);
    const last = this.#slowest.at(-1);
    if (this.#slowest.length < NAMED || ranMs > last!.ranMs) {
      this.#slowest = slowestOf([...this.#slowest, named]);
    }
  }

  #lane(workerId: number, at: number): Lane {
    let lane = this.#lanes.get(workerId);
    if (lane === undefined) {
      lane = { segments: [], startedAt: at, killedAt: undefined, goneAt: undefined, busyMs: 0, runs: 0 };
      this.#lanes.set(workerId, lane);
    }
    return lane;
  }

  /** Appends a run to a lane, or adds it to the last segment where both are too short to be told apart. */
  #append({ segments }: Lane, segment: Segment): 0 | 1 {
    const last = segments.at(-1);
    const [start, end, status, count] = segment;
    if (last !== undefined && isNear(last, segment, this.#resolution)) {
      last[0] = Math.min(last[0], start);
      last[1] = Math.max(last[1], end);
      last[2] = Math.max(last[2], status);
      last[3] += count;
      return 0;
    }
    segments.push(segment);
    return 1;
  }

  /** Makes one segment of those that can hardly be told apart, until half of them are left. */
  #coarsen(): void {
    while (this.#segments > this.#limits.segments / 2) {
      this.#resolution = Math.max(0.01, 2 * this.#resolution);
      this.#segments = 0;
      for (const lane of this.#lanes.values()) {
        for (const segment of lane.segments.splice(0)) this.#segments += this.#append(lane, segment);
      }
      // All the lanes have one segment: there is no less.
      if (this.#segments <= this.#lanes.size) return;
    }
  }

  /** Lets go of what is further back than the picture looks. */
  #forget(now: number): void {
    const since = now - this.#limits.window;
    for (const [workerId, lane] of this.#lanes) {
      const at = lane.segments.findIndex(([, end]) => end >= since);
      this.#segments -= lane.segments.splice(0, at < 0 ? lane.segments.length : at).length;
      if (lane.goneAt !== undefined && lane.goneAt < since) this.#lanes.delete(workerId);
    }
    const at = this.#levels.findIndex(([at]) => at >= since);
    // What was last known before still holds.
    if (at > 1) this.#levels.splice(0, at - 1);
  }

  #level({ queued, running }: Levels, at: number): void {
    this.#addLevel([at, queued, running]);
    while (this.#levels.length > POINTS) {
      this.#levelMs *= 2;
      const points = this.#levels;
      this.#levels = [];
      for (const point of points) this.#addLevel(point);
    }
  }

  #addLevel(level: [at: number, queued: number, running: number]): void {
    const last = this.#levels.at(-1);
    if (last === undefined || level[0] - last[0] >= this.#levelMs) {
      this.#levels.push(level);
      return;
    }
    last[1] = Math.max(last[1], level[1]);
    last[2] = Math.max(last[2], level[2]);
  }
}

function slowestOf(tasks: Named[]): Named[] {
  return tasks.sort((a, b) => b.ranMs - a.ranMs).slice(0, NAMED);
}

/** Whether two segments are too short, and too near to each other, to be told apart. */
function isNear(last: Segment, [start, end]: Segment, resolution: number): boolean {
  return start - last[1] < resolution && (end - start < resolution || last[1] - last[0] < resolution) &&
    end - last[0] < 16 * resolution;
}

function binOf(ms: number): number {
  return Math.min(BINS - 1, Math.max(0, Math.ceil(Math.log(ms / FIRST_BIN_MS) / Math.log(BIN_FACTOR))));
}
