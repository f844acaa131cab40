/** Every way a worker ends × thread and process: nothing is left of it, and what it had not begun another one runs. */
import { assertEquals } from "@std/assert";
import { InfoTask, MultiProcess, type MultiProcessOptions, type Status } from "../../mod.ts";
import { children, fixture, inline, sample, until, type Usage, usage } from "../helpers.ts";

const ROUNDS = 3;
/** How much more memory there may be after the rounds, in bytes. */
const RSS = 64 * 2 ** 20;

interface Ending {
  name: string;
  options?: MultiProcessOptions;
  /** What the task does. */
  source: string;
  limit?: number;
  cancel?: boolean;
  status: Status;
  /** Only for processes: there is no such end of a thread, or it is not contained. */
  process?: boolean;
}

const FILL = "const all = []; for (;;) all.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));";
const NEVER = "new Promise(() => {})";
/** Starts one that says so, and then waits. */
const WORKER =
  'const worker = new Worker("data:text/javascript,postMessage(0);onmessage=close", { type: "module" });';

const ENDINGS: Ending[] = [
  { name: "a loop is stopped", source: "for (;;);", limit: 50, status: "timed-out" },
  { name: "an await is stopped", source: `return ${NEVER};`, limit: 50, status: "timed-out" },
  {
    name: "a timer goes on",
    source: `setInterval(() => {}, 1); return ${NEVER};`,
    limit: 50,
    status: "timed-out",
  },
  { name: "a loop is cancelled", source: "for (;;);", cancel: true, status: "cancelled" },
  { name: "an await is cancelled", source: `return ${NEVER};`, cancel: true, status: "cancelled" },
  { name: "an exit", source: "Deno.exit(3);", status: "crashed" },
  {
    name: "a Worker of its own is stopped along with a loop",
    source: `${WORKER} return new Promise(() => worker.onmessage = () => { for (;;); });`,
    limit: 2_000,
    status: "timed-out",
  },
  {
    name: "a Worker of its own is left by an exit",
    source: `${WORKER} return new Promise(() => worker.onmessage = () => Deno.exit(3));`,
    status: "crashed",
  },
  {
    name: "an error that nobody catches",
    source: `reportError(new Error("x")); return ${NEVER};`,
    status: "crashed",
  },
  {
    name: "a rejection that nobody handles",
    source: `Promise.reject(new Error("x")); return ${NEVER};`,
    status: "crashed",
  },
  { name: "a changed global", source: "globalThis.Map = class {};", status: "ok" },
  { name: "maxTasksPerWorker", options: { maxTasksPerWorker: 1 }, source: "", status: "ok" },
  { name: "a full heap", options: { memoryLimit: 64 }, source: FILL, status: "crashed", process: true },
  { name: "SIGKILL", source: 'Deno.kill(Deno.pid, "SIGKILL"); for (;;);', status: "crashed", process: true },
  {
    name: "a child of its own that is stopped along",
    source: 'new Deno.Command("sleep", { args: ["60"] }).spawn(); for (;;);',
    limit: 100,
    status: "timed-out",
    process: true,
  },
];

async function end(mp: MultiProcess, { source, limit = 20_000, cancel, status }: Ending): Promise<void> {
  const { spawned } = await mp.stats();
  const stop = new AbortController();
  const begun = Promise.withResolvers<void>();
  const module = inline(`export function runnable() { this.progress(0); ${source} }`);
  const outcome = mp.push(new InfoTask(module, limit), {
    signal: stop.signal,
    onProgress: () => begun.resolve(),
  });
  if (cancel) {
    await begun.promise;
    stop.abort();
  }
  const settled = await outcome;
  assertEquals(settled.status, status, "error" in settled ? settled.error.message : "");
  // A worker that ends by itself may do so after its task has its outcome.
  await until(async () => (await mp.stats()).spawned > spawned, 20_000, "another worker has taken its place");
}

/** A pool at rest: what there is is what it needs. */
async function atRest(mp: MultiProcess, workers: number): Promise<void> {
  await until(
    async () => {
      const { workers: { idle, starting, busy, stopping }, zombies } = await mp.stats();
      return idle === workers && starting + busy + stopping + zombies === 0;
    },
    30_000,
    "the pool is at rest",
  );
}

