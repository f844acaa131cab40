/** Every way to hang × one and two workers: on time, the pool goes on, nothing is left running. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess } from "../../mod.ts";
import { fixture, inline, Load, threads, until } from "../helpers.ts";

const LIMIT = 100;
/** Also for the task that comes next, whose module a new worker has to load: on a busy machine that takes a while. */
const LOAD_LIMIT = 2_000;
const KINDS = [
  "loop",
  "loopAfterAwait",
  "microtasks",
  "atomicsWait",
  "regex",
  "wasm",
  "bigint",
  "sort",
  "fileReads",
  "neverSettles",
  "intervalLeft",
  "caught",
  "childProcess",
];
/** One of each manner to hang, for what a second worker could change about it. */
const MANNERS = ["loop", "atomicsWait", "neverSettles", "childProcess"];
const LOADING: [name: string, source: string][] = [
  ["loop at top level", "for (;;);"],
  ["await at top level", "await new Promise(() => {});"],
];
/** Begins to run when nobody looks. */
const LATE = "await new Promise((r) => setTimeout(r, 60)); export const runnable = () => { for (;;); };";

const add = () => new InfoTask(fixture("tasks.ts#add"), 10_000, 20, 22);

/** CPU ticks (10 ms) that this process and its children burn within half a second. */
async function burning(): Promise<number> {
  const before = ticks();
  await new Promise((resolve) => setTimeout(resolve, 500));
  return ticks() - before;
}

function ticks(): number {
  let sum = 0;
  for (const pid of ["self" as const, ...children()]) {
    for (const each of threads(pid).values()) sum += each.ticks;
  }
  return sum;
}

/** Child processes of this one, as far as they are pools' workers. */
function children(): number[] {
  const pids: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(parent) === Deno.pid) pids.push(Number(name));
    } catch {
      // It has just ended.
    }
  }
  return pids;
}

/** Declares the tests. */
export function testHangs(isolation: "thread" | "process" | "cell"): void {
  for (const size of [1, 2]) {
    Deno.test({
      name: `a task that hangs (${isolation}, pool of ${size}) is over in time, and leaves nothing running`,
      ignore: Deno.build.os !== "linux",
      async fn(test) {
        const mp = new MultiProcess({ size, spares: 1, isolation, loadTimeout: LOAD_LIMIT });
        using load = new Load();
        const check = async (task: InfoTask, limit = LIMIT) => {
          load.reset();
          const since = performance.now();
          const outcomes = Array.from({ length: size }, () => mp.push(task));
          const next = mp.push(add());
          for (const outcome of await Promise.all(outcomes)) assertEquals(outcome.status, "timed-out");
          const ms = performance.now() - since;
          assert(ms >= limit - 1, `over after ${ms} ms`);
          // Waiting in the queue and loading are not part of the run, so the outcome tells when it was over.
          for (const { ranMs } of await Promise.all(outcomes)) {
            assert(ranMs >= limit - 1 && ranMs <= limit + load.allows(250), `ran ${ranMs} ms`);
          }
          assertEquals((await next).status, "ok");
          await until(
            async () => (await mp.stats()).workers.stopping === 0,
            load.allows(task.specifier.endsWith("childProcess") && isolation !== "process" ? 5_000 : 1_000),
            `the end of ${task.specifier}`,
          );
          await until(async () => (await mp.stats()).workers.starting === 0, 60_000, "new workers");
        };
        try {
          await mp.start();
          await mp.run(add());
          await until(async () => (await mp.stats()).workers.starting === 0, 60_000, "the spare");
          const baseline = threads().size;
          for (const kind of size === 1 ? KINDS : MANNERS) {
            await test.step(kind, () => check(new InfoTask(fixture(`hang.ts#${kind}`), LIMIT)));
          }
          for (const [kind, source] of LOADING) {
            await test.step(kind, () => check(new InfoTask(inline(source), 10_000), LOAD_LIMIT));
          }
          await test.step("loop after a while of loading", () => check(new InfoTask(inline(LATE), LIMIT)));
          await test.step("quiet afterwards", async () => {
            assert(await burning() < 25, "something still burns");
            assert(threads().size <= baseline + 3, `${threads().size} threads, ${baseline} before`);
            const { killed, ended, zombies } = await mp.stats();
            assertEquals([ended.asked + ended.interrupted, zombies], [killed, 0]);
          });
        } finally {
          await mp.terminate();
        }
        await until(() => children().length === 0, 10_000, "the end of all children");
      },
    });
  }
}
