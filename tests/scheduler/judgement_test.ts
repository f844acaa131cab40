import { assertEquals } from "@std/assert";
import { judge, type Judgement, type Look, lookBy } from "../../src/scheduler/judgement.ts";
import { Offered } from "../../src/scheduler/offered.ts";
import type { Busy } from "../../src/scheduler/workers.ts";
import { running } from "./events.ts";
import { fake, type FakeTask } from "./fakes.ts";

const LOAD_TIMEOUT = 1_000;

/** A worker that was given these tasks at 0, numbered from 0. */
function busy(tasks: Partial<FakeTask>[], more: Partial<Busy<FakeTask>> = {}): Busy<FakeTask> {
  return {
    phase: "busy",
    starting: undefined,
    offered: new Offered(tasks.map((task, seq) => fake(seq + 1, { seq, ...task }))),
    since: 0,
    begun: -1,
    softened: -1,
    stuck: false,
    condemned: -1,
    disordered: false,
    stolenAt: -Infinity,
    doubted: undefined,
    ...more,
  };
}

/** A judgement in a line: the verdict, the number of the task, when to look again. */
function brief(judgement: Judgement<FakeTask>): string {
  const { verdict } = judgement;
  const task = "task" in judgement ? ` ${judgement.task.seq}` : "";
  switch (verdict) {
    case "wait":
      return `wait until ${judgement.at}`;
    case "go-on":
      return `go-on${task} until ${judgement.at}${judgement.soften ? ", soften" : ""}`;
    case "end":
      return `end${task} (limit ${judgement.limit})`;
    default:
      return `${verdict}${task}`;
  }
}

interface Case {
  name: string;
  tasks: Partial<FakeTask>[];
  look: Look["running"];
  now: number;
  /** Whether all that the worker had posted was told; false where it does not matter. */
  drained?: boolean;
  alone?: boolean;
  more?: Partial<Busy<FakeTask>>;
  expected: string;
}

const SHORT = { timeout: 100 };
const LONG = { timeout: 60_000 };

