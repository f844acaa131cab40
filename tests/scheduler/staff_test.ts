import { assertEquals } from "@std/assert";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Result } from "../../src/scheduler/scheduling.ts";
import { cancel, gone, looked, push, ready, result, results, running, TICK } from "./events.ts";
import type { DeathData } from "../../src/wire/protocol.ts";
import { brief, DEATH, fake, type FakeEvent, type FakeTask, options, warm } from "./fakes.ts";

Deno.test("Scheduler.start() starts the pool and its spares, and is warm when the pool is ready", () => {
  const scheduler = new Scheduler<FakeTask, Result>(options({ size: 2, minSize: 2 }));
  assertEquals(brief(scheduler.start(0)), ["spawn 1", "spawn 2", "spawn 3"]);
  assertEquals(brief(scheduler.handle(ready(2), 5)), []);
  assertEquals(brief(scheduler.handle(ready(1), 6)), ["warm"]);
});

Deno.test("Scheduler starts workers again a few at a time, beside tasks that run, but waits for none that hangs", () => {
  const { tell } = warm({ size: 3, maxStarting: 1, maxOffered: 1, killGrace: 0 });
  for (let id = 1; id <= 3; id++) tell(push(fake(id)), 0);
  const spawns = (event: FakeEvent, now: number) =>
    brief(tell(event, now)).filter((line) => line.startsWith("spawn"));
  assertEquals(spawns(looked(1, running(0, 0)), 100), ["spawn 5"]);
  assertEquals(spawns(looked(2, running(0, 0)), 101), []);
  assertEquals(spawns(ready(5), 200), ["spawn 6"]);
  assertEquals(spawns(looked(3, running(0, 0)), 201), []);
  assertEquals(spawns(TICK, 1_199), []);
  assertEquals(spawns(TICK, 1_200), ["spawn 7"]);
});

Deno.test("Scheduler lets a task that a spare took over begin before it starts another spare, where that takes a core", () => {
  const { scheduler, tell } = warm({ maxStarting: 1, maxOffered: 1, killGrace: 0 });
  for (let id = 1; id <= 2; id++) tell(push(fake(id)), 0);
  const over = tell(looked(1, running(0, 0)), 100);
  assertEquals(brief(over), ["settle 1: timed-out", "close 1", "kill 1", "offer 2: 2"]);
  assertEquals(scheduler.wakeAt, 125);
  assertEquals(brief(tell(TICK, 125)), ["spawn 3"]);
});

Deno.test("Scheduler comes back to the workers that it could not start at once, whatever becomes of the first", () => {
  const { scheduler, tell } = warm({ size: 4, minSize: 0, spares: 0, maxStarting: 1 });
  for (let id = 1; id <= 4; id++) tell(push(fake(id)), 0);
  const started: string[] = [];
  for (let now = scheduler.wakeAt; now <= 4_000; now = scheduler.wakeAt) {
    started.push(...brief(tell(TICK, now)).map((line) => `${line} at ${now}`));
  }
  assertEquals(started, ["spawn 2 at 1000", "spawn 3 at 2000", "spawn 4 at 3000"]);
});

Deno.test("Scheduler ends workers that were idle for long, but not below minSize", () => {
  const { scheduler, tell } = warm({ size: 3, minSize: 1, spares: 0, idleTimeout: 100 });
  const commands = [1, 2, 3].flatMap((id) => tell(push(fake(id)), 0));
  for (const command of commands) {
    if (command.type === "spawn") tell(ready(command.worker), 10);
  }
  for (const worker of [1, 2, 3]) tell(results(worker, result(0, 10, 20)), 20);
  assertEquals(scheduler.stats().workers.idle, 3);
  assertEquals(brief(tell(TICK, 119)), []);
  assertEquals(brief(tell(TICK, 120)).length, 2);
  assertEquals(scheduler.stats().workers.idle, 1);
});

