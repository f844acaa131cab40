/** In a page: runs the portable check against the package that the page has imported, and gives a line for each case. */
import type * as Package from "../../mod.ts";
import { CASES, QUICK } from "./check.ts";

/** How long a case may take, in milliseconds. */
const BOUND_MS = 60_000;

async function runCases(pool: typeof Package, quick: boolean): Promise<string[]> {
  const setting = { pool, isolation: "thread" as const };
  const lines: string[] = [];
  for (const { name, run, cannot } of CASES) {
    if (quick && !QUICK.has(name)) continue;
    const reason = cannot?.(setting);
    if (reason !== undefined) {
      lines.push(`-     ${name}: ${reason}`);
      continue;
    }
    const since = performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not over after ${BOUND_MS} ms`)), BOUND_MS);
    });
    try {
      await Promise.race([run(setting), late]);
      lines.push(`ok    ${name} (${Math.round(performance.now() - since)} ms)`);
    } catch (error) {
      lines.push(`FAIL  ${name}: ${error instanceof Error ? error.stack : error}`);
    } finally {
      clearTimeout(timer);
    }
  }
  return lines;
}

Object.assign(globalThis, { runCases });