const CASES: Case[] = [
  // Nothing begun.
  { name: "just handed out", tasks: [SHORT], look: undefined, now: 0, expected: "wait until 100" },
  { name: "a long one", tasks: [LONG], look: undefined, now: 0, expected: "wait until 500" },
  {
    name: "a soft limit",
    tasks: [{ ...LONG, softTimeout: 30 }],
    look: undefined,
    now: 0,
    expected: "wait until 30",
  },
  { name: "the shortest counts", tasks: [LONG, SHORT], look: undefined, now: 0, expected: "wait until 100" },
  { name: "about to be given up", tasks: [LONG], look: undefined, now: 900, expected: "wait until 1000" },
  { name: "nothing for a second", tasks: [LONG], look: undefined, now: 1_000, expected: "doubt" },
  {
    name: "nothing, for certain",
    tasks: [LONG],
    look: undefined,
    now: 1_000,
    drained: true,
    expected: "give-up",
  },
  {
    name: "given longer after a refusal",
    tasks: [{ ...LONG, refusals: 1 }],
    look: undefined,
    now: 3_999,
    expected: "wait until 4000",
  },
  {
    name: "but not for ever",
    tasks: [{ ...LONG, refusals: 1 }],
    look: undefined,
    now: 4_000,
    expected: "doubt",
  },
  {
    name: "given longer where much is moved",
    tasks: [{ ...LONG, bytes: 20_000_000 }],
    look: undefined,
    now: 1_999,
    expected: "wait until 2000",
  },
  {
    name: "given longer where sending took long",
    tasks: [{ ...LONG, sendMs: 10 }],
    look: undefined,
    now: 1_999,
    expected: "wait until 2000",
  },
  {
    name: "patience counts from the last end",
    tasks: [LONG],
    look: undefined,
    now: 1_000,
    more: { since: 700 },
    expected: "wait until 1500",
  },
  {
    name: "something that it does not hold",
    tasks: [SHORT],
    look: running(7, 0),
    now: 0,
    expected: "wait until 100",
  },
  // Cancelled before it began.
  {
    name: "cancelled, and cannot be taken back",
    tasks: [{ ...SHORT, cancelled: "yes" }],
    look: undefined,
    now: 0,
    alone: true,
    expected: "drop 0",
  },
  {
    name: "cancelled, but can be taken back",
    tasks: [{ ...SHORT, cancelled: "yes" }],
    look: undefined,
    now: 0,
    expected: "wait until 100",
  },
  // Running.
  { name: "in time", tasks: [SHORT], look: running(0, 10), now: 50, expected: "go-on 0 until 110" },
  {
    name: "in time to the last",
    tasks: [SHORT],
    look: running(0, 10),
    now: 109.9,
    expected: "go-on 0 until 110",
  },
  { name: "at its limit", tasks: [SHORT], look: running(0, 10), now: 110, expected: "condemn 0" },
  {
    name: "past it, for certain",
    tasks: [SHORT],
    look: running(0, 10),
    now: 110,
    drained: true,
    expected: "end 0 (limit 100)",
  },
  {
    name: "past it, others behind",
    tasks: [SHORT, SHORT],
    look: running(0, 10),
    now: 110,
    drained: true,
    expected: "condemn 0",
  },
  {
    name: "no limit",
    tasks: [{ timeout: Infinity }],
    look: running(0, 0),
    now: 1e9,
    expected: "go-on 0 until 1000000500",
  },
  { name: "a later one", tasks: [LONG, SHORT], look: running(1, 20), now: 30, expected: "go-on 1 until 120" },
  {
    name: "one behind it has less time",
    tasks: [LONG, { timeout: 20 }],
    look: running(0, 0),
    now: 10,
    expected: "go-on 0 until 30",
  },
  {
    name: "cancelled",
    tasks: [{ ...LONG, cancelled: "yes" }],
    look: running(0, 0),
    now: 1,
    expected: "condemn 0",
  },
  {
    name: "cancelled, for certain",
    tasks: [{ ...LONG, cancelled: "yes" }],
    look: running(0, 0),
    now: 1,
    drained: true,
    expected: "end 0 (limit 60000)",
  },
  // Loading.
  {
    name: "loading longer than the task's limit",
    tasks: [SHORT],
    look: running(0, 0, true),
    now: 500,
    expected: "go-on 0 until 600",
  },
  {
    name: "loading for too long",
    tasks: [SHORT],
    look: running(0, 0, true),
    now: 1_000,
    expected: "condemn 0",
  },
  {
    name: "loading for too long, for certain",
    tasks: [SHORT],
    look: running(0, 0, true),
    now: 1_000,
    drained: true,
    expected: "end 0 (limit 1000)",
  },
  // A soft limit.
  {
    name: "before its soft limit",
    tasks: [{ ...LONG, softTimeout: 30 }],
    look: running(0, 10),
    now: 20,
    expected: "go-on 0 until 40",
  },
  {
    name: "at its soft limit",
    tasks: [{ ...LONG, softTimeout: 30 }],
    look: running(0, 10),
    now: 40,
    expected: "go-on 0 until 540, soften",
  },
  {
    name: "past it, and told so",
    tasks: [{ ...LONG, softTimeout: 30 }],
    look: running(0, 10),
    now: 50,
    more: { softened: 0 },
    expected: "go-on 0 until 550",
  },
  {
    name: "another was told so",
    tasks: [{ ...LONG, softTimeout: 30 }],
    look: running(0, 10),
    now: 50,
    more: { softened: 3 },
    expected: "go-on 0 until 550, soften",
  },
  {
    name: "its soft limit does not count while it loads",
    tasks: [{ ...LONG, softTimeout: 30 }],
    look: running(0, 0, true),
    now: 100,
    expected: "go-on 0 until 130",
  },
];

for (const { name, tasks, look, now, drained = false, alone = false, more, expected } of CASES) {
  Deno.test(`judge() of a worker: ${name}: ${expected}`, () => {
    const state = busy(tasks, more);
    const before = JSON.stringify(state);
    assertEquals(brief(judge(state, { running: look, drained }, LOAD_TIMEOUT, alone, now)), expected);
    assertEquals(JSON.stringify(state), before, "it does nothing itself");
  });
}

Deno.test("lookBy() is soon enough for the shortest limit and for loading, and never long", () => {
  const cases: [shortest: number, loadTimeout: number, ms: number][] = [
    [20, 1_000, 20],
    [1_000, 30, 30],
    [60_000, 10_000, 500],
    [Infinity, Infinity, 500],
  ];
  for (const [shortest, loadTimeout, ms] of cases) assertEquals(lookBy(shortest, loadTimeout, 7), 7 + ms);
});
