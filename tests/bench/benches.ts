import { BARE, type Contestant, OURS, PEERS } from "./contestants.ts";
import { allOf, atLeast, atMost, beyondBest, lessThanLeast, type Target, withinBare } from "./targets.ts";

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

/** The number in the environment, so that a run can be made short while working on it. */
function count(name: string, usual: number): number {
  const given = Number(Deno.env.get(name));
  return given > 0 ? given : usual;
}

const many = count("TASKS", 100_000);
/** Of all tasks in one run of (c) together. */
const cpuMs = count("CPU_MS", 2_000);
const queued = count("QUEUED", 1_000_000);

function one(measurement: string, params: Record<string, unknown>): Bench["runs"] {
  return [{ measurement, params: { ...params, size: SIZE }, suffix: "" }];
}

/** All of them, in the order of the issue. */
export const BENCHES: readonly Bench[] = [
  {
    id: "a",
    runs: one("throughput", { tasks: many }),
    contestants: POOLS,
    bound: 60,
    metrics: [{
      key: "perSecond",
      title: `no-op tasks a second, ${many} at once`,
      better: "more",
      targets: [beyondBest(10, "deno"), beyondBest(5, "node")],
    }],
  },
  {
    id: "b",
    runs: one("latency", { tasks: count("LATENCY_TASKS", 5_000) }),
    contestants: [OURS, BARE, ...PEERS],
    bound: 60,
    metrics: [
      {
        key: "p50",
        title: "no-op latency, one at a time, p50, µs (bare threads: an echo over the same hops)",
        better: "less",
        targets: [withinBare(1.25)],
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
    contestants: POOLS,
    bound: 60,
    metrics: [
      buffers("copy1", "1 MiB there and back, copied"),
      buffers("move1", "1 MiB there and back, moved (poolifier: back copied)"),
      buffers("copy50", "50 MiB there and back, copied"),
      buffers("move50", "50 MiB there and back, moved (poolifier: back copied)"),
    ],
  },
  {
    id: "f",
    runs: one("cold", {}),
    contestants: [OURS, BARE, ...PEERS],
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
];

function cpu(key: string, title: string, least: number): Metric {
  return { key, title: `${title}, % of the ideal`, better: "more", targets: [atLeast(least)] };
}

function buffers(key: string, title: string): Metric {
  return { key, title: `${title}, ms`, better: "less", targets: [] };
}

function blocked(key: string, title: string): Metric {
  return { key, title, better: "more", ratio: false, targets: [allOf(95)] };
}
