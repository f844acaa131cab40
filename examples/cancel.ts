/**
 * Searches for a factor of a number in five ways at once. The first to find one cancels the others.
 *
 * ```sh
 * deno task example:cancel [NUMBER]
 * ```
 *
 * NUMBER is by default 2¹⁰³ − 1. Which way is the fastest depends on it: try 1000000007, 1000000016000000063,
 * 147573952589676412927.
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";
import type { Search } from "./cancel_task.ts";

const SEARCHES: Search[] = [
  "trial division",
  "Fermat",
  "Pollard's p - 1",
  "Pollard's rho, c = 1",
  "Pollard's rho, c = 3",
];

const argument = Deno.args[0] ?? String(2n ** 103n - 1n);
if (!/^\d{1,40}$/.test(argument) || BigInt(argument) < 2n) {
  console.error("Usage: deno task example:cancel [NUMBER]\n\nNUMBER is above 1 and has 40 digits at most.");
  Deno.exit(2);
}
const n = BigInt(argument);

// No search waits for another.
const mp = new MultiProcess(SEARCHES.length);
await mp.start();

const task = import.meta.resolve("./cancel_task.ts");
const controller = new AbortController();
const startedAt = performance.now();
let abortedAt = 0;

console.log(`Who finds a factor of ${n}?\n`);
for (const search of SEARCHES) {
  mp.push(new InfoTask<typeof import("./cancel_task.ts")>(task, 5_000, search, n), {
    signal: controller.signal,
    callback: ({ factor, steps }) => {
      const result = factor === n ? `${n} is prime` : `${n} = ${factor} × ${n / factor}`;
      print(
        "green",
        "found",
        search,
        `${result}, after ${steps.toLocaleString("en")} steps, ${since(startedAt)}`,
      );
      // Cancels the others: those that wait will not run, those that run are stopped.
      abortedAt ||= performance.now();
      controller.abort(`${search} was faster`);
    },
    errorCallback: (error, { status }) => {
      if (status !== "cancelled") print("red", status, search, error.message);
      else print("gray", status, search, `${error.cause}, told ${since(abortedAt)} after that`);
    },
  });
}

// Resolves when every search has ended, and its thread too.
const { ok, cancelled } = await mp.stop();
console.log(
  ok === 0
    ? "\nNone found a factor."
    : `\n${cancelled} cancelled, and gone ${since(abortedAt)} after the find.`,
);

function since(at: number): string {
  return `${(performance.now() - at).toFixed()} ms`;
}

/** `%c` colors it only on a terminal, and not under `NO_COLOR`. */
function print(color: string, status: string, search: string, rest: string): void {
  console.log(`%c${status.padEnd(9)}%c  ${search.padEnd(20)}  ${rest}`, `color: ${color}`, "");
}
