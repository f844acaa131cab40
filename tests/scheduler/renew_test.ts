import { assertEquals } from "@std/assert";
import { cancel, looked, push, ready, result, results, running, takenBack, TICK } from "./events.ts";
import { brief, fake, warm } from "./fakes.ts";
import { Simulation } from "./simulation.ts";

const RENEW = { type: "renew" } as const;

Deno.test("Scheduler replaces an idle worker when another is ready, and not before", () => {
  const { tell } = warm({ size: 2, spares: 0, cores: 1 });
  assertEquals(brief(tell(RENEW, 0)), ["spawn 3"]);
  // The old ones work on.
  assertEquals(brief(tell(push(fake(1)), 1)), ["offer 1: 1"]);
  assertEquals(brief(tell(ready(3), 50)), ["close 2 cleanly", "spawn 4"]);
  // It is busy: it is given nothing more.
  assertEquals(brief(tell(ready(4), 90)), ["take-back 1: 0", "renewed"]);
  tell(takenBack(1, []), 90);
  assertEquals(brief(tell(push(fake(2)), 90)), ["offer 3: 2"]);
  assertEquals(brief(tell(results(1, result(0, 1, 91)), 91)), ["finish 1", "close 1 cleanly"]);
});

Deno.test("Scheduler lets outdated workers go that nobody needs to replace", () => {
  const { tell } = warm({ size: 3, minSize: 0, spares: 0 });
  for (const id of [1, 2]) tell(push(fake(id)), 0);
  tell(ready(1), 10);
  tell(ready(2), 10);
  for (const worker of [1, 2]) tell(results(worker, result(0, 10, 11)), 11);
  assertEquals(brief(tell(RENEW, 12)), ["close 1 cleanly", "close 2 cleanly", "renewed"]);
});

Deno.test("Scheduler replaces a worker that takes too much memory, without a gap", () => {
  const { tell } = warm({ spares: 0 });
  tell(push(fake(1)), 0);
  assertEquals(brief(tell({ type: "full", worker: 1 }, 1)), ["spawn 2"]);
  assertEquals(brief(tell(results(1, result(0, 0, 2)), 2)), ["finish 1"]);
  assertEquals(brief(tell(push(fake(2)), 2)), ["offer 1: 2"]);
  assertEquals(brief(tell(results(1, result(1, 2, 3)), 3)), ["finish 2"]);
  assertEquals(brief(tell(ready(2), 50)), ["close 1 cleanly"]);
  assertEquals(brief(tell({ type: "full", worker: 1 }, 51)), []);
});

Deno.test("Scheduler answers a renewal at once where there are no workers", () => {
  const { tell } = warm({ minSize: 0, spares: 0 });
  assertEquals(brief(tell(RENEW, 0)), ["renewed"]);
});

Deno.test("a pool that is renewed over and over under load loses no task, and runs none on an old worker after the answer", () => {
  const pool = new Simulation({ size: 4, spares: 1, cores: 2 }, () => ({ end: "ok", ms: 3 }));
  let id = 0;
  for (let round = 0; round < 20; round++) {
    const { length } = pool.starts;
    pool.tell(RENEW);
    for (let i = 0; i < 400; i++) pool.push(fake(++id, { pushedAt: pool.now }));
    for (let t = 0; t < 100; t += 10) {
      pool.run(pool.now + 10);
      // The old ones work until the new ones are there.
      const { idle, busy } = pool.scheduler.stats().workers;
      assertEquals(idle + busy >= 4, true, `${idle} idle, ${busy} busy`);
    }
    pool.run(pool.now + 1_000);
    assertEquals(pool.starts.length - length, 5);
  }
  assertEquals(pool.count(), { ok: id });
  const alive = [...pool.workers.values()].filter(({ gone }) => !gone).map((worker) => worker.id);
  assertEquals(alive, [101, 102, 103, 104, 105]);
});

Deno.test("Scheduler leaves a worker that is to be replaced the time to let go of its task", () => {
  for (const outcome of ["lets go", "hangs"]) {
    const { tell } = warm({ spares: 0, cancelGrace: 10_000 });
    const task = fake(1, { timeout: 60_000 });
    tell(push(task), 0);
    tell(cancel(task), 10);
    assertEquals(brief(tell(looked(1, running(0, 0)), 10)), ["settle 1: cancelled", "abort 1"]);
    assertEquals(brief(tell(RENEW, 20)), ["spawn 2"]);
    assertEquals(brief(tell(ready(2), 60)), ["renewed"]);
    // It is not counted twice when it takes long.
    assertEquals(brief(tell(TICK, 2_000)), []);
    if (outcome === "lets go") {
      assertEquals(brief(tell(results(1, result(0, 0, 5_000)), 5_000)), ["close 1 cleanly"]);
    } else {
      assertEquals(brief(tell(TICK, 10_010)), ["close 1"]);
    }
  }
});
