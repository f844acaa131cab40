/** Tasks that exhaust their memory: told as that, soon, and nobody else is touched. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { InfoTask, MultiProcess, WorkerCrashError } from "../../mod.ts";
import { fixture, Load, until, withPool } from "../helpers.ts";

const LIMIT = 64;
/** Mostly 100 to 600 ms, of a limit that is far beyond. */
const SOON = 2_000;

const KINDS = {
  thread: ["memory.ts#heap", "memory.ts#heapLater", "memory.ts?loading#heap"],
  process: ["memory.ts#heap", "memory.ts#heapLater", "memory.ts?loading#heap", "memory.ts#buffers"],
  // Buffers are of the whole cell: see `cells_test.ts`.
  cell: ["memory.ts#heap", "memory.ts#heapLater", "memory.ts?loading#heap"],
};

/** Declares the tests. */
export function testMemory(isolation: "thread" | "process" | "cell"): void {
  Deno.test(`a task that exhausts its memory (${isolation}) crashes soon, and alone`, async (test) => {
    const mp = new MultiProcess({ size: 2, spares: 1, isolation, memoryLimit: LIMIT, maxRestarts: 20 });
    try {
      await mp.start();
      for (const name of KINDS[isolation]) {
        await test.step(name, async () => {
          await until(async () => (await mp.stats()).workers.idle === 3, 10_000, "idle workers");
          const beside = mp.push(new InfoTask(fixture("tasks.ts#sleep"), 10_000, SOON, "untouched"));
          using load = new Load();
          const since = performance.now();
          const outcome = await mp.push(new InfoTask(fixture(name), 60_000));
          const ms = performance.now() - since;
          assert(outcome.status === "crashed", outcome.status);
          assertInstanceOf(outcome.error, WorkerCrashError);
          assertEquals(outcome.error.reason, "memory", outcome.error.message);
          assert(outcome.error.message.includes("out of memory"), outcome.error.message);
          assert(ms < load.allows(SOON), `crashed after ${ms} ms`);
          assertEquals(await mp.run(new InfoTask(fixture("tasks.ts#add"), 10_000, 20, 22)), 42);
          const neighbour = await beside;
          assert(neighbour.status === "ok", neighbour.status);
          assertEquals(neighbour.value, "untouched");
        });
      }
    } finally {
      await mp.terminate();
    }
  });

  Deno.test(`a task that stays below its memoryLimit (${isolation}) is left alone`, async () => {
    const most = 0.75 * LIMIT;
    for (const size of [1, 2]) {
      for (const where of ["heap", "buffers"]) {
        await withPool({ size, spares: 0, isolation, memoryLimit: LIMIT }, async (mp) => {
          assertEquals(await mp.run(new InfoTask(fixture("memory.ts#some"), 60_000, most, where)), most);
        });
      }
    }
  });

  Deno.test(`a task that exhausts the memory of a worker that ran others (${isolation}) crashes soon`, async () => {
    const mp = new MultiProcess({ size: 1, spares: 0, isolation, memoryLimit: LIMIT, maxRestarts: 20 });
    const task = (full: boolean) => new InfoTask(fixture("memory.ts#heapIf"), 60_000, full);
    try {
      await mp.start();
      for (let i = 0; i < 3; i++) {
        // Loaded before, the module is run as soon as the message comes, and may take its delivery down with it.
        assertEquals(await mp.run(task(false)), "not full");
        using load = new Load();
        const since = performance.now();
        const outcome = await mp.push(task(true));
        const ms = performance.now() - since;
        assert(outcome.status === "crashed", outcome.status);
        assertInstanceOf(outcome.error, WorkerCrashError);
        assertEquals(outcome.error.reason, "memory", outcome.error.message);
        assert(ms < load.allows(SOON), `crashed after ${ms} ms`);
      }
    } finally {
      await mp.terminate();
    }
  });
}
