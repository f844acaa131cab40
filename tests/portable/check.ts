/**
 * The promises of the pool as plain cases that any runtime can run: no `Deno`, no test runner. See `run.ts`.
 */
import type * as Package from "../../mod.ts";

/** What the cases are run with. */
export interface Setting {
  pool: typeof Package;
  isolation: "thread" | "process";
}

/** A case: throws if a promise was not kept. */
export interface Case {
  name: string;
  /** Why it cannot be promised there; undefined where it is. */
  cannot?(setting: Setting): string | undefined;
  run(setting: Setting): Promise<void>;
}

type Pool = Package.MultiProcess;
type Outcome = Package.Outcome;
type Process = {
  platform: string;
  getBuiltinModule(name: "node:os"): { getPriority(pid: number): number };
};

/** The limit of what hangs, in milliseconds. */
const LIMIT = 100;
/** The limit of what does not, in milliseconds: the machine may be busy. */
const PATIENCE = 30_000;
/** How late anything may be on a machine that is busy, in milliseconds. */
const LATE = 5_000;

const url = (name: string) => new URL(`./tasks.js#${name}`, import.meta.url).href;

export function equal(actual: unknown, expected: unknown, what = ""): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what} is ${a}, should be ${b}`);
}

function ensure(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

function errorOf(outcome: Outcome): Error & Record<string, unknown> {
  if (outcome.status === "ok") throw new Error(`it returned ${outcome.value}`);
  return outcome.error as Error & Record<string, unknown>;
}

async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const since = performance.now(); !await condition();) {
    ensure(performance.now() - since < LATE, `${what}: not within ${LATE} ms`);
    await new Promise((wake) => setTimeout(wake, 10));
  }
}

/** A case with a pool of its own, which ends with it. */
function withPool(
  name: string,
  run: (
    mp: Pool,
    task: (name: string, limit?: number, ...args: unknown[]) => Package.InfoTask,
    setting: Setting,
  ) => Promise<void>,
  options: Package.MultiProcessOptions = {},
  /** It runs in the turn in which the pool is started. */
  atOnce = false,
): Case {
  return {
    name,
    async run(setting) {
      const { MultiProcess, InfoTask } = setting.pool;
      const mp = new MultiProcess({ size: 2, isolation: setting.isolation, maxRestarts: 1_000, ...options });
      try {
        const started = mp.start();
        // It may be terminated before it is warm.
        started.catch(() => {});
        if (!atOnce) await started;
        const task = (name: string, limit = PATIENCE, ...args: unknown[]) =>
          new InfoTask(url(name), limit, ...args);
        await run(mp, task, setting);
      } finally {
        await within(LATE, "terminate()", mp.terminate());
      }
    },
  };
}

/** Where this runs. */
const host = "Deno" in globalThis
  ? "deno"
  : "Bun" in globalThis
  ? "bun"
  : "document" in globalThis
  ? "browser"
  : "node";

/** A case that cannot be promised in a browser. */
const notInBrowser = (why: string, each: Case): Case => ({
  ...each,
  cannot: (setting) => host === "browser" ? why : each.cannot?.(setting),
});

/** Whether this is WebKit, which Chromium says it is like. */
const isWebKit = /AppleWebKit(?!.*Chrome)/.test(globalThis.navigator?.userAgent ?? "");

/** Why a thread that hangs so does not end; undefined where it does. */
const endless = (kind: string) => ({ isolation }: Setting) =>
  host === "bun" && isolation === "thread" && kind === "wasm"
    ? "Bun never stops WebAssembly in a thread (seen up to 1.4.5)"
    : isWebKit && kind === "wasm"
    ? "WebKit never stops WebAssembly in a worker (seen with 2.50.6)"
    : kind === "wait" && !("SharedArrayBuffer" in globalThis)
    ? "there is no shared memory to wait for"
    : undefined;

const hangs = ["loop", "caught", "wait", "regex", "wasm", "microtasks", "pending", "interval"].map((
  kind,
) => ({
  ...withPool(`${kind} is timed out, and its worker ends`, async (mp, task) => {
    const since = performance.now();
    const outcome = await mp.push(task(kind, LIMIT));
    equal(outcome.status, "timed-out");
    const took = performance.now() - since;
    ensure(
      took >= LIMIT && outcome.ranMs >= LIMIT - 1,
      `ended after ${took} ms, having run ${outcome.ranMs}`,
    );
    equal(await mp.run(task("add", PATIENCE, 1, 2)), 3, "the next");
    await until("its worker has ended", async () => {
      const { workers, zombies, killed } = await mp.stats();
      return workers.stopping === 0 && zombies === 0 && killed === 1;
    });
    const { ok, timedOut } = await within(LATE, "stop()", mp.stop());
    equal([ok, timedOut], [1, 1], "the summary");
  }),
  cannot: endless(kind),
}));

const DEATHS: [name: string, reason: string, code: number, ...args: unknown[]][] = [
  ["exit", "exit", 3, 3],
  ["exitThenLoop", "exit", 4],
  ["throwsLater", "error", 1],
  ["rejects", "error", 1],
];

const deaths = DEATHS.map(([name, reason, code, ...args]): Case => {
  const death = withPool(`${name} crashes, and is no other's end`, async (mp, task) => {
    const [outcome, other] = await Promise.all([
      mp.push(task(name, PATIENCE, ...args)),
      mp.run(task("delay", PATIENCE, 50, "other")),
    ]);
    equal([outcome.status, other], ["crashed", "other"]);
    const error = errorOf(outcome);
    equal([error.name, error.reason, error.exitCode], ["WorkerCrashError", reason, code]);
    if (reason === "error") ensure(error.cause instanceof Error, "it has a cause");
    equal(await mp.run(task("add", PATIENCE, 1, 2)), 3, "the next");
  });
  return reason === "exit" ? notInBrowser("there is no process.exit()", death) : death;
});

