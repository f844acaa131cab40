/**
 * Runs the portable check on whatever runs this, against the package at a URL: prints a table, ends with code 1 on a
 * failure. `node tests/portable/run.ts URL [thread | process] [quick]`
 */
import process from "node:process";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { CASES, equal, QUICK } from "./check.ts";

/** How long a case may take, in milliseconds. */
const BOUND_MS = 120_000;

const [url, ...words] = process.argv.slice(2);
const quick = words.includes("quick");
const pool = await import(url!);
const isolations = (["thread", "process"] as const).filter((each) =>
  words.includes(each) || !words.some((word) => word === "thread" || word === "process")
);
let failed = 0;
let passed = 0;

async function check(name: string, run: () => Promise<void>): Promise<void> {
  const since = performance.now();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${BOUND_MS} ms`)), BOUND_MS);
  });
  try {
    await Promise.race([run(), late]);
    passed++;
    console.log(`ok    ${name} (${Math.round(performance.now() - since)} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${error instanceof Error ? error.stack : error}`);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a program of its own to its end, and gives its exit code and what it printed. */
function program(...args: string[]): Promise<{ code: number | null; output: string }> {
  const script = fileURLToPath(new URL("./program.ts", import.meta.url));
  const flags = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];
  const child = spawn(process.execPath, [...flags, script, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => output += chunk);
  const timer = setTimeout(() => child.kill("SIGKILL"), BOUND_MS / 2);
  return new Promise((resolve) => {
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

for (const isolation of isolations) {
  const setting = { pool, isolation };
  for (const { name, run, cannot } of CASES) {
    if (quick && !QUICK.has(name)) continue;
    const reason = cannot?.(setting);
    if (reason === undefined) await check(`${isolation}: ${name}`, () => run(setting));
    else console.log(`-     ${isolation}: ${name}: ${reason}`);
  }
  await check(`${isolation}: a program whose globals are of another realm than its runtime's`, async () => {
    const { code, output } = await program(url!, isolation, "foreign");
    equal([code, output.match(/(?<=^line ).*/gm)], [0, ["49", "9", "cancelled"]]);
  });
  // Elsewhere a thread keeps the process.
  const forgotten = "Deno" in globalThis ? [] : ["forgotten"];
  for (const end of [...quick ? ["stop"] : ["stop", "terminate", "exit"], ...forgotten]) {
    await check(`${isolation}: the process ends by itself (${end}), and all was printed`, async () => {
      const { code, output } = await program(url!, isolation, end);
      const lines = end === "stop" || end === "forgotten" ? 500 : 0;
      if (end === "forgotten") {
        equal(output.lastIndexOf("disposed") > output.indexOf("answered"), true, "whether it was stopped");
      }
      equal([code, output.split("\n").filter((line) => line.startsWith("line ")).length], [
        end === "exit" ? 3 : 0,
        lines,
      ]);
    });
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
