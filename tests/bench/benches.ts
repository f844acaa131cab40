import { BARE, type Contestant, OURS, OURS_CELLS, OURS_PROCESSES, PEERS } from "./contestants.ts";
import {
  allOf,
  atLeast,
  atMost,
  beyondBest,
  cellsBesideThreads,
  lessThanLeast,
  type Target,
  withinBare,
  withinBest,
} from "./targets.ts";

/** One figure of a bench. */
export interface Metric {
  readonly key: string;
  readonly title: string;
  readonly better: "more" | "less";
  /** False for figures that can be zero or less, whose ratio says nothing. */
  readonly ratio?: false;
  readonly targets: readonly Target[];
}

/** A bench of the issue. */
export interface Bench {
  readonly id: string;
  /** In `measurements/`, and what it is told, for each run that makes up the bench. */
  readonly runs: readonly { measurement: string; params: Record<string, unknown>; suffix: string }[];
  readonly contestants: readonly Contestant[];
  readonly metrics: readonly Metric[];
  /** After this many seconds a run is given up. */
  readonly bound: number;
}

const SIZE = 2;
const MIB = 2 ** 20;
const POOLS = [OURS, ...PEERS];
const OUR_KINDS = [OURS, OURS_PROCESSES, OURS_CELLS];

/** The number in the environment, so that a run can be made short while working on it. */
function count(name: string, usual: number): number {
  const given = Number(Deno.env.get(name));
  return given > 0 ? given : usual;
}

const many = count("TASKS", 100_000);
/** Of all tasks in one run of (c) together. */
const cpuMs = count("CPU_MS", 2_000);
const queued = count("QUEUED", 1_000_000);
/** In one run of (i), in a program that has just begun. */
const FRESH = [1, 100, 1_000, 10_000, 100_000, 1_000_000];
const freshMost = count("FRESH", 1_000_000);
const fresh = FRESH.filter((tasks) => tasks <= freshMost);
const hangMs = count("HANG_MS", 20_000);
/** Those of the peers that can stop a task. */
const STOPPING = PEERS.filter(({ name }) => name === "piscina" || name === "workerpool");

function one(measurement: string, params: Record<string, unknown>): Bench["runs"] {
  return [{ measurement, params: { ...params, size: SIZE }, suffix: "" }];
}