const FIRSTS: [name: string, status: Outcome["status"], limit: number][] = [
  ["add", "ok", PATIENCE],
  ["delay", "ok", PATIENCE],
  ["loop", "timed-out", LIMIT],
  ["pending", "timed-out", LIMIT],
  ["throwsLater", "crashed", PATIENCE],
  ["fail", "failed", PATIENCE],
  ["missing", "failed", PATIENCE],
];

/** Where a start blocks nobody, the first task is with its worker before the dispatcher knows of either. */
const firsts: Case[] = [
  ...FIRSTS.map(([name, status, limit]) =>
    withPool(
      `${name} is the first task of a pool: ${status}`,
      async (mp, task) => {
        const [first, second] = [mp.push(task(name, limit, 1, 2)), mp.run(task("add", PATIENCE, 3, 4))];
        const { attempts, ranMs, ...outcome } = await first;
        equal([outcome.status, attempts, await second], [status, 1, 7]);
        if (status === "timed-out") ensure(ranMs >= LIMIT - 1, `it had its time: ${ranMs} ms`);
        equal(await mp.run(task("add", PATIENCE, 1, 2)), 3, "the next");
      },
      {},
      true,
    )
  ),
  withPool(
    "the first task of a pool hangs, and the entry is blocked",
    async (mp, task) => {
      const outcomes = [mp.push(task("loop", LIMIT)), mp.push(task("add", PATIENCE, 1, 2))];
      // What is pushed leaves when the turn ends.
      await undefined;
      for (const since = performance.now(); performance.now() - since < 10 * LIMIT;);
      const [hung, added] = await Promise.all(outcomes);
      equal([hung!.status, added!.status], ["timed-out", "ok"]);
      // Processes are started by way of the entry on some.
      ensure(hung!.ranMs < LATE, `it ran for ${hung!.ranMs} ms`);
    },
    {},
    true,
  ),
  withPool(
    "a pool is terminated in the turn in which it has its first task",
    async (mp, task) => {
      const first = mp.push(task("loop"));
      await within(LATE, "terminate()", mp.terminate());
      equal((await first).status, "cancelled");
    },
    {},
    true,
  ),
  withPool(
    "what waits is cancelled in the turn in which a pool has its first task",
    async (mp, task) => {
      const outcomes = Array.from({ length: 5 }, (_, i) => mp.push(task("add", PATIENCE, i, 1)));
      await within(LATE, "cancelWaiting()", mp.cancelWaiting());
      const statuses = (await Promise.all(outcomes)).map(({ status }) => status);
      equal(statuses.slice(1), Array(4).fill("cancelled"), "what came behind");
      ensure(statuses[0] === "ok" || statuses[0] === "cancelled", `the first is ${statuses[0]}`);
    },
    {},
    true,
  ),
];

