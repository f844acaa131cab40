/** Loops around calls into the runtime whose errors are caught: an interrupt may get lost in them. Kinds × isolation. */
import { assertEquals } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { isAtLeast } from "../../src/runtime/version.ts";
import { fixture, sample, until, withPool } from "../helpers.ts";

/** How many of each are tried in threads: more where an interrupt may get lost, by chance. */
const KINDS = {
  stats: 6,
  reads: 6,
  locks: 6,
  statsByName: 6,
  readsByDefault: 6,
  locksByRequire: 6,
  commands: 6,
  spawns: 6,
  queries: 6,
  inspects: 6,
  spawnsByName: 6,
  runsByName: 6,
  randoms: 6,
  base64: 6,
  texts: 6,
  logs: 6,
  inspectsBetween: 6,
  nothing: 2,
  clones: 2,
  urls: 2,
  // End as soon as a call has returned.
  sleeps: 1,
  counts: 1,
  // May stay for ever, most of them seldom: one that does would be in the way of all others here.
  parses: 0,
  inspectsByName: 0,
  formatsByName: 0,
  assertsByName: 0,
  patterns: 0,
  imports: 0,
};

const loop = (kind: string) => new InfoTask(fixture(`polls.ts#${kind}`), 100);

Deno.test({
  name: "a task that polls is over in time, and none of its threads is left",
  ignore: !isAtLeast([2, 9, 4]),
  async fn(test) {
    const options = { size: 2, maxRestarts: 100, maxZombies: 100, output: "ignore" } as const;
    await withPool({ ...options, isolation: "thread" }, async (mp) => {
      for (const [kind, count] of sample(Object.entries(KINDS))) {
        if (count === 0) continue;
        await test.step(kind, async () => {
          const outcomes = await Promise.all(Array.from({ length: count }, () => mp.push(loop(kind))));
          for (const { status } of outcomes) assertEquals(status, "timed-out");
          await until(
            async () => (await mp.stats()).workers.stopping === 0,
            20_000,
            "the end of their threads",
          );
        });
      }
    });
  },
});

Deno.test("a task that polls is over in time, and so is its process, at once", async (test) => {
  await withPool({ size: 2, isolation: "process", output: "ignore" }, async (mp) => {
    for (const kind of sample(Object.keys(KINDS))) {
      await test.step(kind, async () => {
        const { status } = await mp.push(loop(kind));
        assertEquals(status, "timed-out");
        await until(async () => (await mp.stats()).workers.stopping === 0, 20_000, "the end of its process");
        assertEquals((await mp.stats()).zombies, 0);
      });
    }
  });
});

Deno.test("a function at which a thread can be stopped looks and works as ever", async () => {
  const here = async () => (await import("../fixtures/polls.ts")).looks();
  await withPool({ size: 1, isolation: "thread" }, async (mp) => {
    assertEquals(await mp.run(new InfoTask(fixture("polls.ts#looks"), 60_000)), await here());
  });
});
