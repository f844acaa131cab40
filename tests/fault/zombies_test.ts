/** Tasks that no thread can be stopped in: whoever is innocent is run all the same, and `"auto"` learns. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { fixture, inline, until, withPool } from "../helpers.ts";

const stuck = (ms: number) => new InfoTask(fixture("stuck.ts"), 200, ms);
const add = () => new InfoTask(fixture("tasks.ts#add"), 60_000, 20, 22);

Deno.test("a module of which a thread could not be stopped runs in processes from then on", async () => {
  await withPool({ size: 2, killGrace: 100 }, async (mp) => {
    assertEquals((await mp.push(stuck(20_000))).status, "timed-out");
    await until(async () => (await mp.stats()).inProcesses.length === 1, 10_000, "it is learnt");
    assertEquals((await mp.stats()).inProcesses, [fixture("stuck.ts")]);
    const outcomes = await Promise.all([
      ...Array.from({ length: 6 }, () => mp.push(stuck(20_000))),
      ...Array.from({ length: 30 }, () => mp.push(add())),
    ]);
    for (const [i, outcome] of outcomes.entries()) {
      assertEquals(outcome.status, i < 6 ? "timed-out" : "ok");
      if (i < 6) assert(outcome.ranMs < 5_000, `${outcome.ranMs} ms`);
    }
    const { zombies } = await mp.stats();
    assert(zombies <= 1, `${zombies} zombies`);
    // What it returns arrives from processes too.
    const value = await mp.push(new InfoTask(fixture("stuck.ts"), 60_000, 1));
    assert(value.status === "ok");
    assertEquals(value.value, "slept");
  });
});

Deno.test("healthy tasks wait for native calls that hold as many threads as may be zombies", async () => {
  await withPool({ size: 1, spares: 0, isolation: "thread", killGrace: 50, maxZombies: 1 }, async (mp) => {
    const held = mp.push(stuck(8_000));
    // It ends the worker that is started in its place, so that there is none when the other is a zombie.
    const exit = inline(
      "export const runnable = () => new Promise((r) => setTimeout(() => Deno.exit(1), 2_500))",
    );
    const exiting = mp.push(new InfoTask(exit, 60_000));
    const healthy = Array.from({ length: 10 }, () => mp.push(add()));
    assertEquals((await held).status, "timed-out");
    assertEquals((await exiting).status, "crashed");
    for (const outcome of await Promise.all(healthy)) assertEquals(outcome.status, "ok");
    assertEquals((await mp.stats()).zombies, 0);
  });
});

Deno.test("healthy tasks run in processes while native calls hold as many threads as may be zombies", async () => {
  await withPool({ size: 1, spares: 0, killGrace: 50, maxZombies: 1 }, async (mp) => {
    const held = mp.push(stuck(30_000));
    const exit = inline(
      "export const runnable = () => new Promise((r) => setTimeout(() => Deno.exit(1), 2_500))",
    );
    const exiting = mp.push(new InfoTask(exit, 60_000));
    const healthy = Array.from({ length: 10 }, () => mp.push(add()));
    assertEquals((await held).status, "timed-out");
    assertEquals((await exiting).status, "crashed");
    for (const outcome of await Promise.all(healthy)) assertEquals(outcome.status, "ok");
    assert((await mp.stats()).zombies <= 1);
  });
});