for (
  const { what, more } of [
    { what: "has had maxTasksPerWorker runs", more: { maxTasksPerWorker: 2 } },
    { what: "has used all its numbers", more: { maxSeq: 1 } },
  ]
) {
  Deno.test(`Scheduler replaces a worker that ${what}, without a gap`, () => {
    const { tell } = warm(more);
    for (let id = 1; id <= 4; id++) tell(push(fake(id)), 0);
    assertEquals(brief(tell(results(1, result(0, 0, 0.1)), 1)), ["finish 1", "offer 1: 2"]);
    assertEquals(brief(tell(results(1, result(1, 1, 1.1)), 2)), [
      "finish 2",
      "close 1 cleanly",
      "offer 2: 3,4",
      "spawn 3",
    ]);
  });
}

Deno.test("Scheduler closes: idle workers cleanly, and is closed when all are gone", () => {
  const { tell } = warm();
  assertEquals(brief(tell({ type: "stop" }, 0)), ["close 1 cleanly", "close 2 cleanly"]);
  assertEquals(brief(tell(gone(1), 5)), []);
  assertEquals(brief(tell(gone(2), 6)), ["closed"]);
});

Deno.test("Scheduler fails what waits when workers are ready and then die, over and over, before they begin anything", () => {
  const { tell } = warm({ size: 2, minSize: 2 });
  tell(push(fake(1)), 0);
  const ends: string[] = [];
  const dies = (worker: number, unclaimed: number[]) =>
    ends.push(...brief(tell(gone(worker, { unclaimed }), 0)));
  dies(1, [0]);
  dies(2, [0]);
  assertEquals(ends, ["offer 2: 1", "spawn 4", "offer 3: 1", "spawn 5"]);
  // The third in a row, and there is no other.
  dies(3, [0]);
  assertEquals(ends.slice(4), ["settle 1: crashed", "spawn 6"]);
});

Deno.test("Scheduler lets workers die that begin nothing while another can do its work", () => {
  const { tell } = warm({ size: 2, minSize: 2, spares: 0 });
  tell(push(fake(1)), 0);
  tell(looked(1, running(0, 0)), 0);
  tell(push(fake(2)), 0);
  let now = 0;
  for (let worker = 2; worker < 8; worker++, now += 1_000) {
    assertEquals(brief(tell(gone(worker, { unclaimed: [0] }), now)), [`spawn ${worker + 1}`]);
    assertEquals(brief(tell(ready(worker + 1), now)), [`offer ${worker + 1}: 2`]);
  }
});

Deno.test("Scheduler breaks a pool whose workers are ready and then die before it is warm", () => {
  const scheduler = new Scheduler<FakeTask, Result>(options({ size: 2, minSize: 2, spares: 0 }));
  const all: string[] = [];
  const tell = (event: FakeEvent) => all.push(...brief(scheduler.handle(event, 0)));
  scheduler.start(0);
  for (const worker of [1, 3, 4]) {
    tell(ready(worker));
    tell(gone(worker));
  }
  assertEquals(all, ["spawn 3", "spawn 4", `broken: ${DEATH.message}`, "kill 2", "closed"]);
});

const FAILED: DeathData = {
  reason: "error",
  exitCode: 0,
  message: "could not run its initializer: as asked",
};

for (const kind of ["thread", "process"] as const) {
  Deno.test(`Scheduler that is warm is broken by no initializer that fails, nor by that of a spare from before (${kind})`, () => {
    const scheduler = new Scheduler<FakeTask, Result>(options({ kind, restarts: 1_000 }));
    const all: string[] = [];
    const tell = (event: FakeEvent, now: number) => all.push(...brief(scheduler.handle(event, now)));
    assertEquals(brief(scheduler.start(0)), ["spawn 1", "spawn 2"]);
    tell(ready(1), 10);
    // The spare was started before, and fails now; so do all that come after it.
    for (let worker = 2; worker <= 20; worker++) tell(gone(worker, { death: FAILED }), 10 * worker);
    tell(push(fake(1)), 300);
    assertEquals(all, ["warm", ...Array.from({ length: 19 }, (_, i) => `spawn ${i + 3}`), "offer 1: 1"]);
    tell(results(1, result(0, 300, 301)), 301);
    // The last that works ends, too: what waits fails, and the pool goes on.
    tell(gone(1), 302);
    tell(push(fake(2)), 303);
    for (let worker = 21; worker <= 24; worker++) tell(gone(worker, { death: FAILED }), 300 + worker);
    assertEquals(all.slice(21).filter((line) => !line.startsWith("spawn")), [
      "finish 1",
      "settle 2: crashed",
    ]);
    tell(ready(25), 400);
    tell(push(fake(3)), 401);
    assertEquals(all.at(-1), "offer 25: 3");
  });

  Deno.test(`Scheduler that is warm is broken by no initializer that does not end (${kind})`, () => {
    const scheduler = new Scheduler<FakeTask, Result>(options({ kind, killGrace: 0 }));
    scheduler.start(0);
    scheduler.handle({ type: "initializing", worker: 2 }, 5);
    scheduler.handle(ready(1), 10);
    const commands = brief(scheduler.handle(TICK, 5_000));
    assertEquals(commands.filter((line) => !line.startsWith("kill")), ["close 2", "spawn 3"]);
  });
}

