/** Workers that take the place of others have loaded what these have run. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, type MultiProcess } from "../../mod.ts";
import { fixture, task, until, withPool } from "../helpers.ts";

const MODULE = fixture("ahead.ts");
const loadedAt = (query = "") => new InfoTask<() => number>(`${MODULE}${query}`, 10_000);

/** A worker waits for tasks, and none of those that came before it is left. */
async function rested(mp: MultiProcess, idle: number): Promise<void> {
  await until(
    async () => {
      const { workers } = await mp.stats();
      return workers.idle === idle && workers.starting + workers.busy + workers.stopping === 0;
    },
    15_000,
    `${idle} workers idle, and no others`,
  );
}

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`MultiProcess starts workers that have loaded what was loaded well before (${isolation})`, async () => {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      await mp.run(loadedAt());
      await mp.push(new InfoTask(`${MODULE}#hang`, 50));
      await rested(mp, 1);
      const pushedAt = Date.now();
      const at = await mp.run(loadedAt());
      assert(at < pushedAt, `loaded ${at - pushedAt} ms after the push`);
    });
  });

  Deno.test(`MultiProcess does not load ahead what ended a worker that was starting (${isolation})`, async () => {
    const fatal = await Deno.makeTempFile();
    await Deno.remove(fatal);
    try {
      await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
        const query = `?fatal=${encodeURIComponent(fatal)}`;
        await mp.run(loadedAt(query));
        await Deno.writeTextFile(fatal, "");
        for (let i = 0; i < 4; i++) {
          assertEquals((await mp.push(new InfoTask(`${MODULE}#hang`, 50))).status, "timed-out");
          assertEquals(await mp.run(task("add", 10_000, 1, 2)), 3);
        }
        // The first of its replacements ended while it was starting.
        await rested(mp, 1);
        assertEquals((await mp.stats()).spawned, 6);
      });
    } finally {
      await Deno.remove(fatal);
    }
  });
}

Deno.test("MultiProcess does not load ahead what changes globals: that would keep the tasks of others out", async () => {
  await withPool({ size: 1, spares: 0, isolation: "thread" }, async (mp) => {
    await mp.run(loadedAt("?patches"));
    await mp.push(new InfoTask(`${MODULE}?patches#hang`, 50));
    await rested(mp, 1);
    const { spawned } = await mp.stats();
    assertEquals(await mp.run(task("add", 10_000, 1, 2)), 3);
    assertEquals((await mp.stats()).spawned, spawned);
  });
});
