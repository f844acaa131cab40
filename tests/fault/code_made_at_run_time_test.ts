/** Modules that are made while the program runs, each for one task: neither the program nor a worker keeps them. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { inline, withPool } from "../helpers.ts";

/** MiB of this process and its children. Linux only. */
function memory(): number {
  let kib = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = Deno.readTextFileSync(`/proc/${name}/status`);
      const parent = Number(/^PPid:\s*(\d+)/m.exec(status)![1]);
      if (Number(name) !== Deno.pid && parent !== Deno.pid) continue;
      kib += Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1] ?? 0);
    } catch {
      // It has just ended.
    }
  }
  return kib / 1024;
}

const task = (i: number) => {
  const source = `/*${String(i).padEnd(20_000, ".")}*/ export const runnable = (n) => n;`;
  return new InfoTask(inline(source), 60_000, i);
};

for (const isolation of ["thread", "process"] as const) {
  Deno.test({
    name: `1 000 modules of 20 kB, one task each, cost little memory (${isolation})`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      await withPool({ size: 2, isolation }, async (mp) => {
        const run = async (from: number, to: number) => {
          for await (const outcome of mp.map(range(from, to), task)) assertEquals(outcome.status, "ok");
        };
        await run(0, 300);
        const before = memory();
        await run(300, 1_300);
        const more = memory() - before;
        assert(more < 150, `${Math.round(more)} MiB more`);
      });
    },
  });
}

function* range(from: number, to: number): Iterable<number> {
  for (let i = from; i < to; i++) yield i;
}