Deno.test("Scheduler that takes over from another is broken by nothing: what waits fails, and it goes on", () => {
  const scheduler = new Scheduler<FakeTask, Result>(options({ spares: 0, takesOver: true }));
  const all: string[] = [];
  const tell = (event: FakeEvent, now = 0) => all.push(...brief(scheduler.handle(event, now)));
  scheduler.start(0);
  tell(push(fake(1)));
  for (const worker of [1, 2, 3]) tell(gone(worker));
  assertEquals(all, ["spawn 2", "spawn 3", "settle 1: crashed", "spawn 4"]);
  tell(ready(4), 10);
  tell(push(fake(2)), 10);
  assertEquals(all.slice(4), ["warm", "offer 4: 2"]);
});

Deno.test("Scheduler ends a pool whose initializer does not end", () => {
  const scheduler = new Scheduler<FakeTask, Result>(options({ spares: 1 }));
  scheduler.start(0);
  scheduler.handle({ type: "initializing", worker: 1 }, 400);
  assertEquals(scheduler.wakeAt, 2_400);
  assertEquals(brief(scheduler.handle(TICK, 2_399)), []);
  assertEquals(brief(scheduler.handle(TICK, 2_400)), [
    "close 1",
    "broken: did not end its initializer within 2000 ms (see loadTimeout)",
    "kill 2",
  ]);
  // It is ready after all: too late.
  assertEquals(brief(scheduler.handle(ready(1), 2_500)), []);
});

Deno.test("Scheduler gives up a worker that never comes to its initializer", () => {
  const { scheduler, tell } = warm({ spares: 0 });
  assertEquals(brief(tell(gone(1), 0)), ["spawn 2"]);
  assertEquals(brief(tell(TICK, 59_999)), []);
  assertEquals(scheduler.wakeAt, 60_000);
  assertEquals(brief(tell(TICK, 60_000)), ["close 2", "spawn 3"]);
});

Deno.test("Scheduler lets no worker go for one that only starts", () => {
  const { tell } = warm({ spares: 0 });
  tell(push(fake(1)), 0);
  tell(push(fake(2)), 0);
  assertEquals(brief(tell(push(fake(-1, { priority: Infinity, module: 1 })), 0)), ["spawn 2"]);
  assertEquals(brief(tell(results(1, result(0, 0, 1)), 1)), ["finish 1", "offer 1: -1"]);
});

Deno.test("Scheduler ends a worker that becomes ready when its work has gone", () => {
  const { scheduler, tell } = warm({ size: 2, minSize: 0, spares: 0, idleTimeout: 100 });
  const task = fake(1);
  assertEquals(brief(tell(push(task), 0)), ["spawn 1"]);
  tell(cancel(task), 1);
  tell(ready(1), 30);
  assertEquals(scheduler.wakeAt, 130);
  assertEquals(brief(tell(TICK, 130)), ["close 1 cleanly"]);
});

Deno.test("Scheduler lets a worker go when it becomes free after the pool was told to stop", () => {
  const { tell } = warm({ spares: 0 });
  tell(push(fake(1)), 0);
  assertEquals(brief(tell({ type: "stop" }, 1)), []);
  assertEquals(brief(tell(results(1, result(0, 0, 2)), 2)), ["finish 1", "close 1 cleanly"]);
});
