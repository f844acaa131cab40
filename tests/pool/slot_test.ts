import { assert, assertEquals } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { inline, withPool } from "../helpers.ts";

const SLOT = inline(`
  export async function runnable(ms) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return this.slot;
  }
  export const object = { runnable() { return this.context.slot; } };
`);
const slot = (ms: number) => new InfoTask(SLOT, 20_000, ms);

/** Runs until it is cancelled. */
const LONG = 600_000;

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test(`TaskContext.slot is one of 1 to size, that of no other task that runs (${isolation})`, async () => {
    await withPool({ size: 3, isolation }, async (mp) => {
      for (let round = 0; round < 3; round++) {
        const controller = new AbortController();
        const events = mp.events();
        const outcomes = [1, 2, 3].map(() => mp.push(slot(LONG), { signal: controller.signal }));
        const slots: number[] = [];
        for await (const event of events) {
          if (event.type === "started") slots.push(event.slot);
          if (slots.length === 3) break;
        }
        assertEquals(slots.toSorted(), [1, 2, 3]);
        controller.abort();
        await Promise.all(outcomes);
        // While workers are being replaced, too.
        const first = mp.push(slot(LONG), { signal: AbortSignal.timeout(1_000) });
        const others = await Promise.all([1, 2].map((ms) => mp.run(slot(ms))));
        assert(others.every((each) => [1, 2, 3].includes(each as number)), `${others}`);
        await first;
      }
    });
  });

  Deno.test(`TaskContext.slot is what events() tell (${isolation})`, async () => {
    await withPool({ size: 2, isolation }, async (mp) => {
      const told = new Map<number, number>();
      const events = mp.events();
      const watching = (async () => {
        for await (const event of events) if (event.type === "started") told.set(event.taskId, event.slot);
      })();
      const outcomes = await Promise.all([1, 2, 3, 4, 5].map((ms) => mp.push(slot(ms))));
      const object = await mp.push(new InfoTask(`${SLOT}#object`, 20_000));
      await mp.stop();
      await watching;
      for (const outcome of [...outcomes, object]) {
        assertEquals(outcome.status === "ok" && outcome.value, told.get(outcome.taskId));
      }
    });
  });
}

Deno.test("TaskContext.slot goes up to the new size of a pool that is resized", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    mp.resize(2);
    for (;;) {
      const slots = await Promise.all([500, 500].map((ms) => mp.run(slot(ms))));
      if (slots.includes(2)) break;
      assertEquals(slots, [1, 1]);
    }
    mp.resize(1);
    assertEquals(await Promise.all([1, 1, 1].map((ms) => mp.run(slot(ms)))), [1, 1, 1]);
  });
});
