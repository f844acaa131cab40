import { assertEquals } from "@std/assert";
import type { RetryData } from "../../src/wire/protocol.ts";
import { cancel, gone, looked, push, result, results, running, takenBack, TICK } from "./events.ts";
import { brief, fake, type FakeCommand, warm } from "./fakes.ts";

Deno.test("Scheduler says of no task that it never began, when it is terminated, unless the worker has given it back", () => {
  const { tell } = warm({ spares: 0 });
  tell(push(fake(1)), 0);
  tell(results(1, result(0, 0, 0.1)), 1);
  const tasks = [2, 3, 4, 5].map((id) => fake(id));
  for (const task of tasks) tell(push(task), 1);
  assertEquals(brief(tell({ type: "terminate" }, 5)), ["take-back 1: 1,2,3,4", "look 1"]);
  // One has ended by then, one runs, another has ended but word of that is on its way.
  assertEquals(brief(tell(takenBack(1, [4]), 5)), ["settle 5: cancelled"]);
  assertEquals(brief(tell(results(1, result(1, 1, 2)), 5)), ["finish 2"]);
  assertEquals(brief(tell(looked(1, running(3, 4), false), 6)), [
    "settle 3: cancelled",
    "settle 4: cancelled",
    "close 1",
  ]);
  assertEquals(tasks.map(({ attempts }) => attempts), [1, 1, 1, 0]);
});

Deno.test("Scheduler settles a task at its deadline, stops its worker and goes on with the spare", () => {
  const { scheduler, tell } = warm();
  tell(push(fake(1)), 0);
  tell(push(fake(2)), 0);
  assertEquals(brief(tell(looked(1, running(0, 1)), 100)), []);
  assertEquals(brief(tell(looked(1, running(0, 1)), 101)), [
    "settle 1: timed-out",
    "close 1",
    "offer 2: 2",
    "spawn 3",
  ]);
  assertEquals(scheduler.stats().killed, 1);
  // A late reply changes nothing.
  assertEquals(brief(tell(results(1, result(0, 1, 50)), 102)), []);
});

Deno.test("Scheduler does not stop a worker whose overdue task finished meanwhile", () => {
  const { tell } = warm();
  tell(push(fake(1)), 0);
  tell(push(fake(2)), 0);
  tell(results(1, result(0, 0, 0.1)), 1);
  const commands = tell(results(1, result(1, 1, 102)), 102);
  assertEquals(brief(commands), ["settle 2: timed-out"]);
});

Deno.test("Scheduler counts a value that came after its deadline as a timeout", () => {
  const { tell } = warm();
  tell(push(fake(1)), 0);
  assertEquals(brief(tell(results(1, result(0, 0, 100.5)), 101)), ["settle 1: timed-out"]);
});

Deno.test("Scheduler times loading by its own limit", () => {
  const { tell } = warm();
  tell(push(fake(1)), 0);
  assertEquals(brief(tell(looked(1, running(0, 0, true)), 999)), []);
  const commands = tell(looked(1, running(0, 0, true)), 1_000);
  const settled = commands.find(({ type }) => type === "settle") as FakeCommand & { type: "settle" };
  assertEquals(settled.verdict, { status: "timed-out", limit: { loading: true, timeout: 1_000 } });
});

Deno.test("Scheduler settles the task of a dead worker as crashed, and replaces the worker", () => {
  const { tell } = warm();
  tell(push(fake(1)), 0);
  assertEquals(brief(tell(gone(1), 5)), ["settle 1: crashed", "spawn 3"]);
});

Deno.test("Scheduler cancels a waiting task, one that is held, and one that runs", () => {
  const { tell } = warm();
  const [first, second, third] = [fake(1), fake(2), fake(3)];
  for (const task of [first, second, third]) tell(push(task), 0);
  assertEquals(brief(tell(cancel(third), 1)), ["settle 3: cancelled"]);
  assertEquals(brief(tell(cancel(first), 1)), ["take-back 1: 0", "look 1"]);
  assertEquals(brief(tell(takenBack(1, []), 1)), []);
  assertEquals(brief(tell(looked(1, running(0, 0)), 1)), [
    "settle 1: cancelled",
    "close 1",
    "offer 2: 2",
    "spawn 3",
  ]);
  assertEquals(brief(tell(cancel(first), 2)), []);
});

Deno.test("Scheduler tries a task again after its back-off, which holds no worker", () => {
  const retry: RetryData = {
    maxAttempts: 2,
    minTimeout: 50,
    maxTimeout: 1_000,
    multiplier: 2,
    jitter: 0,
    on: ["failed"],
  };
  const { scheduler, tell } = warm();
  tell(push(fake(1, { retry })), 0);
  assertEquals(brief(tell(results(1, result(0, 0, 1, false)), 1)), ["ran 1 since 0"]);
  assertEquals(scheduler.stats().workers.idle, 2);
  assertEquals(scheduler.wakeAt, 51);
  assertEquals(brief(tell(TICK, 51)), ["offer 1: 1"]);
  assertEquals(brief(tell(results(1, result(1, 51, 52, false)), 52)), ["finish 1"]);
});

Deno.test("Scheduler gives nothing more to a worker whose last results come with its end", () => {
  const { tell } = warm();
  tell(push(fake(1)), 0);
  tell(push(fake(2, { exclusive: true })), 0);
  assertEquals(brief(tell(gone(1, { results: [result(0, 0, 0.1)] }), 1)), [
    "finish 1",
    "offer 2: 2",
    "spawn 3",
  ]);
});

Deno.test("Scheduler says that a module which could not be loaded has no callbacks, and knows nothing of one it never tried", () => {
  const { tell } = warm();
  const callbacks = (commands: FakeCommand[]) =>
    commands.flatMap((command) => command.type === "settle" ? [command.callbacks] : []);
  const loading = { seq: 0, since: 0, loading: true, callbacks: undefined };
  tell(push(fake(1)), 0);
  assertEquals(callbacks(tell(looked(1, loading), 1_000)), [0]);
  tell(push(fake(2, { exclusive: true })), 1_000);
  const lost = tell(gone(2), 1_001);
  assertEquals(callbacks(lost), [undefined]);
});

Deno.test("Scheduler tells of the end of a worker exactly if no outcome does", () => {
  const told = (commands: FakeCommand[]) =>
    commands.flatMap((command) => command.type === "idle-death" ? [command.worker, command.module] : []);
  const { scheduler, tell } = warm({ size: 4, spares: 0 });
  assertEquals(told(tell(gone(1), 0)), [1, undefined]);
  tell(push(fake(1, { module: 7 })), 1);
  tell(results(2, result(0, 1, 2)), 2);
  assertEquals(told(tell(gone(2), 3)), [2, 7]);
  // It had not begun what it was given, which goes to another.
  tell(push(fake(2)), 4);
  assertEquals(told(tell(gone(3, { unclaimed: [0] }), 5)), [3, undefined]);
  assertEquals(told(tell(gone(4, { running: running(0, 5) }), 6)), []);
  assertEquals(scheduler.stats().idleDeaths, 3);
});
