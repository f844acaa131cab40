/**
 * In a page: runs the portable check against the package at a URL, which the page has behind the `#` of its own, and posts a
 * line for each case.
 */
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
      lines.push(`FAIL  ${name}: ${text(error)}`);
    } finally {
      clearTimeout(timer);
    }
  }
  return lines;
}

/** In Firefox and WebKit the message is no part of the stack. */
const text = (error: unknown) => error instanceof Error ? `${error.message}\n${error.stack}` : error;

interface Form {
  elements: { lines: { value: string } };
  submit(): void;
}

const { document, location } = globalThis as unknown as { document: { forms: [Form] }; location: Location };
const [url, isolated, quick] = JSON.parse(decodeURIComponent(location.hash.slice(1)));
let lines: string[];
try {
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== isolated) {
    throw new Error("it is not isolated");
  }
  const namespace = await import(url);
  lines = await runCases(namespace.pool ?? namespace, quick);
} catch (error) {
  lines = [`FAIL  ${text(error)}`];
}
// Which a Content-Security-Policy allows that allows nothing else.
const [form] = document.forms;
form.elements.lines.value = JSON.stringify(lines);
form.submit();
