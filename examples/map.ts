/**
 * Counts the words of all text files under a directory, several files at once, and prints them in order.
 *
 * ```sh
 * deno task example:map [DIR]
 * ```
 *
 * `map` pulls the next file only when a worker will soon be free for it: however many files there are, a few are in
 * memory at a time, and a count for each distinct word.
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";
import { fromFileUrl, join, relative } from "@std/path";

const root = Deno.args[0] ?? fromFileUrl(new URL("../src", import.meta.url));
const task = import.meta.resolve("./map_task.ts");
const startedAt = performance.now();

// Stops the pool at the end: the process ends by itself.
await using mp = new MultiProcess();
await mp.start();

const outcomes = mp.map(
  walk(root),
  (path) => new InfoTask<typeof import("./map_task.ts")>(task, 10_000, path),
);

const words = new Map<string, number>();
let total = 0;
let files = 0;
let skipped = 0;

// In the order of the files, although they are not counted in order. A file that fails is an outcome like others.
for await (const outcome of outcomes) {
  const path = relative(root, String(outcome.task.args[0]));
  if (outcome.status !== "ok") {
    skipped++;
    print("red", outcome.status, `${path}: ${outcome.error.message}`);
  } else if (outcome.value === null) {
    skipped++;
    print("gray", "skipped", `${path}: not text`);
  } else {
    files++;
    let sum = 0;
    for (const [word, times] of outcome.value) {
      sum += times;
      words.set(word, (words.get(word) ?? 0) + times);
    }
    total += sum;
    print("green", format(sum), path);
  }
}

const seconds = ((performance.now() - startedAt) / 1_000).toFixed(2);
console.log(`\n${format(total)} words in ${format(files)} text files, ${skipped} skipped, ${seconds} s\n`);

const top = [...words].sort(([, a], [, b]) => b - a).slice(0, 10);
for (const [word, times] of top) {
  print("cyan", format(times), `${word.padEnd(14)} ${"█".repeat(Math.ceil(30 * times / top[0]![1]))}`);
}

/** Finds the files under a directory, sorted. What is neither file nor directory is left out, links too. */
async function* walk(directory: string): AsyncGenerator<string> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(directory));
    for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      const path = join(directory, entry.name);
      if (entry.isDirectory) yield* walk(path);
      else if (entry.isFile) yield path;
    }
  } catch (error) {
    skipped++;
    print("red", "error", (error as Error).message);
    if (directory === root) Deno.exitCode = 1;
  }
}

/** One line, whatever the name of a file holds. `%c` colors it only on a terminal, and not under `NO_COLOR`. */
function print(color: string, first: string, rest: string): void {
  console.log(`%c${first.padStart(9)}%c  %s`, `color: ${color}`, "", rest.replace(/\p{Cc}/gu, "�"));
}

function format(n: number): string {
  return n.toLocaleString("en");
}
