import { assert } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { MultiProcess, type MultiProcessOptions } from "../mod.ts";

/** The specifier of a task module of the tests. */
export function fixture(name: string): string {
  return new URL(`./fixtures/${name}`, import.meta.url).href;
}

/** A task module of one line, for tests that are about something else. */
export function inline(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** Runs the test with a started pool, and ends the pool whatever happens. */
export async function withPool(
  options: number | MultiProcessOptions,
  test: (mp: MultiProcess) => Promise<void>,
): Promise<void> {
  const mp = new MultiProcess(options);
  try {
    await mp.start();
    await test(mp);
  } finally {
    await mp.terminate();
  }
}

/** A small generator of numbers from 0 to 1 that a seed repeats. */
export function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    // mulberry32
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

/** The seed of a randomised test: printed, so that a failure can be repeated with `SEED=…`. */
export function seed(): number {
  const given = Deno.env.get("SEED");
  const value = given === undefined ? Math.trunc(Math.random() * 2 ** 32) : Number(given);
  console.log(`SEED=${value}`);
  return value;
}

/** CPU time in ticks (10 ms) of every thread of a process. Linux only. */
export function threads(pid: number | "self" = "self"): Map<string, { name: string; ticks: number }> {
  const result = new Map<string, { name: string; ticks: number }>();
  try {
    for (const { name: id } of Deno.readDirSync(`/proc/${pid}/task`)) {
      try {
        const stat = Deno.readTextFileSync(`/proc/${pid}/task/${id}/stat`);
        const end = stat.lastIndexOf(")");
        const fields = stat.slice(end + 2).split(" ");
        result.set(id, { name: stat.slice(stat.indexOf("(") + 1, end), ticks: +fields[11]! + +fields[12]! });
      } catch {
        // The thread has just ended.
      }
    }
  } catch {
    // The process has ended.
  }
  return result;
}

/** The threads there are now that were not there before. */
export function newThreads(before: Map<string, unknown>): string[] {
  return [...threads().keys()].filter((id) => !before.has(id));
}

/** Waits until the condition holds; fails when it does not within the bound. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  ms: number,
  what: string,
): Promise<number> {
  const since = performance.now();
  while (!await condition()) {
    assert(performance.now() - since < ms, `${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - since;
}

/** What a child process printed, and how it ended. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
  ms: number;
}

/** Runs a script of the fixtures in a process of its own, which must end by itself within the bound. */
export async function script(name: string, args: string[] = [], flags = ["-A"], ms = 20_000): Promise<Ended> {
  const since = performance.now();
  const config = fromFileUrl(new URL("../deno.json", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--config", config, ...flags, fixture(name), ...args],
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, ms);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  const ended = {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
    ms: performance.now() - since,
  };
  assert(!late, `${name} did not end by itself within ${ms} ms\n${ended.stdout}\n${ended.stderr}`);
  return ended;
}
