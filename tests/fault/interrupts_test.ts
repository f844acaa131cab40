/** A thread that is stopped takes nothing along: neither while Deno loads what it loads late, nor while it starts. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { isAtLeast } from "../../src/runtime/version.ts";
import { fixture, script, seed, withPool } from "../helpers.ts";

const FLAGS = ["-A", "--no-check"];

async function survives(scenario: string, argument: string, ms = 60_000): Promise<string> {
  const { code, stdout, stderr } = await script("interrupts.ts", [scenario, argument], FLAGS, ms);
  assertEquals(code, 0, stderr.slice(0, 2_000));
  return stdout;
}

Deno.test({
  name: "a thread has nothing left that Deno would load late when it is given a task",
  // From then on threads are interrupted, and Deno tells what it loads.
  ignore: !isAtLeast([2, 9, 4]),
  async fn() {
    Deno.env.set("DENO_LOG_LAZY_LOAD", "1");
    try {
      const { code, stderr } = await script("interrupts.ts", ["builtins"], FLAGS, 60_000);
      assertEquals(code, 0, stderr);
      const lines = stderr.split("\n");
      const loaded = (from: number, to: number) =>
        lines.slice(from, to).filter((line) => line.startsWith("[lazy] lazy_esm"));
      const [begin, end] = [lines.indexOf("BEGIN"), lines.indexOf("END")];
      assert(loaded(0, begin).length > 50, "Deno does not tell what it loads");
      assertEquals(loaded(begin, end), []);
    } finally {
      Deno.env.delete("DENO_LOG_LAZY_LOAD");
    }
  },
});

for (const how of ["stop", "terminate"]) {
  Deno.test(`a first task that loops is stopped in time, and the program ends after ${how}()`, async () => {
    assertEquals(await survives("first", how), "timed-out\nover\n");
  });
}

Deno.test("a pool that is ended while its workers start ends, and the program does not", async () => {
  assertEquals(await survives("starts", String(seed()), 180_000), "over\n");
});

Deno.test("a thread that is stopped while it compiles WebAssembly from a stream harms nobody", async () => {
  assertEquals(await survives("wasm", ""), `${Array(4).fill("timed-out").join()}\nover\n`);
});

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`a task (${isolation}) compiles WebAssembly from a stream`, async () => {
    await withPool({ size: 1, isolation }, async (mp) => {
      assertEquals(await mp.run(new InfoTask(fixture("wasm.ts#runs"), 60_000)), [1, 1]);
      assertEquals(await mp.run(new InfoTask(fixture("wasm.ts#refuses"), 60_000)), [
        "TypeError",
        "TypeError",
        "CompileError",
        "TypeError",
      ]);
    });
  });
}
