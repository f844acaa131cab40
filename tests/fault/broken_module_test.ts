/** Inputs that end their worker × where they are × thread and process: no healthy input of the same module is lost. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { fixture, withPool } from "../helpers.ts";

const COUNT = 200;

const task = (input: number, exits: boolean) => new InfoTask(fixture("broken.ts"), 30_000, input, exits);

for (const isolation of ["thread", "process"] as const) {
  for (
    const { what, exits, once = false } of [
      { what: "the first five", exits: (input: number) => input < 5 },
      { what: "five in the middle", exits: (input: number) => input >= 100 && input < 105 },
      { what: "every tenth", exits: (input: number) => input % 10 === 0, once: true },
    ]
  ) {
    for (const retry of once ? [undefined] : [undefined, { maxAttempts: 3, minTimeout: 1 }]) {
      const name = `${what} of ${COUNT} inputs exit${retry ? ", with retries" : ""} (${isolation})`;
      Deno.test(`${name}: all others are ok`, async () => {
        await withPool({ size: 2, isolation, ...(retry && { retry }) }, async (mp) => {
          const outcomes = await Promise.all(
            Array.from({ length: COUNT }, (_, input) => mp.push(task(input, exits(input)))),
          );
          for (const [input, outcome] of outcomes.entries()) {
            assertEquals(outcome.status, exits(input) ? "crashed" : "ok");
            assertEquals(outcome.attempts, exits(input) && retry ? 3 : 1);
          }
        });
      });
    }
  }

  Deno.test(`map() over an endless source stands still while its module is held, and loses no input (${isolation})`, async () => {
    await withPool({ size: 2, isolation }, async (mp) => {
      let taken = 0;
      function* endless() {
        for (;;) yield taken++;
      }
      const counts: Record<string, number> = {};
      let seen = 0;
      for await (const { status } of mp.map(endless(), (input) => task(input, input < 8))) {
        counts[status] = (counts[status] ?? 0) + 1;
        if (++seen === 100) break;
      }
      assertEquals(counts, { crashed: 8, ok: 92 });
      assert(taken <= 110, `${taken} inputs were taken`);
    });
  });
}
