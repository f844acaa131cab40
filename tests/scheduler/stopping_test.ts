import { assertEquals } from "@std/assert";
import {
  cancel,
  gone,
  interrupted,
  looked,
  push,
  ready,
  result,
  results,
  running,
  takenBack,
  TICK,
} from "./events.ts";
import { brief, fake, warm, watchedAt } from "./fakes.ts";

Deno.test("Scheduler escalates from asking to interrupting to a zombie, and counts the end", () => {
  const { scheduler, tell } = warm();
  tell(push(fake(1)), 0);
  tell(looked(1, running(0, 0)), 100);
  assertEquals(scheduler.wakeAt, 400);
  assertEquals(brief(tell(TICK, 399)), []);
  assertEquals(brief(tell(TICK, 400)), ["kill 1"]);
  tell(interrupted(1), 401);
  tell(TICK, 1_400);
  assertEquals(scheduler.stats().zombies, 0);
  tell(TICK, 1_401);
  assertEquals(scheduler.stats().zombies, 1);
  tell(gone(1), 5_000);
  assertEquals(scheduler.stats().zombies, 0);
  assertEquals(scheduler.stats().ended, { asked: 0, interrupted: 1 });
});

Deno.test("Scheduler counts no worker as a zombie that nobody came to interrupt yet", () => {
  const { scheduler, tell } = warm();
  tell(push(fake(1)), 0);
  tell(looked(1, running(0, 0)), 100);
  assertEquals(brief(tell(TICK, 400)), ["kill 1"]);
  // The nursery is starting other workers.
  tell(TICK, 10_000);
  assertEquals(scheduler.stats().zombies, 0);
  tell(interrupted(1), 10_001);
  assertEquals(scheduler.wakeAt, 11_001);
  tell(gone(1), 10_050);
  assertEquals(scheduler.stats().ended, { asked: 0, interrupted: 1 });
});

Deno.test("Scheduler takes back what waits behind an overdue task before it stops the worker", () => {
  const { tell } = warm();
  tell(push(fake(1)), 0);
  for (let id = 2; id <= 4; id++) tell(push(fake(id)), 0);
  tell(results(1, result(0, 0, 0.1)), 1);
  assertEquals(brief(tell(looked(1, running(1, 1)), 101)), ["take-back 1: 1,2,3", "look 1"]);
  assertEquals(brief(tell(takenBack(1, [2, 3]), 101)), []);
  assertEquals(brief(tell(looked(1, running(1, 1)), 101)), [
    "settle 2: timed-out",
    "close 1",
    "offer 2: 3,4",
    "spawn 3",
  ]);
});

Deno.test("Scheduler gives up a worker that begins nothing, and keeps its task", () => {
  const { tell } = warm();
  tell(push(fake(1, { timeout: 60_000 })), 0);
  assertEquals(brief(tell(looked(1, undefined), 999)), []);
  assertEquals(brief(tell(looked(1, undefined, false), 1_001)), ["take-back 1: 0", "look 1"]);
  assertEquals(brief(tell(takenBack(1, [0]), 1_001)), ["close 1", "offer 2: 1", "spawn 3"]);
});

Deno.test("Scheduler interrupts an idle worker that does not end in peace, and counts it", () => {
  const { scheduler, tell } = warm({ maxTasksPerWorker: 1 });
  tell(push(fake(1)), 0);
  assertEquals(brief(tell(results(1, result(0, 0, 1)), 1)), ["finish 1", "close 1 cleanly", "spawn 3"]);
  assertEquals(brief(tell(TICK, 1_001)), ["kill 1"]);
  assertEquals(brief(tell(TICK, 1_002)), []);
  const { killed, ended, zombies } = scheduler.stats();
  assertEquals([killed, ended, zombies], [1, { asked: 0, interrupted: 0 }, 0]);
  tell(gone(1), 1_003);
  assertEquals(scheduler.stats().ended, { asked: 0, interrupted: 1 });
});

Deno.test("Scheduler looks again before it settles an overdue task, and gives its worker nothing more meanwhile", () => {
  const { tell } = warm({ size: 1, spares: 0 });
  tell(push(fake(1)), 0);
  tell(results(1, result(0, 0, 0.1)), 1);
  tell(push(fake(2)), 1);
  for (const drained of [false, false]) {
    const look = tell(looked(1, running(1, 1), drained), 101);
    assertEquals(look.at(-1), { type: "look", worker: 1, drained: true });
  }
  assertEquals(brief(tell(push(fake(3)), 101)), []);
  // The end of the task came with the messages: it was in time.
  assertEquals(brief(tell(results(1, result(1, 1, 90)), 102)), ["finish 2", "offer 1: 3"]);
});

