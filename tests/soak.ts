/**
 * 20 000 tasks, some of which hang or exit, and 1 000 kills at random moments in threads, then a tenth of both in
 * processes and half of them in cells: threads, children, file descriptors and memory return to where they were.
 * `deno task soak`; `SEED=…` repeats a run.
 */
import { assert } from "@std/assert";
import { InfoTask, MultiProcess, type Status } from "../mod.ts";
import type { Kind } from "./fixtures/chaos.ts";
import { fixture, random, seed, type Usage, usage } from "./helpers.ts";

const RUNS = [
  { isolation: "thread", tasks: 20_000, kills: 1_000 },
  { isolation: "process", tasks: 2_000, kills: 100 },
  { isolation: "cell", tasks: 10_000, kills: 400 },
] as const;
type Isolation = typeof RUNS[number]["isolation"];
const WAVE = 500;
/** How many more there may be after than before. */
const BOUNDS: Usage = { threads: 4, descriptors: 8, children: 0, rss: 100 * 2 ** 20 };
const MAX_MS = 15 * 60_000;

function show(what: string, { threads, descriptors, children, rss }: Usage): void {
  const mib = `${Math.round(rss / 2 ** 20)} MiB`;
  console.log(
    `${
      what.padEnd(22)
    } threads ${threads}, children ${children}, file descriptors ${descriptors}, rss ${mib}`,
  );
}

const within = (now: Usage, before: Usage) =>
  now.threads <= before.threads + BOUNDS.threads &&
  now.descriptors <= before.descriptors + BOUNDS.descriptors &&
  now.children <= before.children + BOUNDS.children &&
  now.rss <= before.rss + BOUNDS.rss;

const risen = (now: Usage, before: Usage) =>
  now.threads > before.threads || now.descriptors > before.descriptors || now.children > before.children;

/** The usage once no thread and no descriptor is left, or what it is after a while. */
async function settled(before: Usage): Promise<Usage> {
  for (let i = 0; i < 150 && risen(usage(), before); i++) {
    await new Promise((wake) => setTimeout(wake, 100));
  }
  return usage();
}

const next = random(seed());

/** A task, and what may become of it. */
function anyTask(n: number): [InfoTask, Status[]] {
  const share = next();
  const make = (kind: Kind, limit: number) => new InfoTask(fixture("chaos.ts"), limit, kind, n);
  if (share < 0.02) return [make("hang", 20), ["timed-out"]];
  if (share < 0.04) return [make("exit", 60_000), ["crashed"]];
  return [make("ok", 60_000), ["ok"]];
}

/**
 * A task that is stopped at some moment, also while it loads built-ins, unless it is done by then. That can take a process
 * along: then it is the cell's.
 */
function killedTask(n: number): [InfoTask, Status[]] {
  const kinds: Kind[] = ["spin", "hang", "builtins"];
  const kind = kinds[Math.trunc(next() * kinds.length)]!;
  return [new InfoTask(fixture("chaos.ts"), 1 + next() * 40, kind, n), ["timed-out"]];
}

async function soak(
  isolation: Isolation,
  mp: MultiProcess,
  count: number,
  make: (n: number) => [InfoTask, Status[]],
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let outcomes: Promise<void>[] = [];
  for (let n = 0; n < count; n++) {
    // In waves, so that the memory is that of the pool and not that of a long queue.
    if (outcomes.length === WAVE) {
      await Promise.all(outcomes);
      outcomes = [];
    }
    const [task, expected] = make(n);
    outcomes.push(
      mp.push(task).then((outcome) => {
        counts[outcome.status] = (counts[outcome.status] ?? 0) + 1;
        const why = outcome.status === "ok" ? "" : outcome.error.message;
        const isBeside = isolation === "cell" && outcome.status === "crashed" && make === killedTask;
        assert(
          isBeside || expected.includes(outcome.status),
          `task ${n} was ${outcome.status}, not ${expected}: ${why}`,
        );
      }),
    );
  }
  await Promise.all(outcomes);
  return counts;
}

const late = setTimeout(() => {
  console.error(`not over within ${MAX_MS / 60_000} minutes`);
  Deno.exit(1);
}, MAX_MS);
const since = performance.now();
const seconds = () => `${((performance.now() - since) / 1_000).toFixed(0)} s`;
/** A pool, its end awaited, so that what stays for good is there before it is counted. */
async function withPool(
  isolation: Isolation,
  size: number,
  use: (mp: MultiProcess) => Promise<void>,
): Promise<void> {
  const mp = new MultiProcess({ size, spares: size, maxRestarts: 1_000, isolation });
  try {
    await mp.start();
    await use(mp);
    await mp.stop();
  } finally {
    await mp.terminate();
  }
}

async function run({ isolation, tasks, kills }: typeof RUNS[number]): Promise<void> {
  await withPool(isolation, 2, async (mp) => void await soak(isolation, mp, tasks / 20, anyTask));
  await withPool(isolation, 4, async (mp) => void await soak(isolation, mp, kills / 20, killedTask));
  const before = await settled({ threads: 0, descriptors: 0, children: 0, rss: 0 });
  show(`${isolation}: before`, before);
  await withPool(isolation, 2, async (mp) => {
    console.log(`${tasks} tasks:`, JSON.stringify(await soak(isolation, mp, tasks, anyTask)), seconds());
    show("at the end of the pool", usage());
  });
  show("after the tasks", await settled(before));
  await withPool(isolation, 4, async (mp) => {
    console.log(`${kills} kills:`, JSON.stringify(await soak(isolation, mp, kills, killedTask)), seconds());
    const { killed, zombies } = await mp.stats();
    // Of a cell that died nobody has counted them.
    assert(killed >= kills || isolation === "cell", `${killed} workers were killed`);
    assert(zombies === 0, `${zombies} zombies`);
    show("at the end of the pool", usage());
  });
  const after = await settled(before);
  show("after the kills", after);
  assert(within(after, before), `not back to where it was: ${JSON.stringify({ before, after, BOUNDS })}`);
}

try {
  for (const each of RUNS) await run(each);
} finally {
  clearTimeout(late);
}
