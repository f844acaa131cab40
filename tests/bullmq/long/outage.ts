/** What may happen to Redis. */
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { InfoTask } from "../../../mod.ts";
import { LOCK, Notes, startMachine, task } from "../machines.ts";
import { hasRedis, RedisServer } from "../redis.ts";
import { Place } from "../stores.ts";

const CHECK = 3_000;
const TASKS = 600;

type Outage = (server: RedisServer) => Promise<void>;

const away = (ms: number, signal?: "SIGKILL"): Outage => async (server) => {
  await server.stop(signal);
  await delay(ms);
  await server.start();
};

const OUTAGES: [name: string, outage: Outage][] = [
  ["is away for 2 s", away(2_000)],
  ["is away for 10 s", away(10_000)],
  ["is killed", away(500, "SIGKILL")],
  ["is flushed", async (server) => void await server.ask("FLUSHALL")],
];

for (const [name, outage] of OUTAGES) {
  Deno.test({
    name: `Redis ${name}: every task has one outcome`,
    ignore: !hasRedis,
    fn: async () => {
      using notes = new Notes();
      await using server = await RedisServer.start();
      const place = new Place("redis", server.port);
      const machines = await Promise.all(
        [1, 2].map(() => startMachine(server.url, place.queue, "--size", "2")),
      );
      const errors: string[] = [];
      const fleet = place.fleet({ checkInterval: CHECK, onError: ({ message }) => errors.push(message) });
      await fleet.start();
      let outcomes = 0;
      const pushed = Array.from({ length: TASKS }, async (_, id) => {
        const outcome = await fleet.push(new InfoTask(task("mark"), 20_000, notes.file, id, 20));
        assertEquals(outcome.status === "ok" && outcome.value, id);
        outcomes++;
      });
      while (outcomes < TASKS / 4) await delay(20);
      await outage(server);
      const since = performance.now();
      const left = TASKS - outcomes;
      await Promise.all(pushed);
      const ms = performance.now() - since;
      const { ok } = await fleet.stop();
      const runs = [...notes.counts().values()].reduce((sum, count) => sum + count, 0);
      const lines = [
        errors.filter((message) => message.startsWith("Cannot reach")),
        ...machines.map((each) => each.errors),
      ];
      console.log(
        `Redis ${name}: ${ok} outcomes, ${left} of them came ${
          Math.round(ms)
        } ms after it was back, ${runs} runs; ` +
          `lines told: ${lines.map(({ length }) => length).join(", ")}`,
      );
      assertEquals(ok, TASKS);
      assert(ms < 1.5 * LOCK + CHECK + 5_000 + 30_000, `${ms} ms`);
      for (const told of lines) assert(told.length <= 2, told.join("\n"));
      for (const machine of machines) {
        machine.kill("SIGTERM");
        assertEquals((await machine.end()).code, 0);
      }
    },
  });
}

Deno.test({
  name: "pools and machines end by themselves while Redis is away",
  ignore: !hasRedis,
  fn: async () => {
    await using server = await RedisServer.start();
    const place = new Place("redis", server.port);
    const machine = await startMachine(server.url, place.queue, "--size", "1");
    const fleet = place.fleet({ onError: () => {} });
    await fleet.start();
    const pushed = fleet.push(new InfoTask(task("sleep"), 20_000, 20_000));
    await fleet.flush();
    await server.stop("SIGKILL");
    const since = performance.now();
    await fleet.terminate("no queue");
    assertEquals((await pushed).status, "cancelled");
    assert(performance.now() - since < 3_000);
    machine.kill("SIGTERM");
    await machine.end();
    assert(performance.now() - since < 40_000);
    // What goes on behind it.
    await delay(11_000);
  },
});
