import { assertEquals } from "@std/assert";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Result } from "../../src/scheduler/scheduling.ts";
import type { Sizes } from "../../src/wire/protocol.ts";
import { gone, push, ready, result, results, TICK } from "./events.ts";
import { brief, fake, type FakeEvent, type FakeTask, options, warm } from "./fakes.ts";
import { Simulation } from "./simulation.ts";

const resize = (size: number, more: Partial<Sizes> = {}): FakeEvent => ({
  type: "resize",
  sizes: { size, minSize: size, maxZombies: size + 4, restarts: size, ...more },
});

Deno.test("Scheduler starts workers at once when the pool grows, and gives them what waits", () => {
  const { tell } = warm({ spares: 0 });
  for (const id of [1, 2, 3]) tell(push(fake(id)), 0);
  assertEquals(brief(tell(resize(3), 1)), ["spawn 2", "spawn 3"]);
  assertEquals(brief(tell(ready(2), 50)), ["offer 2: 2"]);
  assertEquals(brief(tell(ready(3), 50)), ["offer 3: 3"]);
});

Deno.test("Scheduler ends idle workers at once when the pool shrinks, and busy ones when they are free", () => {
  const { scheduler, tell } = warm({ size: 4, spares: 1 });
  for (const id of [1, 2, 3]) tell(push(fake(id)), 0);
  assertEquals(brief(tell(resize(1), 1)), ["close 5 cleanly", "close 4 cleanly"]);
  assertEquals(scheduler.stats().workers.busy, 3);
  // Of a module that is not known: it is not handed to one that runs another.
  tell(push(fake(4, { module: 1 })), 1);
  assertEquals(brief(tell(results(1, result(0, 0, 2)), 2)), ["finish 1", "close 1 cleanly"]);
  // One runs, one is the spare; what waits waits for the one that runs.
  assertEquals(brief(tell(results(2, result(0, 0, 3)), 3)), ["finish 2"]);
  assertEquals(brief(tell(results(3, result(0, 0, 4)), 4)), ["finish 3", "offer 3: 4"]);
});

Deno.test("Scheduler keeps as many workers as minSize says when the pool grows", () => {
  const { tell } = warm({ size: 2, minSize: 1, spares: 0 });
  assertEquals(brief(tell(resize(4, { minSize: 1 }), 1)), []);
  assertEquals(brief(tell(push(fake(1)), 1)), ["offer 1: 1"]);
  assertEquals(brief(tell(push(fake(2)), 1)), ["spawn 2"]);
});

Deno.test("Scheduler lets a worker go that was starting when the pool shrank", () => {
  const { tell } = warm({ spares: 0 });
  assertEquals(brief(tell(resize(2), 1)), ["spawn 2"]);
  assertEquals(brief(tell(resize(1), 2)), []);
  assertEquals(brief(tell(ready(2), 50)), []);
  assertEquals(brief(tell(TICK, 50)), ["close 2 cleanly"]);
});

Deno.test("Scheduler restarts as many workers a second as the new size says", () => {
  const { tell } = warm({ spares: 0, restarts: 1 });
  tell(resize(1, { restarts: 100 }), 0);
  for (let worker = 1; worker < 10; worker++) {
    assertEquals(brief(tell(gone(worker), 100 * worker)), [`spawn ${worker + 1}`]);
    tell(ready(worker + 1), 100 * worker);
    tell(push(fake(worker)), 100 * worker);
    tell(results(worker + 1, result(0, 0, 1)), 100 * worker);
  }
});

Deno.test("Scheduler starts at once what waits for the restart budget when the pool is resized to a larger one", () => {
  const { scheduler, tell } = warm({ spares: 0, restarts: 0.01 });
  let worker = 1;
  // None of them is of any use.
  for (; worker <= 4; worker++) tell(gone(worker), 0);
  tell(push(fake(1)), 0);
  assertEquals([brief(tell(TICK, 1_000)), scheduler.stats().workers.starting], [[], 0]);
  assertEquals(brief(tell(resize(1, { restarts: 1e6 }), 1_001)), []);
  assertEquals(brief(tell(TICK, 1_003)), ["spawn 5"]);
});

Deno.test("Scheduler is warm at once when the pool is resized to what is there already", () => {
  const scheduler = new Scheduler<FakeTask, Result>(options({ size: 4, minSize: 4, spares: 0 }));
  scheduler.start(0);
  assertEquals(brief(scheduler.handle(ready(1), 1)), []);
  assertEquals(brief(scheduler.handle(resize(1), 2)), ["warm"]);
});

Deno.test("a pool that is resized over and over under load loses no task, and has the size it was given last", () => {
  const pool = new Simulation({ size: 4, spares: 1 }, (task) => ({ end: "ok", ms: 1 + task.id % 7 }));
  let id = 0;
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 40; i++) pool.push(fake(++id, { pushedAt: pool.now }));
    pool.tell(resize(1 + (round * 5) % 8));
    pool.run(pool.now + 20);
  }
  pool.tell(resize(3));
  pool.run(pool.now + 10_000);
  assertEquals(pool.count(), { ok: id });
  const { starting, idle, busy } = pool.scheduler.stats().workers;
  assertEquals({ starting, idle, busy }, { starting: 0, idle: 4, busy: 0 });
});