Deno.test("Scheduler gives a worker nothing behind a cancelled task", () => {
  const { tell } = warm({ size: 1, spares: 0 });
  tell(push(fake(1)), 0);
  tell(results(1, result(0, 0, 0.1)), 1);
  const [second, third] = [fake(2), fake(3)];
  tell(push(second), 1);
  tell(cancel(second), 2);
  assertEquals(brief(tell(looked(1, running(1, 1), false), 2)), ["look 1"]);
  assertEquals(brief(tell(push(third), 2)), []);
  assertEquals(brief(tell(looked(1, running(1, 1)), 2)), ["settle 2: cancelled", "close 1", "spawn 2"]);
});

Deno.test("Scheduler looks in time for the deadline of a task that begins unseen", () => {
  const { tell } = warm();
  tell(push(fake(1, { timeout: 20 })), 0);
  assertEquals(watchedAt(tell(looked(1, undefined), 20)), 40);
  assertEquals(watchedAt(tell(looked(1, running(0, 30, true)), 40)), 60);
  assertEquals(watchedAt(tell(looked(1, running(0, 50)), 60)), 70);
});

Deno.test("Scheduler gives a task that no worker begins longer each time, and then an outcome", () => {
  const { scheduler, tell } = warm({ spares: 0 });
  tell(push(fake(1)), 0);
  const given: number[] = [];
  let now = 0;
  for (let worker = 1;; worker++) {
    const since = now;
    while (brief(tell(looked(worker, undefined, false), now)).length === 0) now += 100;
    given.push(now - since);
    const commands = brief(tell(takenBack(worker, [0]), now));
    if (commands[0] === "settle 1: crashed") break;
    assertEquals(commands, [`close ${worker}`, `spawn ${worker + 1}`]);
    tell(gone(worker), now);
    assertEquals(brief(tell(ready(worker + 1), now)), [`offer ${worker + 1}: 1`]);
  }
  assertEquals(given, [1_000, 4_000, 16_000]);
  assertEquals(scheduler.stats().queued, 0);
});

Deno.test("Scheduler gives what takes long to send longer to arrive", () => {
  const { tell } = warm({ spares: 0 });
  const task = fake(1);
  tell(push(task), 0);
  task.sendMs = 30;
  assertEquals(brief(tell(looked(1, undefined, false), 3_900)), []);
  assertEquals(brief(tell(looked(1, undefined, false), 4_000)), ["take-back 1: 0", "look 1"]);
});

Deno.test("Scheduler gives buffers that are moved the time they need to arrive", () => {
  const { tell } = warm({ maxOffered: 1, killGrace: 0 });
  const task = fake(1, { exclusive: true, bytes: 300_000_000 });
  tell(push(task), 0);
  assertEquals(brief(tell(looked(1, undefined), 15_000)), []);
  assertEquals(brief(tell(looked(1, undefined, false), 16_000)), ["look 1"]);
  assertEquals(brief(tell(looked(1, undefined), 16_000)).slice(0, 2), ["settle 1: crashed", "close 1"]);
});

for (const type of ["stop", "terminate"] as const) {
  Deno.test(`Scheduler that is to ${type} waits for no worker that is known not to end`, () => {
    const { scheduler, tell } = warm();
    tell(push(fake(1)), 0);
    tell(looked(1, running(0, 0)), 100);
    tell(TICK, 400);
    tell(interrupted(1), 400);
    tell(TICK, 1_400);
    assertEquals(scheduler.stats().zombies, 1);
    tell(ready(3), 1_400);
    tell({ type }, 1_500);
    assertEquals(brief(tell(gone(2), 1_501)), []);
    assertEquals(brief(tell(gone(3), 1_502)), ["kill 1", "closed"]);
  });
}

Deno.test("Scheduler that ends with its process waits for workers that end in peace, and for none that was stopped", () => {
  for (const cell of [false, true]) {
    const { tell } = warm({ cell, disposeTimeout: 5_000 });
    tell(push(fake(1)), 0);
    tell(looked(1, running(0, 0)), 100);
    tell(ready(3), 110);
    assertEquals(brief(tell({ type: "stop" }, 120)), ["close 2 cleanly", "close 3 cleanly"]);
    tell({ type: "disposing", worker: 2 }, 121);
    tell(gone(3), 122);
    const rest = brief(tell(gone(2), 1_000));
    assertEquals(rest, cell ? ["kill 1", "closed"] : []);
  }
});