const closes: Case = {
  ...withPool("a task that closes its worker crashes, and is no other's end", async (mp, task) => {
    const outcome = await mp.push(task("closes"));
    equal([outcome.status, errorOf(outcome).reason], ["crashed", "exit"]);
    equal(await mp.run(task("add", PATIENCE, 1, 2)), 3, "the next");
    await until("its worker has ended", async () => (await mp.stats()).workers.stopping === 0);
  }),
  cannot: () => host === "browser" ? undefined : "there is process.exit()",
};

const lives: Case[] = [
  withPool("a thousand tasks have their values", async (mp, task) => {
    const sums = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => mp.run(task("add", PATIENCE, i, 1))),
    );
    equal(sums.every((sum, i) => sum === i + 1), true);
  }),
  withPool("values arrive as they are", async (mp, task) => {
    const value = {
      map: new Map([[1, new Set(["a"])]]),
      date: new Date(5),
      big: 5n,
      list: [, 1],
      none: undefined,
    };
    const got = await mp.run(task("echo", PATIENCE, value)) as typeof value;
    equal([got.map.get(1)!.has("a"), got.date.getTime(), got.big === 5n, 0 in got.list, "none" in got], [
      true,
      5,
      true,
      false,
      true,
    ]);
  }),
  withPool("an error arrives with class, cause and properties", async (mp, task) => {
    const outcome = await mp.push(task("fail"));
    const error = errorOf(outcome);
    equal([outcome.status, error.name, error.message, error.code, (error.cause as Error).message], [
      "failed",
      "OwnError",
      "as asked",
      7,
      "deep",
    ]);
    equal(Object.keys(error), ["code"], "what is printed with it");
    ensure(error.stack?.includes("tasks.js"), "the stack names the task's file");
  }),
  withPool(
    "an error of the pool's own tells of its task, and nothing of the pool's inside",
    async (mp, task) => {
      for (
        const [status, each] of [["timed-out", task("pending", LIMIT)], ["failed", task("missing")]] as const
      ) {
        const outcome = await mp.push(each);
        equal(outcome.status, status);
        const error = errorOf(outcome);
        equal(error.stack, `${error.name}: ${error.message}`, "the stack");
        equal(Object.keys(error), status === "failed" ? [] : ["timeout"], "what is printed with it");
        ensure(error.task === each, "it knows its task");
      }
    },
  ),
  withPool(
    "an error of an inline function names it, shows no source, and says what it lacks",
    async (mp, _task, { pool }) => {
      // Each browser says it in its own way.
      if (host !== "browser") {
        const missing = await mp.push(
          pool.InfoTask.inline(
            async function named(path: string) {
              await import(path);
            },
            PATIENCE,
            "./missing.js",
          ),
        );
        const { message, stack } = errorOf(missing);
        ensure(/inline:named.*: an inline function is in no folder; give it/.test(message), message);
        ensure(!/data:|base64/.test(message + stack), `it shows no source: ${message} ${stack}`);
      }
      const thrown = await mp.push(
        pool.InfoTask.inline(function named() {
          throw new Error("as asked");
        }, PATIENCE),
      );
      // V8 and Bun, or Firefox and WebKit.
      ensure(/named( \(|@)inline:named:\d+/.test(errorOf(thrown).stack!), errorOf(thrown).stack!);
    },
  ),
  withPool("a thrown text is an error", async (mp, task) => {
    const outcome = await mp.push(task("failText"));
    equal(outcome.status, "failed");
    ensure(errorOf(outcome).message.includes("a text"), "it has the text");
  }),
  withPool("what cannot be cloned fails its task", async (mp, task) => {
    equal((await mp.push(task("returnsFunction"))).status, "failed");
    equal(await mp.run(task("add", PATIENCE, 1, 2)), 3, "the next");
  }),
  withPool(
    "a module that is not there, and an export that is not, fail with a TaskLoadError",
    async (mp, task, s) => {
      const missing = new s.pool.InfoTask(new URL("./missing.js", import.meta.url), PATIENCE);
      for (const each of [missing, task("missing")]) {
        const outcome = await mp.push(each);
        equal([outcome.status, errorOf(outcome).name], ["failed", "TaskLoadError"]);
      }
    },
  ),
  notInBrowser(
    "it has no CommonJS",
    withPool(
      "a CommonJS module runs, compiled or not, and each of its exports",
      async (mp, _task, { pool }) => {
        const values = {
          "compiled.cjs": 49,
          "compiled.cjs#twice": 14,
          "computed.cjs": 8,
          "computed.cjs#one": 1,
        };
        for (const [name, value] of Object.entries(values)) {
          equal(await mp.run(new pool.InfoTask(new URL(name, import.meta.url), PATIENCE, 7)), value, name);
        }
        const outcome = await mp.push(
          new pool.InfoTask(new URL("computed.cjs#two", import.meta.url), PATIENCE),
        );
        ensure(errorOf(outcome).message.endsWith('it has no export named "two"'), errorOf(outcome).message);
      },
    ),
  ),
  withPool("a data: module runs", async (mp, _task, { pool }) => {
    const specifier = "data:text/javascript,export const runnable = (n) => n * n";
    equal(await mp.run(new pool.InfoTask(specifier, PATIENCE, 7)), 49);
  }),
  withPool("progress arrives in order, before the outcome", async (mp, task) => {
    const got: unknown[] = [];
    const value = await mp.run(task("progress"), { onProgress: (step) => void got.push(step) });
    equal([...got, value], [1, 2, 3, "done"]);
  }),
  withPool("what a generator yields arrives in order", async (mp, task) => {
    for (const [name, end] of [["generator", "end"], ["asyncGenerator", undefined]] as const) {
      const got: unknown[] = [];
      const value = await mp.run(task(name), { onProgress: (step) => void got.push(step) });
      equal([got, value], [[1, 2, 3], end], name);
    }
  }),
  withPool("a task that fails is tried again", async (mp, task) => {
    const retry = { maxAttempts: 3, minTimeout: 1, maxTimeout: 5 };
    const outcome = await mp.push(task("attempts"), { retry });
    equal([outcome.status, outcome.attempts, outcome.status === "ok" && outcome.value], ["ok", 3, 3]);
  }),
  withPool("a task that hangs is tried again where that is wanted", async (mp, task) => {
    const retry = { maxAttempts: 2, minTimeout: 1, on: ["timed-out" as const] };
    const outcome = await mp.push(task("loop", LIMIT), { retry });
    equal([outcome.status, outcome.attempts], ["timed-out", 2]);
  }),
  withPool("a task that waits is cancelled, and one that runs", async (mp, task) => {
    const controller = new AbortController();
    const { signal } = controller;
    const running = mp.push(task("loop", Infinity), { signal });
    await until("it runs", async () => (await mp.stats()).running === 1);
    const blocker = mp.push(task("delay", PATIENCE, 300, "x"));
    const waiting = mp.push(task("add", PATIENCE, 1, 1), { signal });
    controller.abort(new Error("enough"));
    const outcomes = await Promise.all([running, waiting]);
    equal(outcomes.map(({ status }) => status), ["cancelled", "cancelled"]);
    equal((errorOf(outcomes[0]!).cause as Error).message, "enough");
    equal((await blocker).status, "ok");
  }),
  withPool("softTimeout lets a task end cleanly", async (mp, task) => {
    equal(await mp.run(task("cleans"), { softTimeout: 50 }), "cleaned up");
  }),
  withPool("a buffer is moved there", async (mp, task) => {
    const buffer = new ArrayBuffer(1_000);
    const size = mp.run(task("size", PATIENCE, buffer), { transfer: [buffer] });
    equal(buffer.byteLength, 0, "what was moved");
    equal(await size, 1_000);
  }),
  withPool("a value of 10 MB goes both ways", async (mp, task) => {
    const bytes = await mp.run(task("moved", PATIENCE, 10_000_000)) as Uint8Array;
    equal((await mp.run(task("echo", PATIENCE, bytes)) as Uint8Array).byteLength, 10_000_000);
  }),
  withPool("map() gives outcomes in order, of an endless iterable too", async (mp, task) => {
    const endless = function* () {
      for (let i = 0;; i++) yield i;
    };
    const got: unknown[] = [];
    for await (const outcome of mp.map(endless(), (i) => task("add", PATIENCE, i, i))) {
      got.push(outcome.status === "ok" && outcome.value);
      if (got.length === 20) break;
    }
    equal(got, Array.from({ length: 20 }, (_, i) => 2 * i));
  }),
  withPool("callbacks fire once, closures and those of the module", async (mp, task) => {
    let [called, failed] = [0, 0];
    const callbacks = { callback: () => void called++, errorCallback: () => void failed++ };
    const names = ["add", "fail", "loop", "exit"];
    await Promise.all(
      names.map((name) => mp.push(task(name, name === "loop" ? LIMIT : PATIENCE, 1), callbacks)),
    );
    await mp.stop();
    equal([called, failed], [1, 3]);
  }),
  withPool("what a task leaves behind that throws later is no other task's failure", async (mp, task) => {
    equal((await mp.push(task("strays"))).status, "ok");
    const rest = await Promise.all(
      Array.from({ length: 20 }, () => mp.push(task("delay", PATIENCE, 10, 1), { retry: { minTimeout: 1 } })),
    );
    equal(rest.every(({ status }) => status === "ok"), true);
  }, { size: 1 }),
  withPool("the entry may be blocked: limits hold meanwhile", async (mp, task) => {
    const outcomes = [
      mp.push(task("loop", LIMIT)),
      mp.push(task("pending", LIMIT)),
      mp.push(task("add", PATIENCE, 1, 1)),
    ];
    await Promise.resolve();
    await Promise.resolve();
    for (const since = performance.now(); performance.now() - since < 1_500;);
    const [loop, pending, add] = await Promise.all(outcomes);
    equal([loop!.status, pending!.status, add!.status], ["timed-out", "timed-out", "ok"]);
    ensure(loop!.ranMs < 1_200, `it ran ${loop!.ranMs} ms`);
  }),
  withPool("tasks that hang by the dozen keep no other from its value", async (mp, task) => {
    const outcomes = await Promise.all(
      Array.from(
        { length: 60 },
        (_, i) => mp.push(i % 3 === 0 ? task("loop", LIMIT) : task("add", PATIENCE, i, 0)),
      ),
    );
    equal(outcomes.map(({ status }) => status === "ok"), outcomes.map((_, i) => i % 3 !== 0));
    await until("all workers have ended", async () => (await mp.stats()).workers.stopping === 0);
  }),
  withPool("stop() waits for all outcomes", async (mp, task) => {
    const last = mp.push(task("delay", PATIENCE, 200, "last"));
    const { pushed, ok } = await mp.stop();
    equal([pushed, ok, (await last).status], [1, 1, "ok"]);
  }),
  withPool("terminate() cancels what hangs, in time", async (mp, task) => {
    const hanging = [
      mp.push(task("loop", Infinity)),
      mp.push(task("caught", Infinity)),
      mp.push(task("add")),
    ];
    await until("two run", async () => (await mp.stats()).running === 2);
    await within(LATE, "terminate()", mp.terminate("over"));
    equal((await Promise.all(hanging)).map(({ status }) => status), ["cancelled", "cancelled", "cancelled"]);
  }),
  notInBrowser(
    "it has neither",
    withPool("env and argv are what they are given", async (mp, task) => {
      equal([await mp.run(task("args")), await mp.run(task("variable", PATIENCE, "A"))], [["x", "y"], "1"]);
      equal(await mp.run(task("variable", PATIENCE, "PATH")), undefined, "a variable of the program");
    }, { env: { A: "1" }, argv: ["x", "y"] }),
  ),
  notInBrowser(
    "it has no priorities",
    withPool("what tasks compute comes after what the program does", async (mp, task) => {
      const { process } = globalThis as unknown as { process: Process };
      const before = process.getBuiltinModule("node:os").getPriority(0);
      const lower = process.platform === "linux" ? 5 : 0;
      equal(await mp.run(task("priority")), Math.min(19, before + lower));
      equal(process.getBuiltinModule("node:os").getPriority(0), before, "the program's");
    }, { nice: 5 }),
  ),
  withPool(
    "the callback of a module is imported and called, also with a loadTimeout of a fraction",
    async (mp, _, s) => {
      const specifier = "data:text/javascript,export const runnable = () => 7; " +
        "export const callback = (value) => { globalThis.calledBack = value }";
      await mp.push(new s.pool.InfoTask(specifier, PATIENCE));
      equal((globalThis as Record<string, unknown>).calledBack, 7);
      delete (globalThis as Record<string, unknown>).calledBack;
    },
    { loadTimeout: 20_000.5 },
  ),
  notInBrowser(
    "its console is its own",
    withPool("what a task prints is told with its outcome", async (mp, _task, { pool }) => {
      const specifier =
        "data:text/javascript,export const runnable = () => { console.log('one'); console.error('two') }";
      equal((await mp.push(new pool.InfoTask(specifier, PATIENCE))).output, "one\ntwo\n");
    }, { output: "capture" }),
  ),
  notInBrowser(
    "it has none",
    withPool("an AsyncLocalStorage of a task holds what it was given, in each task", async (mp, task) => {
      // One after the other, and several in a message.
      for (let i = 0; i < 3; i++) equal(await mp.run(task("stored", PATIENCE, i)), [i, i, i]);
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, i) => mp.run(task("stored", PATIENCE, i))),
      );
      equal(all, all.map((_, i) => [i, i, i]));
    }),
  ),
  withPool("an initializer runs in every worker, before the first task", async (mp, task, { pool }) => {
    const specifier = "data:text/javascript,export const runnable = () => globalThis.prepared";
    equal(await mp.run(new pool.InfoTask(specifier, PATIENCE)), "so");
    equal(await mp.run(task("add", PATIENCE, 1, 2)), 3);
  }, {
    initializer: {
      module: "data:text/javascript,export const initialize = (d) => { globalThis.prepared = d }",
      data: "so",
    },
  }),
  withPool("a task finds no way to its worker's port", async (mp, task) => {
    await mp.run(task("cheat"));
    for (let i = 0; i < 5; i++) equal(await mp.run(task("cheated")), [], "what it found");
  }, { size: 1, spares: 0 }),
];

