import { assertEquals } from "@std/assert";
import { cancel, gone, looked, push, ready, result, results, running, takenBack, TICK } from "./events.ts";
import { brief, fake, warm } from "./fakes.ts";

Deno.test("Scheduler settles an overdue task on time, and keeps its worker if it lets go within the grace", () => {
  const { scheduler, tell } = warm({ timeoutGrace: 500 });
  tell(push(fake(1)), 0);
  tell(push(fake(2, { timeout: 1_000 })), 0);
  // A spare takes over; none is started for it yet.
  assertEquals(brief(tell(looked(1, running(0, 0)), 100)), ["settle 1: timed-out", "abort 1", "offer 2: 2"]);
  assertEquals(scheduler.stats().workers, { starting: 0, idle: 0, busy: 1, stopping: 1 });
  // What it returns in the end is told to nobody.
  assertEquals(brief(tell(results(1, result(0, 0, 150)), 150)), []);
  assertEquals(scheduler.stats().workers, { starting: 0, idle: 1, busy: 1, stopping: 0 });
  assertEquals([scheduler.stats().killed, scheduler.stats().spawned], [0, 2]);
  tell(results(2, result(0, 100, 160)), 160);
  assertEquals(brief(tell(push(fake(3, { module: 1 })), 160)), ["offer 2: 3"]);
  assertEquals(brief(tell(push(fake(4, { module: 2 })), 160)), []);
});

Deno.test("Scheduler stops a worker whose task does not let go, and has another started in its place before", () => {
  const { scheduler, tell } = warm({ timeoutGrace: 5_000 });
  tell(push(fake(1)), 0);
  assertEquals(brief(tell(looked(1, running(0, 0)), 100)), ["settle 1: timed-out", "abort 1"]);
  assertEquals(scheduler.wakeAt, 1_100);
  assertEquals(brief(tell(TICK, 1_100)), ["spawn 3"]);
  assertEquals(scheduler.wakeAt, 5_100);
  assertEquals(brief(tell(TICK, 5_100)), ["close 1"]);
  assertEquals(scheduler.stats().killed, 1);
  assertEquals(brief(tell(gone(1), 5_110)), []);
});

Deno.test("Scheduler lets a worker go that lets go late, when another was started in its place", () => {
  const { tell } = warm({ timeoutGrace: 5_000 });
  tell(push(fake(1)), 0);
  tell(looked(1, running(0, 0)), 100);
  assertEquals(brief(tell(TICK, 1_100)), ["spawn 3"]);
  tell(ready(3), 1_250);
  assertEquals(brief(tell(results(1, result(0, 0, 1_300)), 1_300)), ["close 1 cleanly"]);
});

Deno.test("Scheduler gives a cancelled task its grace, its own before that of the pool", () => {
  for (
    const [own, pool, kept] of [[undefined, 50, true], [50, 0, true], [0, 50, false], [
      undefined,
      0,
      false,
    ]] as const
  ) {
    const { tell } = warm({ cancelGrace: pool });
    const task = fake(1, { cancelGrace: own });
    tell(push(task), 0);
    tell(cancel(task), 1);
    tell(takenBack(1, []), 1);
    const commands = brief(tell(looked(1, running(0, 0)), 1));
    assertEquals(commands.slice(0, 2), ["settle 1: cancelled", kept ? "abort 1" : "close 1"]);
  }
});

Deno.test("Scheduler keeps a process that was sent a task and had not begun it when that was cancelled", () => {
  const { tell } = warm({ spares: 0, maxOffered: 1, cancelGrace: 500 });
  const task = fake(1);
  tell(push(task), 0);
  tell(cancel(task), 1);
  tell(takenBack(1, []), 1);
  assertEquals(brief(tell(looked(1, undefined), 1)), ["settle 1: cancelled", "abort 1"]);
  assertEquals(brief(tell(results(1, result(0, 2, 2)), 2)), []);
  assertEquals(brief(tell(push(fake(2)), 3)), ["offer 1: 2"]);
});

