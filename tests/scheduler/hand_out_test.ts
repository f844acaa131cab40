import { assertEquals } from "@std/assert";
import { gone, looked, push, ready, result, results, running, takenBack, TICK } from "./events.ts";
import { brief, fake, type FakeCommand, warm } from "./fakes.ts";

Deno.test("Scheduler hands the first task of an unknown module out alone, and quick ones in batches", () => {
  const { tell } = warm();
  assertEquals(brief(tell(push(fake(1)), 0)), ["offer 1: 1"]);
  for (let id = 2; id <= 6; id++) assertEquals(brief(tell(push(fake(id)), 0)), []);
  assertEquals(brief(tell(results(1, result(0, 0, 0.01)), 1)), ["finish 1", "offer 1: 2,3,4,5,6"]);
});

Deno.test("Scheduler refills a worker when half of what it had is done, not after each task", () => {
  const { tell } = warm();
  tell(push(fake(1)), 0);
  for (let id = 2; id <= 100; id++) tell(push(fake(id)), 0);
  const offered = (commands: FakeCommand[]) =>
    commands.flatMap((command) => command.type === "offer" ? [command.tasks.length] : []);
  // Tasks of a millisecond each.
  const counts = [offered(tell(results(1, result(0, 0, 1)), 1))];
  for (let seq = 1; seq <= 32; seq++) {
    counts.push(offered(tell(results(1, result(seq, seq, seq + 1)), seq + 1)));
  }
  const none = Array.from({ length: 15 }, () => []);
  assertEquals(counts, [[32], ...none, [16], ...none, [16]]);
});

Deno.test("Scheduler takes tasks back from behind a long one", () => {
  const { scheduler, tell } = warm();
  tell(push(fake(1)), 0);
  for (let id = 2; id <= 4; id++) tell(push(fake(id)), 0);
  tell(results(1, result(0, 0, 0.1)), 1);
  assertEquals(scheduler.wakeAt, 5);
  assertEquals(brief(tell(TICK, 5)), ["look 1"]);
  assertEquals(brief(tell(looked(1, running(1, 1)), 5.1)), ["take-back 1: 1,2,3"]);
});

Deno.test("Scheduler has a worker looked at every 8 ms while tasks wait on it: till then it says nothing of its results", () => {
  const { scheduler, tell } = warm();
  tell(push(fake(1)), 0);
  for (let id = 2; id <= 4; id++) tell(push(fake(id)), 0);
  // Tasks of 10 ms: the next is not late before 20.
  tell(results(1, result(0, 0, 10)), 10);
  assertEquals(scheduler.wakeAt, 18);
  assertEquals(brief(tell(TICK, 18)), ["look 1"]);
  assertEquals(brief(tell(looked(1, running(1, 10)), 18)), []);
  assertEquals(scheduler.wakeAt, 26);
  assertEquals(brief(tell(TICK, 26)), ["look 1"]);
  assertEquals(brief(tell(results(1, result(1, 10, 20)), 26)), ["finish 2"]);
  assertEquals(scheduler.wakeAt, 34);
  // The last says itself that it is over.
  assertEquals(brief(tell(TICK, 34)), ["look 1"]);
  tell(results(1, result(2, 20, 30)), 34);
  assertEquals(scheduler.wakeAt, 42);
  assertEquals(brief(tell(TICK, 42)), []);
  assertEquals(scheduler.wakeAt, Infinity);
});

Deno.test("Scheduler gives a free worker what waits on a busy one", () => {
  const { tell } = warm({ size: 2, minSize: 2, spares: 0 });
  tell(push(fake(1)), 0);
  tell(push(fake(2)), 0);
  tell(results(1, result(0, 0, 1)), 1);
  for (let id = 3; id <= 6; id++) tell(push(fake(id, { timeout: 5_000 })), 1);
  const commands = brief(tell(results(2, result(0, 0, 3)), 3));
  assertEquals(commands, ["finish 2", "take-back 1: 3,4"]);
  assertEquals(brief(tell(takenBack(1, [3, 4]), 3)), ["offer 2: 5", "offer 1: 6"]);
});

Deno.test("Scheduler runs what is not to wait on a spare, or on one worker more", () => {
  for (const spares of [1, 0]) {
    const { scheduler, tell } = warm({ spares });
    tell(push(fake(1, { timeout: Infinity })), 0);
    tell(push(fake(2)), 0);
    const commands = brief(tell(push(fake(-1, { priority: Infinity, module: 1 })), 0));
    if (spares === 1) {
      assertEquals(commands, ["offer 2: -1"]);
    } else {
      assertEquals(commands, ["spawn 2"]);
      assertEquals(brief(tell(ready(2), 1)), ["offer 2: -1"]);
    }
    const after = brief(tell(results(2, result(0, 1, 2)), 2));
    assertEquals(after, spares === 1 ? ["finish -1"] : ["finish -1", "close 2 cleanly"]);
    assertEquals([scheduler.stats().queued, scheduler.stats().running], [2, 0]);
    tell(looked(1, running(0, 2)), 2);
    assertEquals([scheduler.stats().queued, scheduler.stats().running], [1, 1]);
  }
});

Deno.test("Scheduler runs nothing else beyond its size when what waits for no place is not run", () => {
  const { tell } = warm();
  const exits = (worker: number, now: number) => {
    for (const command of tell(gone(worker, { running: running(0, now) }), now)) {
      if (command.type === "spawn") tell(ready(command.worker), now);
    }
  };
  // Two tasks of module 1 end their workers, one more is tried: the others are held meanwhile.
  for (const id of [1, 2]) {
    assertEquals(brief(tell(push(fake(id, { module: 1 })), 0)), [`offer ${id}: ${id}`]);
    exits(id, 0);
  }
  assertEquals(brief(tell(push(fake(3, { module: 1, timeout: 60_000 })), 0)), ["offer 3: 3"]);
  assertEquals(brief(tell(push(fake(-1, { priority: Infinity, module: 1 })), 0)), []);
  assertEquals(brief(tell(push(fake(4)), 0)), []);
});

Deno.test("Scheduler takes back for a higher priority only what comes after it, and not over and over", () => {
  const { scheduler, tell } = warm();
  tell(push(fake(1)), 0);
  tell(results(1, result(0, 0, 0.1)), 1);
  tell(push(fake(2, { priority: 1 })), 1);
  assertEquals(brief(tell(push(fake(3, { priority: 1 })), 1)), ["offer 1: 3"]);
  // Not before the others of its priority.
  assertEquals(brief(tell(push(fake(4, { priority: 1 })), 1)), ["offer 1: 4"]);
  assertEquals(brief(tell(push(fake(5, { priority: 2 })), 1)), ["take-back 1: 1,2,3", "offer 1: 5"]);
  assertEquals(brief(tell(takenBack(1, [2, 3]), 1)), ["offer 1: 3,4"]);
  assertEquals(brief(tell(push(fake(6, { priority: 3 })), 2)), ["offer 1: 6"]);
  assertEquals(brief(tell(push(fake(7, { priority: 4 })), 2)), ["offer 1: 7"]);
  assertEquals(scheduler.wakeAt, 5);
  assertEquals(brief(tell(TICK, 5))[0], "take-back 1: 1,4,5,6,7,8");
});
