import { assert, assertEquals } from "@std/assert";
import { random, seed } from "../helpers.ts";
import { cancel, push } from "./events.ts";
import { fake, type FakeTask } from "./fakes.ts";
import { World } from "./world.ts";

Deno.test("Scheduler gives every task exactly one outcome, on time, in 10 000 random histories", () => {
  const first = seed();
  const counts: Record<string, number> = {};
  for (let history = 0; history < 10_000; history++) {
    const next = random(first + history);
    const size = 1 + Math.trunc(next() * 3);
    const spares = Math.trunc(next() * 3);
    const pushed: FakeTask[] = [];
    // As the entry does where starting a worker blocks nobody.
    const handed = next() < 0.3 ? fake(1, { timeout: 1 + next() * 60 }) : undefined;
    if (handed !== undefined) pushed.push(handed);
    const headStart = handed !== undefined && next() < 0.7;
    const world = new World(next, {
      headStart,
      size,
      minSize: Math.trunc(next() * (size + 1)),
      spares,
      maxSpares: spares + Math.trunc(next() * 4),
      idleTimeout: 50,
      maxZombies: 1_000,
      restarts: 50,
      maxStarting: next() < 0.3 ? 1 : Infinity,
      maxOffered: next() < 0.3 ? 1 : 256,
      timeoutGrace: next() < 0.3 ? next() * 200 : 0,
      cancelGrace: next() < 0.3 ? next() * 200 : 0,
      maxTasksPerWorker: next() < 0.2 ? 3 : Infinity,
    }, handed);
    const count = pushed.length + 1 + Math.trunc(next() * 15);
    if (next() < 0.2) world.after(next() * 60, () => world.cancelWaiting(pushed.length));
    if (next() < 0.2) world.after(next() * 60, () => world.tell({ type: "renew" }));
    for (let i = pushed.length; i < count; i++) {
      const retry = next() < 0.1
        ? {
          maxAttempts: 3,
          minTimeout: 10,
          maxTimeout: 100,
          multiplier: 2,
          jitter: 1,
          on: ["crashed" as const],
        }
        : undefined;
      world.after(next() * 40, () => {
        const more = {
          module: Math.trunc(next() * 2),
          priority: next() < 0.2 ? Math.trunc(next() * 5) : 0,
          retry,
        };
        const task = fake(pushed.length + 1, { ...more, timeout: 1 + next() * 60, pushedAt: world.now });
        pushed.push(task);
        world.tell(push(task));
        if (next() < 0.1) world.after(next() * 60, () => world.tell(cancel(task)));
      });
    }
    try {
      world.run(60_000, () => world.outcomes.size === count);
      assertEquals(world.outcomes.size, count, "a task has no outcome");
      assert(pushed.every(({ state }) => state === "settled"));
    } catch (error) {
      throw new Error(`history ${history} of SEED=${first}: ${(error as Error).message}`, { cause: error });
    }
    for (const status of world.outcomes.values()) counts[status] = (counts[status] ?? 0) + 1;
  }
  console.log(counts);
  for (const status of ["ok", "timed-out", "crashed", "cancelled"]) assert(counts[status]! > 100, status);
});