/** All of them, in the order of the issue. */
export const BENCHES: readonly Bench[] = [
  {
    id: "a",
    runs: one("throughput", { tasks: many }),
    contestants: [OURS, OURS_CELLS, ...PEERS],
    bound: 60,
    metrics: [{
      key: "perSecond",
      title: `no-op tasks a second, ${many} at once`,
      better: "more",
      targets: [beyondBest(10, "deno"), beyondBest(5, "node"), cellsBesideThreads(0.5)],
    }],
  },
  {
    id: "b",
    runs: one("latency", { tasks: count("LATENCY_TASKS", 5_000) }),
    contestants: [OURS, OURS_CELLS, BARE, ...PEERS],
    bound: 60,
    metrics: [
      {
        key: "p50",
        title: "no-op latency, one at a time, p50, µs (bare threads: an echo over the same hops)",
        better: "less",
        targets: [withinBare(1.25), cellsBesideThreads(0.4)],
      },
      { key: "p99", title: "no-op latency, one at a time, p99, µs", better: "less", targets: [] },
    ],
  },
  {
    id: "c",
    runs: [
      { measurement: "cpu", params: { ms: 1, tasks: cpuMs, size: SIZE }, suffix: "1" },
      {
        measurement: "cpu",
        params: { ms: 10, tasks: cpuMs / 10, size: SIZE },
        suffix: "10",
      },
    ],
    contestants: POOLS,
    bound: 60,
    metrics: [
      cpu("clock1", "1 ms CPU tasks, by the clock", 95),
      cpu("clock10", "10 ms CPU tasks, by the clock", 98),
      cpu("work1", "1 ms CPU tasks, by the work done", 95),
      cpu("work10", "10 ms CPU tasks, by the work done", 98),
    ],
  },
  {
    id: "d",
    runs: one("mixed", { tasks: count("MIXED_TASKS", 2_000) }),
    contestants: POOLS,
    bound: 60,
    metrics: [{
      key: "ofIdeal",
      title: "95 % tasks of 0.1 ms, 5 % of 50 ms: makespan, × the ideal",
      better: "less",
      targets: [atMost(1.1)],
    }],
  },
  {
    id: "e",
    runs: one("buffers", {
      sizes: [{ key: "1", bytes: MIB, times: 100 }, { key: "50", bytes: 50 * MIB, times: 8 }],
    }),
    contestants: [OURS, OURS_CELLS, BARE, ...PEERS],
    bound: 60,
    metrics: [
      buffers("copy1", "1 MiB there and back, copied", 1.1),
      buffers("move1", "1 MiB there and back, moved (poolifier: back copied)", 1.5),
      buffers("copy50", "50 MiB there and back, copied", 1.1),
      buffers("move50", "50 MiB there and back, moved (poolifier: back copied)", 1.5),
    ],
  },
  {
    id: "f",
    runs: one("cold", {}),
    contestants: [OURS, OURS_CELLS, BARE, ...PEERS],
    bound: 30,
    metrics: [{
      key: "first",
      title: "start to first outcome, cold, ms (bare threads: both nested workers there)",
      better: "less",
      targets: [withinBare(1.1)],
    }],
  },
  {
    id: "g",
    runs: one("blocked", { ms: 2_000 }),
    contestants: POOLS,
    bound: 60,
    metrics: [
      blocked(
        "quick",
        "1 ms tasks finished while the entry is blocked for 2 s, % of what the workers can do",
      ),
      blocked("behind", "the same, while a task of 2 s holds one worker, % of what the other can do"),
    ],
  },
  {
    id: "h",
    runs: one("memory", { tasks: queued, few: 10_000 }),
    contestants: POOLS,
    bound: 240,
    metrics: [
      {
        key: "perTask",
        title:
          `${queued} no-op tasks at once: resident memory at the peak, bytes a task (ours with a limit of 60 s)`,
        better: "less",
        targets: [atMost(1_024), lessThanLeast()],
      },
      {
        key: "after",
        title: `resident memory within 30 s after, MiB above the start`,
        better: "less",
        ratio: false,
        targets: [atMost(50)],
      },
      {
        key: "growth",
        title: `time for a task with ${queued} at once, × that with 10000`,
        better: "less",
        ratio: false,
        targets: [atMost(1.5)],
      },
    ],
  },
  {
    id: "i",
    runs: fresh.map((tasks) => ({ measurement: "fresh", params: { tasks, size: SIZE }, suffix: `${tasks}` })),
    contestants: POOLS,
    bound: 300,
    metrics: [
      ...fresh.map(freshMetric),
      {
        key: "blocked1",
        title: "a new program: the longest that its thread is kept before the first outcome, ms",
        better: "less",
        targets: [atMost(60)],
      },
    ],
  },
  {
    id: "j",
    runs: [{ measurement: "hang_stream", params: { ms: hangMs, limit: 100, size: 3 }, suffix: "" }],
    contestants: [OURS, OURS_PROCESSES, OURS_CELLS, ...STOPPING],
    bound: 60 + hangMs / 1_000,
    metrics: [
      {
        key: "perSecond",
        title: "two callers whose tasks hang, limit 100 ms, pool of 3: stopped a second, of 20",
        better: "more",
        targets: [atLeast(18), atLeast(15, OURS_PROCESSES), atLeast(18, OURS_CELLS)],
      },
      {
        key: "p50",
        title: "the tasks of a third caller meanwhile, p50, ms",
        better: "less",
        targets: [atMost(10), atMost(10, OURS_PROCESSES)],
      },
      {
        key: "p99",
        title: "the tasks of a third caller meanwhile, p99, ms",
        better: "less",
        targets: [atMost(150), atMost(150, OURS_PROCESSES)],
      },
    ],
  },
  {
    id: "k",
    runs: [{ measurement: "half_hang", params: { tasks: 100, limit: 200, size: 4 }, suffix: "" }],
    contestants: [OURS, OURS_PROCESSES, ...STOPPING],
    bound: 90,
    metrics: [{
      key: "ofIdeal",
      title: "100 tasks, every other one hangs, limit 200 ms, pool of 4: makespan, × the ideal",
      better: "less",
      targets: [atMost(1.1)],
    }],
  },
  {
    id: "l",
    runs: one("beside", { ms: 5_000 }),
    contestants: POOLS,
    bound: 60,
    metrics: [
      {
        key: "p50",
        title: "all workers compute: how late the program's own timers are, p50, ms",
        better: "less",
        ratio: false,
        targets: [],
      },
      { key: "p99", title: "the same, p99, ms", better: "less", ratio: false, targets: [] },
    ],
  },
  {
    id: "m",
    runs: ["push", "run"].map((by) => ({
      measurement: "terminate",
      params: { tasks: queued, by, size: SIZE },
      suffix: by,
    })),
    contestants: OUR_KINDS,
    bound: 60,
    metrics: [
      {
        key: "mspush",
        title: `terminate() while ${queued} pushed tasks wait, ms`,
        better: "less",
        targets: [atMost(1_000)],
      },
      { key: "msrun", title: "the same, by run, whose promises reject", better: "less", targets: [] },
    ],
  },
  {
    id: "n",
    runs: one("worker_start", { workers: 8 }),
    contestants: OUR_KINDS,
    bound: 120,
    metrics: [{
      key: "cpu",
      title: "CPU time of a worker's start, in a warm pool, ms",
      better: "less",
      targets: [],
    }],
  },
  {
    id: "o",
    runs: [2, 8].map((size) => ({ measurement: "idle_memory", params: { size }, suffix: `${size}` })),
    contestants: [...OUR_KINDS, ...PEERS],
    bound: 120,
    metrics: [2, 8].flatMap((size) => [idleMemory("rss", size), idleMemory("pss", size)]),
  },
];

function cpu(key: string, title: string, least: number): Metric {
  return { key, title: `${title}, % of the ideal`, better: "more", targets: [atLeast(least)] };
}

function buffers(key: string, title: string, most: number): Metric {
  return { key, title: `${title}, ms`, better: "less", targets: [withinBest(most)] };
}

function freshMetric(tasks: number): Metric {
  return {
    key: `ms${tasks}`,
    title: `a new program: first line to last outcome of ${tasks} no-op tasks, ms`,
    better: "less",
    targets: [withinBest(1, "deno"), withinBest(tasks <= 1_000 ? 1.2 : 1, "node")],
  };
}

function blocked(key: string, title: string): Metric {
  return { key, title, better: "more", ratio: false, targets: [allOf(95)] };
}

function idleMemory(key: "rss" | "pss", size: number): Metric {
  const what = key === "rss" ? "resident memory" : "the same, what processes share counted once";
  return {
    key: `${key}${size}`,
    title: `an idle pool of ${size}: ${what}, MiB above the program`,
    better: "less",
    targets: [],
  };
}
