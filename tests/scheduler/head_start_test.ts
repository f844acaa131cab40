import { assertEquals } from "@std/assert";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Result } from "../../src/scheduler/scheduling.ts";
import { brief, DEATH, fake, type FakeTask, options } from "./fakes.ts";

const OTHERS = ["spawn 2", "spawn 3", "spawn 4"];

/** A pool of two that has a bridge with a head start: the number of that is 1. */
function create(maxOffered = 256) {
  const scheduler = new Scheduler<FakeTask, Result>(options({ size: 2, headStart: true, maxOffered }));
  const begin = brief(scheduler.start(0, 0));
  const tell = (event: Parameters<typeof scheduler.handle>[0], now: number) =>
    brief(scheduler.handle(event, now));
  const end = (seq: number, startedAt: number, endedAt: number) => {
    const result = { seq, ok: true, unloaded: false, callbacks: 0, startedAt, endedAt };
    return tell({ type: "results", worker: 1, results: [result] }, endedAt);
  };
  return { scheduler, begin, tell, end };
}

Deno.test("HeadStart starts nothing before the bridge is ready, and all the others then", () => {
  const { begin, tell } = create();
  assertEquals(begin, ["adopt 1"]);
  assertEquals(tell({ type: "tick" }, 499), []);
  assertEquals(tell({ type: "ready", worker: 1 }, 499), OTHERS);
});

Deno.test("HeadStart does not wait for a bridge that takes long, or has ended", () => {
  const slow = create();
  assertEquals(slow.scheduler.wakeAt, 500);
  assertEquals(slow.tell({ type: "tick" }, 500), OTHERS);

  const broken = create();
  const gone = {
    type: "gone",
    worker: 1,
    death: DEATH,
    results: [],
    running: undefined,
    unclaimed: [],
  } as const;
  assertEquals(broken.tell(gone, 20), OTHERS);
});

Deno.test("HeadStart leaves the cores to short tasks for as long as the bridge took to start", () => {
  const { scheduler, tell, end } = create();
  for (let id = 1; id <= 4; id++) tell({ type: "push", task: fake(id) }, 10);
  assertEquals(tell({ type: "ready", worker: 1 }, 50), ["offer 1: 1"]);
  const said = [0, 1, 2, 3].flatMap((seq) => end(seq, 50 + seq, 51 + seq));
  assertEquals(said.filter((line) => !line.startsWith("offer")), [1, 2, 3, 4].map((id) => `finish ${id}`));
  assertEquals(tell({ type: "tick" }, 99), []);
  assertEquals(scheduler.wakeAt, 100);
  assertEquals(tell({ type: "tick" }, 100), OTHERS);
});

Deno.test("HeadStart gives the bridge all short tasks that wait at once: nobody shares them yet", () => {
  const { tell, end } = create();
  for (let id = 1; id <= 101; id++) tell({ type: "push", task: fake(id) }, 10);
  tell({ type: "ready", worker: 1 }, 50);
  const [offer] = end(0, 50, 50.1).filter((line) => line.startsWith("offer"));
  assertEquals(offer?.split(",").length, 100);
});

/** The bridge is ready at 50 and at work, and the head start of all would be over. */
function atWork(ms: number, tasks: number, maxOffered?: number) {
  const pool = create(maxOffered);
  for (let id = 1; id <= tasks; id++) pool.tell({ type: "push", task: fake(id) }, 10);
  pool.tell({ type: "ready", worker: 1 }, 50);
  let [seq, at] = [0, 50];
  for (; at < 99; seq++) pool.end(seq, at, at += ms);
  return { ...pool, seq, at };
}

Deno.test("HeadStart leaves the cores to what waits for longer if that takes less time than a start", () => {
  const { scheduler, tell, end, seq } = atWork(1, 90);
  assertEquals(tell({ type: "tick" }, 100).filter((line) => line.startsWith("spawn")), []);
  // The bridge took 50 ms to start: a task of 12.5 is long.
  assertEquals(scheduler.wakeAt <= 99 + 12.5, true);
  let said: string[] = [];
  for (let i = seq; i < 89; i++) said.push(...end(i, 50 + i, 51 + i));
  assertEquals(said.filter((line) => line.startsWith("spawn")), []);
  // Nothing is left to be done but to have a pool.
  said = end(89, 139, 140);
  assertEquals(said, ["finish 90", ...OTHERS]);
});

Deno.test("HeadStart starts the others when what waits would take longer, or a task does", () => {
  const many = atWork(1, 120);
  assertEquals(many.tell({ type: "tick" }, 100).filter((line) => line.startsWith("spawn")), OTHERS);

  const long = atWork(1, 60);
  const at = 99 + 12.5;
  assertEquals(long.tell({ type: "tick" }, at - 1).filter((line) => line.startsWith("spawn")), []);
  assertEquals(long.tell({ type: "tick" }, at).filter((line) => line.startsWith("spawn")), OTHERS);
});

Deno.test("HeadStart starts the others where tasks are handed out one by one: messages take longer than those", () => {
  const { tell } = atWork(1, 60, 1);
  assertEquals(tell({ type: "tick" }, 100).filter((line) => line.startsWith("spawn")), OTHERS);
});

Deno.test("HeadStart ends although short tasks come again and again", () => {
  const { tell, end, seq } = atWork(1, 90);
  const spawned: number[] = [];
  for (let [i, at, id] = [seq, 99, 100]; at < 260; i++, at++, id++) {
    tell({ type: "push", task: fake(id) }, at);
    if (end(i, at, at + 1).some((line) => line.startsWith("spawn"))) spawned.push(at + 1);
  }
  assertEquals(spawned, [250]);
});

Deno.test("HeadStart starts the others beside a first task that is not short", () => {
  for (const [readyAt, long] of [[20, 10], [200, 50]] as const) {
    const { scheduler, tell } = create();
    for (let id = 1; id <= 2; id++) tell({ type: "push", task: fake(id) }, 10);
    assertEquals(tell({ type: "ready", worker: 1 }, readyAt), ["offer 1: 1"]);
    assertEquals(scheduler.wakeAt, readyAt + long);
    assertEquals(tell({ type: "tick" }, readyAt + long), OTHERS);
  }
});

Deno.test("HeadStart is over once: no worker waits for it later", () => {
  const { tell } = create();
  tell({ type: "ready", worker: 1 }, 50);
  assertEquals(tell({ type: "push", task: fake(1) }, 60), ["offer 1: 1"]);
  const gone = { type: "gone", death: DEATH, results: [], running: undefined, unclaimed: [] } as const;
  assertEquals(tell({ ...gone, worker: 2 }, 61), ["spawn 5"]);
});