Deno.test("Scheduler lets a worker load on whose task is cancelled", () => {
  const { tell } = warm({ cancelGrace: 500 });
  const task = fake(1);
  tell(push(task), 0);
  tell(cancel(task), 1);
  tell(takenBack(1, []), 1);
  assertEquals(brief(tell(looked(1, running(0, 0, true)), 1)), ["settle 1: cancelled", "abort 1"]);
});

Deno.test("Scheduler stops a worker whose module takes too long to load, whatever the grace", () => {
  const { tell } = warm({ timeoutGrace: 500 });
  tell(push(fake(1)), 0);
  assertEquals(brief(tell(looked(1, running(0, 0, true)), 1_000)).slice(0, 2), [
    "settle 1: timed-out",
    "close 1",
  ]);
});

Deno.test("Scheduler tries a task again that timed out, while its worker has time to let go", () => {
  const retry = {
    maxAttempts: 2,
    minTimeout: 5,
    maxTimeout: 5,
    multiplier: 1,
    jitter: 0,
    on: ["timed-out" as const],
  };
  const { tell } = warm({ timeoutGrace: 500 });
  tell(push(fake(1, { retry })), 0);
  assertEquals(brief(tell(looked(1, running(0, 0)), 100)), ["ran 1 since 0", "abort 1"]);
  assertEquals(brief(tell(TICK, 105)), ["offer 2: 1"]);
  // Its first attempt ends, which is not the second.
  assertEquals(brief(tell(results(1, result(0, 0, 110)), 110)), []);
  assertEquals(brief(tell(results(2, result(0, 105, 111)), 111)), ["finish 1"]);
});

Deno.test("Scheduler takes the end of a worker that was to let go for no misfortune", () => {
  const { scheduler, tell } = warm({ timeoutGrace: 500, restarts: 0.001 });
  for (let i = 0; i < 6; i++) {
    const now = i * 1_000;
    tell(push(fake(i)), now);
    const [worker] = [...Array(20).keys()].filter((id) => scheduler.offered(id).length > 0);
    assertEquals(
      brief(tell(looked(worker!, running(scheduler.offered(worker!)[0]!, now)), now + 100)).length,
      2,
    );
    assertEquals(brief(tell(gone(worker!), now + 110)), [`spawn ${i + 3}`]);
    tell(ready(i + 3), now + 200);
  }
  assertEquals([scheduler.stats().idleDeaths, scheduler.stats().killed], [0, 0]);
});

Deno.test("Scheduler waits for the grace when the pool stops, and not when it is terminated", () => {
  for (const type of ["stop", "terminate"] as const) {
    const { tell } = warm({ spares: 0, timeoutGrace: 10_000 });
    tell(push(fake(1)), 0);
    tell(looked(1, running(0, 0)), 100);
    const commands = brief(tell({ type }, 101));
    if (type === "terminate") {
      assertEquals(commands, ["close 1"]);
      continue;
    }
    assertEquals(commands, []);
    assertEquals(brief(tell(TICK, 5_000)), []);
    assertEquals(brief(tell(results(1, result(0, 0, 6_000)), 6_000)), ["close 1 cleanly"]);
    assertEquals(brief(tell(gone(1), 6_001)), ["closed"]);
  }
});

Deno.test("Scheduler does not count on a worker that is long in letting go, where the only idle one does not suit", () => {
  const { tell } = warm({ size: 2, minSize: 0, spares: 0, timeoutGrace: 60_000, idleTimeout: 30_000 });
  assertEquals(brief(tell(push(fake(1)), 0)), ["spawn 1"]);
  assertEquals(brief(tell(push(fake(2, { module: 1 })), 0)), ["spawn 2"]);
  assertEquals(brief(tell(ready(1), 1)), ["offer 1: 1"]);
  assertEquals(brief(tell(ready(2), 1)), ["offer 2: 2"]);
  tell({ type: "home", worker: 2, module: 1 }, 2);
  tell(results(2, result(0, 1, 3)), 3);
  tell(looked(1, running(0, 1)), 101);
  // It may let go soon.
  assertEquals(brief(tell(push(fake(3, { module: 2 })), 200)), []);
  assertEquals(brief(tell(TICK, 1_101)), ["close 2 cleanly", "spawn 3"]);
  assertEquals(brief(tell(ready(3), 1_130)), ["offer 3: 3"]);
});
