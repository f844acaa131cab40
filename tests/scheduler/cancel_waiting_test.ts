import { assertEquals } from "@std/assert";
import type { RetryData } from "../../src/wire/protocol.ts";
import { cancel, gone, looked, push, result, results, running, takenBack, TICK } from "./events.ts";
import { brief, fake, warm } from "./fakes.ts";

/** All that was pushed by now. */
const CANCEL_WAITING = { type: "cancel-waiting", upTo: 10_000 } as const;
const RETRY: RetryData = {
  maxAttempts: 3,
  minTimeout: 50,
  maxTimeout: 1_000,
  multiplier: 2,
  jitter: 0,
  on: ["failed", "crashed", "timed-out"],
};

Deno.test("Scheduler cancels what is queued and what waits for another attempt, and leaves what runs", () => {
  const { scheduler, tell } = warm();
  tell(push(fake(1, { retry: RETRY })), 0);
  tell(results(1, result(0, 0, 1, false)), 1);
  // How long they run is not known yet, so that a worker is given one of them only.
  for (const id of [2, 3, 4]) tell(push(fake(id, { module: 1 })), 1);
  // Nobody has looked yet whether one has begun.
  assertEquals(scheduler.stats().queued, 4);
  assertEquals(brief(tell(CANCEL_WAITING, 2)), [
    "take-back 1: 1",
    "settle 1: cancelled",
    "settle 3: cancelled",
    "settle 4: cancelled",
    "waiting-cancelled",
  ]);
  // It had begun, though nobody had looked.
  assertEquals(scheduler.stats().queued, 1);
  tell(takenBack(1, []), 2);
  assertEquals(brief(tell(results(1, result(1, 1, 3)), 3)), ["finish 2"]);
});

Deno.test("Scheduler cancels what a worker holds and has not begun", () => {
  const { tell } = warm({ spares: 0 });
  tell(push(fake(1)), 0);
  tell(results(1, result(0, 0, 0.1)), 1);
  for (const id of [2, 3, 4]) tell(push(fake(id)), 1);
  assertEquals(brief(tell(CANCEL_WAITING, 2)), ["take-back 1: 1,2,3", "waiting-cancelled"]);
  assertEquals(brief(tell(takenBack(1, [2, 3]), 2)), ["settle 3: cancelled", "settle 4: cancelled"]);
  assertEquals(brief(tell(results(1, result(1, 1, 3)), 3)), ["finish 2"]);
});

Deno.test("Scheduler begins nothing after cancel-waiting that was pushed before: what runs is not tried again", () => {
  const { tell } = warm({ spares: 0 });
  tell(push(fake(1, { retry: RETRY })), 0);
  tell(CANCEL_WAITING, 1);
  tell(takenBack(1, []), 1);
  assertEquals(brief(tell(results(1, result(0, 0, 5, false)), 5)), ["finish 1"]);

  tell(push(fake(2, { retry: RETRY })), 10);
  tell(CANCEL_WAITING, 11);
  tell(takenBack(1, []), 11);
  assertEquals(brief(tell(looked(1, running(1, 10)), 110)).slice(0, 2), ["settle 2: timed-out", "close 1"]);
});

Deno.test("Scheduler tells a task as cancelled whose worker ended before it began it, as crashed if it had begun", () => {
  const { tell } = warm({ size: 2, spares: 0, maxOffered: 1 });
  tell(push(fake(1)), 0);
  tell(push(fake(2)), 0);
  tell(CANCEL_WAITING, 1);
  assertEquals(brief(tell(gone(1), 2))[0], "settle 1: cancelled");
  assertEquals(brief(tell(gone(2, { running: running(0, 0) }), 2))[0], "settle 2: crashed");
});

Deno.test("Scheduler runs what is pushed after cancel-waiting", () => {
  const { tell } = warm({ spares: 0 });
  tell(push(fake(1)), 0);
  tell(push(fake(2)), 0);
  const commands = brief(tell({ type: "cancel-waiting", upTo: 2 }, 1));
  assertEquals(commands, ["take-back 1: 0", "settle 2: cancelled", "waiting-cancelled"]);
  tell(takenBack(1, []), 1);
  const third = fake(3);
  for (const task of [third, fake(4)]) tell(push(task), 1);
  // It can be cancelled like any other.
  assertEquals(brief(tell(cancel(third), 1)), ["settle 3: cancelled"]);
  assertEquals(brief(tell(results(1, result(0, 0, 2)), 2)), ["finish 1", "offer 1: 4"]);
});

Deno.test("Scheduler cancels very many waiting tasks in slices, between which it does what is due", () => {
  const { scheduler, tell } = warm({ spares: 0 });
  const last = fake(2_502);
  for (let id = 1; id < last.id; id++) tell(push(fake(id)), 0);
  tell(push(last), 0);
  const counts = [tell(CANCEL_WAITING, 1).length - 1];
  // It is on its way out already.
  assertEquals(tell(cancel(last), 1), []);
  while (scheduler.wakeAt <= 1) counts.push(tell(TICK, 1).length);
  assertEquals(counts, [1_000, 1_000, 502]);
});

Deno.test("Scheduler cancels the tasks of one signal in one go, and gives their places to others", () => {
  const { tell } = warm({ spares: 0 });
  const tasks = Array.from({ length: 4 }, (_, i) => fake(i + 1));
  for (const task of tasks) tell(push(task), 0);
  const [, second, third, fourth] = tasks;
  assertEquals(brief(tell(cancel(second!, third!, third!), 1)), [
    "settle 2: cancelled",
    "settle 3: cancelled",
  ]);
  assertEquals(brief(tell(results(1, result(0, 0, 2)), 2)), ["finish 1", `offer 1: ${fourth!.id}`]);
});

Deno.test("Scheduler leaves a task alone that finds out which callbacks a module has", () => {
  const { tell } = warm({ spares: 0 });
  tell(push(fake(1)), 0);
  tell(push(fake(2)), 0);
  tell(push(fake(-1, { priority: Infinity, module: 1 })), 0);
  tell(CANCEL_WAITING, 1);
  assertEquals(brief(tell(results(1, result(0, 0, 2)), 2)), ["finish 1", "offer 1: -1"]);
});

Deno.test("Scheduler gives a task that is cancelled twice one outcome", () => {
  const { tell } = warm({ spares: 0 });
  const task = fake(2);
  tell(push(fake(1)), 0);
  tell(push(task), 0);
  assertEquals(brief(tell(CANCEL_WAITING, 1)), [
    "take-back 1: 0",
    "settle 2: cancelled",
    "waiting-cancelled",
  ]);
  assertEquals(brief(tell(cancel(task), 1)), []);
  assertEquals(brief(tell(CANCEL_WAITING, 1)), ["take-back 1: 0", "waiting-cancelled"]);
});
