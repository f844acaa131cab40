import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PoolStateError, QueueFullError } from "../../mod.ts";
import { task, withPool } from "../helpers.ts";

Deno.test("MultiProcess.push() throws when the queue is full, and room() waits for it to empty", async () => {
  await withPool({ size: 1, maxQueue: 2 }, async (mp) => {
    await mp.room();
    const outcomes = [1, 2, 3].map((i) => mp.push(task("sleep", 5_000, 20, i)));
    assertThrows(() => mp.push(task("echo", 1_000)), QueueFullError, "maxQueue: 2");
    await mp.room();
    outcomes.push(mp.push(task("echo", 5_000, 4)));
    const refused = assertRejects(() => mp.room(), PoolStateError, "stopped");
    await mp.stop();
    await refused;
    assertEquals((await Promise.all(outcomes)).map(({ status }) => status), ["ok", "ok", "ok", "ok"]);
  });
});

Deno.test("MultiProcess.room() wakes everybody there is room for, also behind one who does not push", async () => {
  await withPool({ size: 1, maxQueue: 0 }, async (mp) => {
    const pushed = mp.push(task("sleep", 5_000, 20));
    const rooms = [mp.room(), mp.room(), mp.room()];
    await pushed;
    await Promise.all(rooms);
    await mp.room();
  });
});

Deno.test("MultiProcess.room() never lets two producers push where there is room for one", async () => {
  await withPool({ size: 1, maxQueue: 1 }, async (mp) => {
    const produce = async () => {
      for (let i = 0; i < 50; i++) {
        await mp.room();
        await mp.push(task("echo", 5_000, i));
      }
    };
    mp.push(task("sleep", 5_000, 20));
    mp.push(task("sleep", 5_000, 20));
    await Promise.all([produce(), produce(), produce()]);
    assertEquals((await mp.stop()).ok, 152);
  });
});
