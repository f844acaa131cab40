import { assertEquals } from "@std/assert";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Result } from "../../src/scheduler/scheduling.ts";
import { brief, DEATH, fake, type FakeTask, options } from "./fakes.ts";

const OTHERS = ["spawn 2", "spawn 3", "spawn 4"];

/** A pool of two that has a bridge with a head start: the number of that is 1. */
function create() {
  const scheduler = new Scheduler<FakeTask, Result>(options({ size: 2, headStart: true }));
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
