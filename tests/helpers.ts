import { assert } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { InfoTask, MultiProcess, type MultiProcessOptions } from "../mod.ts";

/** The specifier of a task module of the tests. */
export function fixture(name: string): string {
  return new URL(`./fixtures/${name}`, import.meta.url).href;
}

/** A task of `fixtures/tasks.ts`, by the name of its export. */
export function task(name: string, timeout: number, ...args: unknown[]): InfoTask {
  return new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);
}

/** A task that runs on a thread until it is released. */
export function held(): { task: InfoTask; release: () => void } {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  return { task: task("hold", 60_000, flag), release: () => void Atomics.store(flag, 0, 1) };
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

/**
 * A part of a long table, another one each time: `SEED=…` takes the same again, and `ALL=1` (`deno task test:all`) the
 * whole table.
 */
export function sample<T>(table: readonly T[]): T[] {
  if (Deno.env.get("ALL") === "1") return [...table];
  const next = random(seed());
  let [open, left] = [Math.ceil(table.length / 3), table.length];
  return table.filter(() => {
    const taken = next() * left-- < open;
    if (taken) open--;
    return taken;
  });
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

/** The processes that this one has started and that have not ended. Linux only; elsewhere none. */
export function children(of = Deno.pid): number[] {
  const found: number[] = [];
  try {
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
        const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        if (Number(parent) === of && state !== "Z") found.push(Number(name));
      } catch {
        // It has just ended.
      }
    }
  } catch {
    // There is no such folder.
  }
  return found;
}

/** What this process has in use. */
export interface Usage {
  descriptors: number;
  threads: number;
  children: number;
  /** In bytes. */
  rss: number;
}

/** What this process has in use now. Linux only. */
export function usage(): Usage {
  return {
    descriptors: [...Deno.readDirSync("/proc/self/fd")].length,
    threads: threads().size,
    children: children().length,
    rss: Deno.memoryUsage().rss,
  };
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
export async function script(name: string, args: string[] = [], flags = ["-A"], ms = 60_000): Promise<Ended> {
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

/** How busy the machine is, as seen by a timer: bounds on time are for an idle one. */
export class Load implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  #last = performance.now();
  #lag = 0;

  constructor() {
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#lag = Math.max(this.#lag, now - this.#last - 10);
      this.#last = now;
    }, 10);
  }

  /** What may take so long on an idle machine may take this long here, in milliseconds. */
  allows(ms: number): number {
    const now = performance.now();
    this.#lag = Math.max(this.#lag, now - this.#last - 10);
    return ms * (1 + this.#lag / 25);
  }

  /** What was seen before counts no longer. */
  reset(): void {
    this.#last = performance.now();
    this.#lag = 0;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
