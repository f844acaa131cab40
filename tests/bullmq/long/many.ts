/** What very many tasks cost. `PUSHES` of the environment says how many. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask } from "../../../mod.ts";
import { task } from "../machines.ts";
import { hasRedis, RedisServer } from "../redis.ts";
import { Place } from "../stores.ts";

const PUSHES = Number(Deno.env.get("PUSHES") ?? 100_000);

Deno.test({
  name: `${PUSHES} pushes without a machine: what each costs`,
  ignore: !hasRedis,
  fn: async () => {
    await using server = await RedisServer.start("--appendonly", "no", "--hash-max-listpack-value", "1024");
    const place = new Place("redis", server.port);
    const used = async () => Number((await server.ask("INFO", "memory")).match(/used_memory:(\d+)/)![1]);
    const fleet = place.fleet();
    await fleet.start();
    const [before, redisBefore] = [Deno.memoryUsage().rss, await used()];
    const since = performance.now();
    for (let i = 0; i < PUSHES; i++) {
      void fleet.push(new InfoTask(task("add"), 20_000, i, 1));
      // Not all in one turn: a producer lives.
      if (i % 10_000 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    await fleet.flush();
    const each = (Deno.memoryUsage().rss - before) / PUSHES;
    const redis = (await used() - redisBefore) / PUSHES;
    console.log(
      `${PUSHES} pushes: ${Math.round(PUSHES / (performance.now() - since) * 1_000)}/s, ${
        Math.round(each)
      } bytes each ` +
        `in the producer, ${Math.round(redis)} in Redis`,
    );
    assertEquals((await fleet.stats()).queued, PUSHES);
    assert(redis < 900, `${redis} bytes in Redis`);
    // What the process takes at its peak; garbage counts.
    assert(each < 4_000, `${each} bytes here`);
    await fleet.detach();
  },
});
