/**
 * A pipeline of three stages: the files under a directory are parsed, their words measured, the measures summed up.
 * The callback of each stage pushes the next.
 *
 * ```sh
 * deno task example:pipeline [DIR]
 * ```
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";
import { fromFileUrl, join, relative } from "@std/path";
import type { Measures } from "./pipeline_tasks.ts";

type Stages = typeof import("./pipeline_tasks.ts");
const stages = import.meta.resolve("./pipeline_tasks.ts");

const root = Deno.args[0] ?? fromFileUrl(new URL("../src", import.meta.url));
/** How many files may be between the first stage and the last: what is in memory at a time. */
const MAX_INSIDE = 16;

const measured: { path: string; measures: Measures }[] = [];
let inside = 0;
let skipped = 0;
let left = Promise.withResolvers<void>();

const mp = new MultiProcess();
await mp.start();

for await (const path of walk(root)) {
  while (inside >= MAX_INSIDE) await left.promise;
  inside++;
  parse(path);
}

// A stopped pool takes no more tasks, those of the next stage neither: the last file has to be through before.
while (inside > 0) await left.promise;
if (measured.length > 0) summarize();
const { pushed, failed, elapsedMs } = await mp.stop();
const seconds = (elapsedMs / 1_000).toFixed(2);
console.log(`\n${pushed} tasks in ${seconds} s, ${failed} failed; ${skipped} files are no text`);

function parse(path: string): void {
  mp.push(new InfoTask<Stages["parse"]>(`${stages}#parse`, 5_000, path), {
    callback: (words) => {
      if (words === null) return skip();
      print("cyan", "parsed", show(path));
      measure(path, words);
    },
    errorCallback: (error) => fail(path, error),
  });
}

function measure(path: string, words: string[]): void {
  mp.push(new InfoTask<Stages["measure"]>(`${stages}#measure`, 5_000, words), {
    // Goes before the files that wait for the first stage: what was begun is finished first.
    priority: 1,
    callback: (measures) => {
      const { words, distinct } = measures;
      print("green", "measured", show(path), `${format(words)} words, ${format(distinct)} distinct`);
      measured.push({ path, measures });
      leave();
    },
    errorCallback: (error) => fail(path, error),
  });
}

function summarize(): void {
  const texts = measured.map(({ measures }) => measures);
  mp.push(new InfoTask<Stages["summarize"]>(`${stages}#summarize`, 5_000, texts), {
    callback: ({ words, longest, richest }) => {
      console.log(`\n${format(words)} words in ${format(texts.length)} texts`);
      print("yellow", "longest", longest);
      print("yellow", "richest", show(measured[richest]!.path));
    },
    errorCallback: (error) => print("red", "failed", error.message),
  });
}

/** It is no text. */
function skip(): void {
  skipped++;
  leave();
}

function fail(path: string, error: Error): void {
  print("red", "failed", show(path), error.message);
  leave();
}

/** A file has left the pipeline, through whichever end. */
function leave(): void {
  inside--;
  left.resolve();
  left = Promise.withResolvers();
}

/** Finds the files under a directory. What is neither file nor directory is left out, links too. */
async function* walk(directory: string): AsyncGenerator<string> {
  try {
    for await (const entry of Deno.readDir(directory)) {
      const path = join(directory, entry.name);
      if (entry.isDirectory) yield* walk(path);
      else if (entry.isFile) yield path;
    }
  } catch (error) {
    print("red", "error", (error as Error).message);
    if (directory === root) Deno.exitCode = 1;
  }
}

function show(path: string): string {
  return relative(root, path);
}

/** One line, whatever the name of a file holds. `%c` colors it only on a terminal, and not under `NO_COLOR`. */
function print(color: string, what: string, subject: string, rest = ""): void {
  const line = `${subject.padEnd(26)}  ${rest}`.trimEnd();
  console.log(`%c${what.padEnd(8)}%c  %s`, `color: ${color}`, "", line.replace(/\p{Cc}/gu, "�"));
}

function format(n: number): string {
  return n.toLocaleString("en");
}
