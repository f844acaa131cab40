import { assertEquals } from "@std/assert";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Result } from "../../src/scheduler/scheduling.ts";
import { gone, looked, push, ready, result, results, running, takenBack, TICK } from "./events.ts";
import { brief, fake, type FakeEvent, type FakeTask, options, watchedAt } from "./fakes.ts";

const OTHERS = ["spawn 2", "spawn 3"];

/** A pool of one and a spare, whose bridge began to start at 0 and was handed task 1. */
function create(timeout = 100) {
  const scheduler = new Scheduler<FakeTask, Result>(options({ headStart: true }));
  scheduler.start(0, 0);
  const watched = (event: FakeEvent, now: number) => watchedAt(scheduler.handle(event, now));
  const tell = (event: FakeEvent, now: number) => brief(scheduler.handle(event, now));
  const said = tell({ type: "handed", task: fake(1, { timeout }) }, 5);
  return { scheduler, said, tell, watched };
}

Deno.test("Scheduler knows that the bridge has the first task, and hands it no other before it is ready", () => {
  const { scheduler, said, tell } = create();
  assertEquals(said, []);
  assertEquals(tell(push(fake(2)), 6), []);
  assertEquals([scheduler.offered(1), scheduler.taskOf(1, 0)?.slot], [[0], 1]);
  assertEquals(tell(ready(1), 20), []);
  assertEquals(tell(results(1, result(0, 20, 21)), 21), ["finish 1", "offer 1: 2"]);
});

Deno.test("Scheduler hears of a result before it hears that the bridge is ready", () => {
  const { scheduler, tell } = create();
  assertEquals(tell(results(1, result(0, 20, 21)), 21), ["finish 1"]);
  assertEquals(tell(push(fake(2)), 22), []);
  assertEquals(scheduler.stats().workers.busy, 0);
  assertEquals(tell(ready(1), 23), ["offer 1: 2"]);
});

Deno.test("Scheduler counts the limit of a first task from its beginning, which may be before the bridge is heard", () => {
  const { tell, watched } = create(30);
  assertEquals(watched(ready(1), 22), 30);
  assertEquals(tell(looked(1, running(0, 20)), 50), ["settle 1: timed-out", "close 1", ...OTHERS]);
});

Deno.test("Scheduler takes the first task back from a bridge that takes long to start, for the others", () => {
  const { scheduler, tell } = create();
  assertEquals(scheduler.wakeAt, 500);
  assertEquals(tell(TICK, 500), ["take-back 1: 0", ...OTHERS]);
  assertEquals(tell(takenBack(1, [0]), 501), []);
  assertEquals(scheduler.stats().queued, 1);
  assertEquals(tell(ready(2), 550), ["warm", "offer 2: 1"]);
  // It is no more use now.
  assertEquals(tell(ready(1), 600), ["close 1 cleanly"]);
});

Deno.test("Scheduler leaves the first task to a bridge that has begun it unheard", () => {
  const { tell } = create();
  assertEquals(tell(TICK, 500), ["take-back 1: 0", ...OTHERS]);
  assertEquals(tell(takenBack(1, []), 501), []);
  assertEquals(tell(ready(1), 502), []);
  assertEquals(tell(results(1, result(0, 500, 503)), 503), ["finish 1"]);
});

Deno.test("Scheduler runs a task of higher priority first, as long as the bridge has not begun the first", () => {
  const { tell } = create();
  assertEquals(tell(push(fake(2, { priority: 1 })), 6), ["take-back 1: 0"]);
  assertEquals(tell(takenBack(1, [0]), 6), []);
  assertEquals(tell(ready(1), 20), ["offer 1: 2"]);
});

Deno.test("Scheduler gives the first task to others when the bridge ends before it is ready", () => {
  const { tell } = create();
  assertEquals(tell(gone(1, { unclaimed: [0] }), 10), OTHERS);
  assertEquals(tell(ready(2), 60), ["warm", "offer 2: 1"]);
});

Deno.test("Scheduler cancels a first task that waits for the bridge, and ends what has begun with the pool", () => {
  const waiting = create();
  assertEquals(waiting.tell({ type: "cancel-waiting", upTo: 1 }, 6), ["take-back 1: 0", "waiting-cancelled"]);
  assertEquals(waiting.tell(takenBack(1, [0]), 6), ["settle 1: cancelled"]);

  const begun = create();
  assertEquals(begun.tell({ type: "terminate" }, 6), ["take-back 1: 0", "look 1"]);
  assertEquals(begun.tell(takenBack(1, []), 6), []);
  assertEquals(begun.tell(ready(1), 7), ["look 1"]);
  assertEquals(begun.tell(looked(1, running(0, 5)), 7), ["settle 1: cancelled", "close 1"]);
});
