/** What may happen to producers. */
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { random, seed, until } from "../../helpers.ts";
import { Notes, Script, startIn } from "../machines.ts";
import { STORES } from "../stores.ts";

const KILLS = Number(Deno.env.get("KILLS") ?? 20);
const EACH = 100;
const TASK_MS = 5;

/** The ids of which a callback was told, each as often as it was. */
function told(notes: Notes): number[] {
  return notes.lines().map((line) => Number(line.split(" ")[1]));
}

for (const store of STORES) {
  Deno.test({
    name: `the producer is killed ${KILLS} times at random moments: no outcome is lost (${store.name})`,
    ignore: !store.there,
    fn: async () => {
      await using place = await store.open();
      using notes = new Notes();
      const next = random(seed());
      await using _machine = await startIn(place.spec, { pool: 2 });
      const argument = (from: number, to: number) =>
        JSON.stringify({ spec: place.spec, name: "web", file: notes.file, from, to, ms: TASK_MS });
      const start = (from: number, to: number) =>
        new Script(import.meta.resolve("../producer_script.ts"), [argument(from, to)]);
      const waits: number[] = [];
      for (let kill = 0; kill < KILLS; kill++) {
        await using producer = start(kill * EACH, (kill + 1) * EACH);
        const since = performance.now();
        const before = notes.lines().length;
        await producer.line("started");
        const startedAt = performance.now();
        await producer.line("flushed");
        if (kill > 0) {
          await until(() => notes.lines().length > before, 30_000, "the first waiting callback");
          waits.push(performance.now() - since);
        }
        // Anywhere between the flush and the last outcome.
        await delay(next() * EACH * TASK_MS);
        assert(startedAt - since < 60_000);
        producer.kill();
        await producer.end();
      }
      await using last = start(0, 0);
      const all = KILLS * EACH;
      await until(() => new Set(told(notes)).size === all, 60_000, "all told");
      await last.line("flushed");
      last.kill("SIGTERM");
      await last.line("stopped");
      const twice = told(notes).length - all;
      waits.sort((a, b) => a - b);
      console.log(
        `${KILLS} kills, ${all} tasks: ${
          all - new Set(told(notes)).size
        } lost, ${twice} told twice; from the start ` +
          `of a process to its first waiting callback ${Math.round(waits[waits.length >> 1]!)} ms, at most ${
            Math.round(waits.at(-1)!)
          }`,
      );
      assertEquals(new Set(told(notes)).size, all);
      // Those that were being told at the moment of the kill.
      assert(twice <= 8 * KILLS, `${twice} told twice`);
    },
  });

  Deno.test({
    name: `the name of a producer that was killed is free at once (${store.name})`,
    ignore: !store.there,
    fn: async () => {
      await using place = await store.open();
      using notes = new Notes();
      const argument = JSON.stringify({
        spec: place.spec,
        name: "web",
        file: notes.file,
        from: 0,
        to: 0,
        ms: 0,
      });
      await using producer = new Script(import.meta.resolve("../producer_script.ts"), [argument]);
      await producer.line("started");
      producer.kill();
      await producer.end();
      const fleet = place.fleet({ name: "web" });
      const since = performance.now();
      await fleet.start();
      console.log(`accepted after ${Math.round(performance.now() - since)} ms`);
      assert(performance.now() - since < 8_000);
      await fleet.stop();
    },
  });
}