/** Deno keeps two of whichever thread was the last to load a module (seen up to 2.9.6), so there are up to so many more. */
const LAST_LOADED = 4;

Deno.test("threads that end while they still load what is to be there later leave no descriptor", async () => {
  const idle = usage();
  const round = async () => {
    const options = { size: 2, spares: 2, isolation: "thread", maxRestarts: 1_000, bridge: false } as const;
    const mp = new MultiProcess(options);
    try {
      await mp.start();
      const hangs = Array.from({ length: 8 }, () => mp.push(new InfoTask(fixture("tasks.ts#never"), 20)));
      for (const { status } of await Promise.all(hangs)) assertEquals(status, "timed-out");
    } finally {
      await mp.terminate();
    }
    // What ends a little later than the pool would count as what stays.
    for (let n = 0; n < 200 && usage().threads > idle.threads; n++) {
      await new Promise((r) => setTimeout(r, 50));
    }
  };
  await round();
  const before = usage();
  for (let n = 0; n < ROUNDS; n++) await round();
  await until(() => usage().descriptors <= before.descriptors + LAST_LOADED, 20_000, show(before))
    .catch((error) => {
      throw new Error(`${error.message}: ${show(usage())}`);
    });
});

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test(`every way a worker ends (${isolation}) leaves no descriptor, thread, child or memory`, async (test) => {
    for (const ending of sample(ENDINGS.filter(({ process }) => !process || isolation === "process"))) {
      await test.step(ending.name, async () => {
        const mp = new MultiProcess({ size: 1, spares: 1, isolation, maxRestarts: 1_000, ...ending.options });
        try {
          await mp.start();
          // What stays for good is there after the first.
          await end(mp, ending);
          await atRest(mp, 2);
          const before = usage();
          for (let round = 0; round < ROUNDS; round++) await end(mp, ending);
          await atRest(mp, 2);
          await until(() => noMore(usage(), before), 20_000, `${show(before)}, then`).catch((error) => {
            throw new Error(`${error.message}: ${show(usage())}`);
          });
        } finally {
          await mp.terminate();
        }
      });
    }
  });
}

const noMore = (now: Usage, before: Usage) =>
  now.descriptors <= before.descriptors && now.threads <= before.threads && now.children <= before.children &&
  now.rss <= before.rss + RSS;

const show = ({ descriptors, threads, children, rss }: Usage) =>
  `${descriptors} descriptors, ${threads} threads, ${children} children, ${Math.round(rss / 2 ** 20)} MiB`;

Deno.test("what a process that was killed from outside had not begun is run by another, once", async () => {
  const file = await Deno.makeTempFile();
  const mp = new MultiProcess({ size: 3, spares: 0, isolation: "process", maxRestarts: 1_000 });
  const append = inline(
    `export default (file, n) => { Deno.writeTextFileSync(file, n + "\\n", { append: true }); return n; }`,
  );
  let n = 0;
  const push = (...more: unknown[]) => mp.push(new InfoTask(append, 20_000, file, n++, ...more));
  try {
    await mp.start();
    for (let round = 0; round < 10; round++) {
      await atRest(mp, 3);
      // One that has never run a task may have died of its start: of that kind the pool bears three in a row.
      await Promise.all([1, 2, 3].map(() => mp.run(new InfoTask(fixture("tasks.ts#sleep"), 20_000, 100))));
      for (const pid of children()) Deno.kill(pid, "SIGKILL");
      // Small ones, and one whose buffer is moved.
      const outcomes = [push(), push(), push(new ArrayBuffer(1 << 20))];
      for (const { status, attempts } of await Promise.all(outcomes)) {
        assertEquals([status, attempts], ["ok", 1]);
      }
    }
    const ran = (await Deno.readTextFile(file)).trim().split("\n").map(Number).sort((a, b) => a - b);
    assertEquals(ran, Array.from({ length: n }, (_, i) => i));
  } finally {
    await mp.terminate();
    await Deno.remove(file);
  }
});
