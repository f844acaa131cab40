import { assert, assertEquals, assertThrows } from "@std/assert";
import { InfoTask, MultiProcess, PoolStateError } from "../../mod.ts";
import { fixture, until, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test(`MultiProcess.resize() grows and shrinks a pool that runs (${isolation})`, async () => {
    await withPool({ size: 1, isolation }, async (mp) => {
      const pushed = Array.from({ length: 6 }, () => mp.push(task("sleep", 30_000, 1_500)));
      const running = async () => (await mp.stats()).running;
      await until(async () => await running() === 1, 10_000, "one runs");
      mp.resize(3);
      await until(async () => await running() === 3, 10_000, "three run");
      mp.resize(1);
      const outcomes = await Promise.all(pushed);
      assert(outcomes.every(({ status }) => status === "ok"));
      await until(
        async () => {
          const { starting, idle, busy, stopping } = (await mp.stats()).workers;
          return starting + busy + stopping === 0 && idle === 2;
        },
        10_000,
        "there is one worker, and a spare",
      );
    });
  });
}

Deno.test("MultiProcess.resize() before the start counts from the start on", async () => {
  const mp = new MultiProcess({ size: 1, spares: 0 });
  mp.resize(2);
  await mp.start();
  assertEquals((await mp.stats()).workers.idle, 2);
  await mp.stop();
});

Deno.test("MultiProcess.resize() makes room in a full queue", async () => {
  await withPool({ size: 1, maxQueue: 0 }, async (mp) => {
    const first = mp.push(task("sleep", 30_000, 500));
    const room = mp.room();
    mp.resize(2);
    await room;
    const second = mp.push(task("sleep", 30_000, 1));
    assertEquals([(await first).status, (await second).status], ["ok", "ok"]);
  });
});

Deno.test("MultiProcess.resize() refuses what is no size, and a pool that has ended", async () => {
  const mp = new MultiProcess({ size: 4, minSize: 2 });
  const cases: [unknown, typeof TypeError, string][] = [
    ["2", TypeError, 'Cannot resize the pool: the size must be a number, received "2"'],
    [0, RangeError, "the size must be an integer of at least 1, received 0"],
    [1.5, RangeError, "received 1.5"],
    [1, RangeError, 'Cannot resize the pool: "minSize" must be at most "size", received 2 and 1'],
  ];
  for (const [size, Class, message] of cases) assertThrows(() => mp.resize(size as number), Class, message);
  mp.resize(2);
  await mp.stop();
  assertThrows(() => mp.resize(3), PoolStateError, "Cannot resize the pool: the pool is stopped");
});