const harmless: Case = {
  ...withPool("a task in a thread does nothing to the whole program", async (mp, task) => {
    equal(await mp.run(task("meddle")), []);
  }),
  cannot: ({ isolation }) =>
    host === "browser" ? "it has no process" : isolation === "process" ? "it has one of its own" : undefined,
};

const light: Case = {
  ...withPool("a worker has loaded nothing large that no task has mentioned", async (mp, task) => {
    equal(await mp.run(task("loaded")), []);
  }),
  cannot: () => host === "node" ? undefined : "only Node tells what is loaded",
};

/** Options that some runtimes cannot keep: there the pool does not start. */
function refused(
  name: string,
  options: Package.MultiProcessOptions,
  reason: string,
  where: (typeof host)[],
): Case {
  return {
    name: `${name}: refused where that cannot be kept`,
    async run({ pool }) {
      let message = "nothing";
      try {
        await new pool.MultiProcess({ size: 1, ...options }).start();
      } catch (error) {
        message = (error as Error).message;
      }
      ensure(message.includes(reason), `refused with "${message}"`);
    },
    cannot: () => where.includes(host) ? undefined : "it is kept",
  };
}

const limits: Case[] = [
  {
    ...withPool(
      "a task that takes more memory than it may is crashed, and the next has its value",
      async (mp, task) => {
        const outcome = await mp.push(task("fill"));
        equal([outcome.status, errorOf(outcome).reason], ["crashed", "memory"]);
        equal(await mp.run(task("add", PATIENCE, 1, 2)), 3, "the next");
      },
      { memoryLimit: 100 },
    ),
    cannot: ({ isolation }) =>
      isolation === "thread" ? "a heap that is exhausted can take the process along" : undefined,
  },
  refused("permissions", { permissions: "none" }, '"permissions" needs Deno', ["node", "bun", "browser"]),
  refused("memoryLimit of threads", { memoryLimit: 100, isolation: "thread" }, '"memoryLimit" needs', [
    "bun",
    "browser",
  ]),
  refused("processes", { isolation: "process" }, 'isolation: "process" needs', ["browser"]),
  refused("output", { output: "capture" }, '"output" needs', ["browser"]),
  refused("env", { env: "none" }, '"env" needs', ["browser"]),
];

/** Those of the gate: one of each kind. */
export const QUICK: ReadonlySet<string> = new Set([
  "caught is timed out, and its worker ends",
  "throwsLater crashes, and is no other's end",
  "loop is the first task of a pool: timed-out",
  "a pool is terminated in the turn in which it has its first task",
  "a thousand tasks have their values",
  "an error arrives with class, cause and properties",
  "a module that is not there, and an export that is not, fail with a TaskLoadError",
  "the entry may be blocked: limits hold meanwhile",
  "what a task prints is told with its outcome",
  "a task finds no way to its worker's port",
  "a worker has loaded nothing large that no task has mentioned",
]);

/** All cases. */
export const CASES: readonly Case[] = [
  ...hangs,
  ...deaths,
  closes,
  ...firsts,
  ...lives,
  light,
  harmless,
  ...limits,
];
