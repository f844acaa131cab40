/** Every reason for which a module cannot be loaded once × thread and process: when it is gone, no worker fails any more. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import { InfoTask, TaskLoadError } from "../../mod.ts";
import { withPool } from "../helpers.ts";

const HEALTHY = "export const runnable = (n) => n;";

/** How a module that cannot be loaded is written, and how it is mended. */
const CASES: { what: string; broken: Record<string, string>; mended: Record<string, string> }[] = [
  {
    what: "its syntax was mended",
    broken: { "task.js": "export const runnable = (n" },
    mended: { "task.js": HEALTHY },
  },
  { what: "it appeared", broken: {}, mended: { "task.js": HEALTHY } },
  {
    what: "a dependency appeared",
    broken: { "task.js": `import "./dependency.js"; ${HEALTHY}` },
    mended: { "dependency.js": "" },
  },
  {
    what: "an export of a dependency appeared",
    broken: { "task.js": `import { it } from "./dependency.js"; ${HEALTHY}`, "dependency.js": "" },
    mended: { "dependency.js": "export const it = 1;" },
  },
  {
    what: "its export appeared",
    broken: { "task.js": "export const other = 1;" },
    mended: { "task.js": HEALTHY },
  },
  {
    what: "what it waits for at top level appeared",
    broken: { "task.js": `await Deno.readTextFile(new URL("./database", import.meta.url)); ${HEALTHY}` },
    mended: { "database": "up" },
  },
];

for (const isolation of ["thread", "process"] as const) {
  for (const { what, broken, mended } of CASES) {
    Deno.test(`a module that could not be loaded until ${what} runs on every worker then (${isolation})`, async () => {
      const folder = await Deno.makeTempDir();
      const write = async (files: Record<string, string>) => {
        for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(folder, name), text);
      };
      const task = (n: number) => new InfoTask(toFileUrl(join(folder, "task.js")), 30_000, n);
      try {
        await withPool({ size: 2, isolation }, async (mp) => {
          await write(broken);
          const [first, second] = await Promise.all([mp.push(task(1)), mp.push(task(2))]);
          for (const outcome of [first!, second!]) {
            if (outcome.status === "ok") throw new Error("It could be loaded");
            assertInstanceOf(outcome.error, TaskLoadError);
          }
          const retried = mp.run(task(3), { retry: { maxAttempts: 5, minTimeout: 300, jitter: 0 } });
          await new Promise((resolve) => setTimeout(resolve, 100));
          await write(mended);
          assertEquals(await retried, 3);
          const values = await Promise.all(Array.from({ length: 20 }, (_, n) => mp.run(task(n))));
          assertEquals(values, Array.from({ length: 20 }, (_, n) => n));
        });
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
}
