import { assert, assertEquals } from "@std/assert";
import { Slots } from "../../src/scheduler/slots.ts";
import { gone, looked, push, running } from "./events.ts";
import { fake, type FakeTask, warm } from "./fakes.ts";
import { Simulation } from "./simulation.ts";

Deno.test("Slots gives the lowest that is free, and the last again where that is", () => {
  const slots = new Slots();
  assertEquals([slots.take(11, 0, 3), slots.take(12, 0, 3), slots.take(13, 0, 3)], [1, 2, 3]);
  slots.release(11);
  slots.release(13);
  assertEquals([slots.take(13, 3, 3), slots.take(14, 3, 3)], [3, 1]);
  slots.release(12);
  // Smaller now.
  slots.release(13);
  assertEquals(slots.take(13, 3, 2), 2);
});

Deno.test("Slots keeps that of a worker that was stopped from others while there are free ones", () => {
  const slots = new Slots();
  for (const worker of [11, 12, 13]) slots.take(worker, 0, 3);
  slots.linger(11);
  slots.linger(12);
  slots.release(13);
  assertEquals(slots.take(14, 0, 3), 3);
  // None is left: the one that was stopped first hands its own on.
  assertEquals([slots.take(15, 0, 3), slots.take(16, 0, 3)], [1, 2]);
  // Its end frees no slot that another has by now.
  slots.release(11);
  slots.release(14);
  assertEquals(slots.take(17, 1, 3), 3);
});

Deno.test("Scheduler gives the slot of a stopped worker to its successor only where none other is free", () => {
  const { tell } = warm({ size: 2, spares: 1 });
  const tasks = [fake(1), fake(2), fake(3)];
  tell(push(tasks[0]!), 0);
  assertEquals(tasks[0]!.slot, 1);
  tell(looked(3, undefined), 0);
  const [worker] = [1, 2, 3].filter((id) =>
    tell(looked(id, running(0, 0)), 100).some(({ type }) => type === "settle")
  );
  tell(push(tasks[1]!), 100);
  tell(push(tasks[2]!), 100);
  assertEquals(tasks.map(({ slot }) => slot), [1, 2, 1]);
  tell(gone(worker!), 101);
});

Deno.test("no two tasks that run have the same slot, whatever hangs, dies, retries and is resized", () => {
  const fates = ["ok", "hang", "ok", "exit", "ok", "stuck", "ok"] as const;
  const current = new Map<number, FakeTask>();
  const pool: Simulation = new Simulation(
    { size: 4, spares: 2, maxSpares: 8, restarts: 1_000, maxZombies: 1_000, timeoutGrace: 20 },
    (task, worker) => {
      for (const [id, other] of current) {
        if (pool.workers.get(id)!.gone || pool.outcomes.has(other.id)) current.delete(id);
      }
      current.set(worker.id, task);
      const slots = [...current.values()].map(({ slot }) => slot);
      assertEquals(new Set(slots).size, slots.length, `${slots}`);
      assert(task.slot >= 1 && task.slot <= 4, `${task.slot}`);
      return { end: fates[task.id % fates.length]!, ms: 1 + task.id % 5 };
    },
  );
  for (let id = 1; id <= 1_000; id++) {
    pool.push(fake(id, { module: id % 3, timeout: 10, pushedAt: pool.now }));
    if (id % 10 === 0) pool.run(pool.now + 20);
  }
  pool.run(pool.now + 100_000);
  assertEquals(pool.outcomes.size, 1_000);
});
