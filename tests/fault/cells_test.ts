/** Cells: what no thread survives is survived, by all but those that ran there. Every loop of KILLS.md, every crash. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  InfoTask,
  MultiProcess,
  type MultiProcessOptions,
  type Outcome,
  WorkerCrashError,
} from "../../mod.ts";
import * as stubborn from "../fixtures/stubborn.ts";
import { children, fixture, inline, Load, sample, until, usage, withPool } from "../helpers.ts";

const MOD = new URL("../../mod.ts", import.meta.url).href;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const LIMIT = 150;

const cell = (options: MultiProcessOptions = {}): MultiProcessOptions => ({
  size: 2,
  isolation: "cell",
  output: "ignore",
  ...options,
});
const add = () => new InfoTask(fixture("tasks.ts#add"), 60_000, 20, 22);
const sleep = (ms: number) => new InfoTask(fixture("tasks.ts#sleep"), 60_000, ms, "slept");

/** Ways to take the process along. */
const CRASHES: Record<string, string> = {
  killed: `export const runnable = () => Deno.kill(Deno.pid, "SIGKILL");`,
  segfault:
    `export const runnable = () => new Deno.UnsafePointerView(Deno.UnsafePointer.create(8n)).getUint8();`,
  aborted: `export const runnable = () => { Deno.kill(Deno.pid, "SIGABRT"); for (;;); };`,
  "full heap":
    `export const runnable = () => { const all = []; for (;;) all.push(new Array(1e4).fill(all)); };`,
};

/** Runs until its cell ends, and says that it runs. */
const BESIDE = `export function runnable() {
  this.progress("begun");
  return new Promise((resolve) => setTimeout(resolve, 30_000));
}`;

function assertCrashed(outcome: Outcome): void {
  assert(outcome.status === "crashed", outcome.status);
  assert(outcome.error instanceof WorkerCrashError);
  assert(["signal", "exit", "memory"].includes(outcome.error.reason), outcome.error.message);
  assertEquals(outcome.attempts, 1);
}

/** Pushes so many tasks that run until their cell ends. Resolves when they run: only then are they lost with it. */
async function begin(mp: MultiProcess, count: number): Promise<Promise<Outcome>[]> {
  const begun = Array.from({ length: count }, () => Promise.withResolvers<unknown>());
  const outcomes = begun.map(({ resolve }) => {
    return mp.push(new InfoTask(inline(BESIDE), 60_000), { onProgress: resolve });
  });
  await Promise.all(begun.map(({ promise }) => promise));
  return outcomes;
}

/** Pushes a task again and again, and counts what comes of it. */
function stream(mp: MultiProcess): () => Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let over = false;
  const running = (async () => {
    while (!over) {
      const { status } = await mp.push(add());
      counts[status] = (counts[status] ?? 0) + 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return async () => {
    over = true;
    await running;
    return counts;
  };
}

Deno.test("every loop that an interrupt may miss is over in time in a cell, and harms no task beside", async (test) => {
  const before = children().length;
  using load = new Load();
  await withPool(cell({ killGrace: 50 }), async (mp) => {
    const beside = stream(mp);
    for (const name of sample(Object.keys(stubborn))) {
      await test.step(name, async () => {
        load.reset();
        const outcome = await mp.push(new InfoTask(fixture(`stubborn.ts#${name}`), LIMIT));
        assertEquals(outcome.status, "timed-out");
        assert(outcome.ranMs < LIMIT + load.allows(250), `${outcome.ranMs} ms`);
      });
    }
    await until(async () => (await mp.stats()).workers.stopping === 0, 20_000, "the end of all that hung");
    assertEquals(Object.keys(await beside()), ["ok"]);
  });
  await until(() => children().length <= before, 10_000, "the end of the cells");
});

Deno.test("a thread that never ends makes its cell leave: what runs beside it runs to its end", async () => {
  await withPool(cell({ killGrace: 50 }), async (mp) => {
    const beside = mp.push(sleep(4_000));
    const stuck = await mp.push(new InfoTask(fixture("stubborn.ts#child"), LIMIT));
    assertEquals(stuck.status, "timed-out");
    const all = Array.from({ length: 50 }, () => mp.push(sleep(50)));
    for (const outcome of await Promise.all(all)) assertEquals(outcome.status, "ok");
    assertEquals((await beside).status, "ok");
    // The one that is left is a spare.
    await until(() => children().length === 2, 10_000, "the end of the cell");
    assertEquals((await mp.stats()).zombies, 0);
  });
});

Deno.test("a crash of its process costs a cell the tasks that ran there, and no other", async (test) => {
  for (const [name, source] of Object.entries(CRASHES)) {
    await test.step(name, async () => {
      const v8Flags = name === "full heap" ? ["--max-old-space-size=100"] : [];
      await withPool(cell({ v8Flags }), async (mp) => {
        await mp.run(add());
        const [beside] = await begin(mp, 1);
        const crashing = mp.push(new InfoTask(inline(source), 60_000));
        const waiting = Array.from({ length: 300 }, () => mp.push(sleep(1)));
        assertCrashed(await crashing);
        assertCrashed(await beside!);
        for (const outcome of await Promise.all(waiting)) assertEquals(outcome.status, "ok");
        assertEquals(await mp.run(add()), 42);
      });
    });
  }
});

Deno.test("no task of a cell runs twice", async () => {
  const folder = await Deno.makeTempDir();
  const source = `export function runnable(folder, n) {
    Deno.writeTextFileSync(folder + "/" + n, "x", { append: true });
    if (n % 50 === 25) Deno.kill(Deno.pid, "SIGKILL");
    const until = performance.now() + 1;
    while (performance.now() < until);
    return n;
  }`;
  try {
    await withPool(cell(), async (mp) => {
      const module = inline(source);
      const outcomes = await Promise.all(
        Array.from({ length: 400 }, (_, n) => mp.push(new InfoTask(module, 60_000, folder, n))),
      );
      for (const [n, outcome] of outcomes.entries()) {
        const ran = await Deno.readTextFile(`${folder}/${n}`).catch(() => "");
        // The end may come when it has just begun.
        assert(
          ran === "x" || (outcome.status === "crashed" && ran === ""),
          `task ${n}, ${outcome.status}: ${ran}`,
        );
        if (n % 50 === 25) assertCrashed(outcome);
      }
      const crashed = outcomes.filter(({ status }) => status === "crashed").length;
      // 8 that kill; beside each one that ran, and what had returned and was not told yet.
      assert(crashed >= 8 && crashed <= 8 * 12, `${crashed} crashed`);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "no task of a cell runs twice, though its program was suspended, and heard nothing, when it died",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const COUNT = 40_000;
    const file = await Deno.makeTempFile();
    const source = `const file = Deno.openSync(${JSON.stringify(file)}, { append: true });
      const words = new Int32Array(1);
      const bytes = new Uint8Array(words.buffer);
      export function runnable(n) {
        words[0] = n;
        file.writeSync(bytes);
      }`;
    const program = `import { InfoTask, MultiProcess } from ${JSON.stringify(MOD)};
      const mp = new MultiProcess({ size: 2, isolation: "cell", output: "ignore" });
      await mp.start();
      const module = ${JSON.stringify(inline(source))};
      const outcomes = [];
      for (let n = 0; n < ${COUNT}; n++) outcomes.push(mp.push(new InfoTask(module, 60_000, n)));
      await outcomes[0];
      console.log("running");
      console.log(JSON.stringify((await Promise.all(outcomes)).map(({ status }) => status)));
      await mp.stop();`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", CONFIG, inline(program)],
      stdout: "piped",
    }).spawn();
    let ended: Deno.CommandStatus | undefined;
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    try {
      let said = (await lines.read()).value!;
      child.kill("SIGSTOP");
      let [size, since] = [0, performance.now()];
      await until(
        () => {
          const now = Deno.statSync(file).size;
          if (now !== size) [size, since] = [now, performance.now()];
          return performance.now() - since > 400;
        },
        30_000,
        "the cell does no more",
      );
      Deno.kill(children(child.pid)[0]!, "SIGKILL");
      child.kill("SIGCONT");
      for (let part; !(part = await lines.read()).done;) said += part.value;
      ended = await child.status;
      const statuses: string[] = JSON.parse(said.slice("running\n".length));
      const ran = new Uint8Array(COUNT);
      for (const n of new Int32Array((await Deno.readFile(file)).buffer)) ran[n]!++;
      for (const [n, status] of statuses.entries()) {
        assert(
          ran[n] === 1 || (status === "crashed" && ran[n] === 0),
          `task ${n}, ${status}: ${ran[n]} times`,
        );
      }
      const crashed = statuses.filter((status) => status === "crashed").length;
      assert(crashed > 0 && crashed < 5_000, `${crashed} crashed`);
    } finally {
      await lines.cancel();
      if (ended === undefined) child.kill("SIGKILL");
      await child.status;
      await Deno.remove(file);
    }
  },
});

Deno.test("a task that crashed with its cell is retried in the next, after the time that retry says", async () => {
  await withPool(cell({ size: 6 }), async (mp) => {
    const source = `export function runnable() {
      if (this.attempt < 3) Deno.kill(Deno.pid, "SIGKILL");
      return this.attempt;
    }`;
    const retry = { maxAttempts: 3, minTimeout: 10, on: ["crashed" as const] };
    const outcome = await mp.push(new InfoTask(inline(source), 60_000), { retry });
    assert(outcome.status === "ok", outcome.status);
    assertEquals([outcome.value, outcome.attempts], [3, 3]);
    // Each of its cells dies before all workers are there.
    const often = { retry: { ...retry, maxAttempts: 5 } };
    const last = await mp.push(new InfoTask(inline(CRASHES.killed!), 60_000), often);
    assertEquals([last.status, last.attempts], ["crashed", 5]);
  });
});

Deno.test("attempts are counted in all cells together, and one that waits for the next is not lost with its cell", async () => {
  const file = await Deno.makeTempFile();
  const runs = () => Deno.readTextFile(file);
  const module = (then: string) =>
    inline(`export function runnable() {
      Deno.writeTextFileSync(${JSON.stringify(file)}, String(this.attempt), { append: true });
      ${then}
    }`);
  try {
    await withPool(cell(), async (mp) => {
      const retry = { maxAttempts: 2, minTimeout: 60_000, maxTimeout: 60_000, on: ["failed" as const] };
      const failing = module("if (this.attempt === 1) throw new Error('once'); return this.attempt;");
      const waiting = mp.push(new InfoTask(failing, 60_000), { retry });
      const rests = async () => (await mp.stats()).workers.busy === 0;
      await until(async () => await runs() === "1" && await rests(), 10_000, "it waits");
      await mp.push(new InfoTask(inline(CRASHES.killed!), 60_000));
      const outcome = await waiting;
      assert(outcome.status === "ok", outcome.status);
      assertEquals([outcome.value, outcome.attempts, await runs()], [2, 2, "12"]);

      await Deno.writeTextFile(file, "");
      const killing = module(
        "if (this.attempt === 2) Deno.kill(Deno.pid, 'SIGKILL'); throw new Error('again');",
      );
      const often = { maxAttempts: 3, minTimeout: 10, on: ["failed" as const, "crashed" as const] };
      const last = await mp.push(new InfoTask(killing, 60_000), { retry: often });
      assertEquals([last.status, last.attempts, await runs()], ["failed", 3, "123"]);
    });
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("what is cancelled, asked and watched outlives the death of its cell", async () => {
  await withPool(cell(), async (mp) => {
    const gone: string[] = [];
    const watching = (async () => {
      for await (const event of mp.events()) if (event.type === "worker-gone") gone.push(event.reason);
    })();
    await mp.run(add());
    const held = await begin(mp, 2);
    const controller = new AbortController();
    const aborted = mp.push(sleep(60_000), { signal: controller.signal });
    const waiting = mp.push(sleep(10));
    await until(async () => (await mp.stats()).running === 2, 10_000, "two tasks run");
    await until(() => children().length === 1, 10_000, "the cell is the only child");
    Deno.kill(children()[0]!, "SIGKILL");
    controller.abort("mine");
    const stats = mp.stats();
    for (const outcome of await Promise.all(held)) assertCrashed(outcome);
    const { status, ...cancelled } = await aborted;
    assertEquals([status, "error" in cancelled && cancelled.error.cause], ["cancelled", "mine"]);
    assertEquals((await waiting).status, "ok");
    assertEquals((await stats).outcomes.crashed <= 2, true);
    assertEquals(await mp.renew(), undefined);
    await mp.terminate();
    await watching;
    assert(gone.filter((reason) => reason === "signal").length >= 2, `${gone}`);
  });
});

Deno.test("the workers of a spare cell are told of to their end, and are disposed of like others", async () => {
  const file = await Deno.makeTempFile();
  const source = `const tell = (what) => Deno.writeTextFileSync(${
    JSON.stringify(file)
  }, what, { append: true });
    export const initialize = () => tell("i");
    export const dispose = () => tell("d");`;
  try {
    const mp = new MultiProcess(cell({ size: 1, spares: 0, initializer: inline(source) }));
    const alive = new Set<number>();
    const watching = (async () => {
      for await (const event of mp.events()) {
        if (event.type === "worker-started") alive.add(event.workerId);
        else if (event.type === "worker-gone") alive.delete(event.workerId);
      }
    })();
    await mp.start();
    await mp.push(new InfoTask(inline(CRASHES.killed!), 60_000));
    assertEquals(await mp.run(add()), 42);
    // The one that works, and that of the spare.
    await until(() => alive.size === 2, 10_000, "two workers");
    await mp.stop();
    await watching;
    assertEquals([alive.size, await Deno.readTextFile(file)], [0, "iiidd"]);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a cell that cannot be started is told of", async () => {
  const mp = new MultiProcess(cell({ v8Flags: ["--no-such-flag-of-v8"], cwd: "/" }));
  const started = await mp.start().catch((error) => error);
  assert(started === mp || started instanceof Error);
  await mp.terminate();
  const broken = new MultiProcess(cell({ initializer: inline("throw new Error('as asked')") }));
  const error = await broken.start().then(() => undefined, (error) => error);
  assert(String(error).includes("as asked"), String(error));
  await broken.stop();
  const data = new Int32Array(new SharedArrayBuffer(4));
  const unsendable = new MultiProcess(cell({ initializer: { module: fixture("tasks.ts"), data } }));
  const refused = await unsendable.start().then(() => undefined, (error) => error);
  assert(refused instanceof Error, "shared memory cannot be sent to a cell");
  await unsendable.stop();
});

Deno.test("what cannot be sent to a cell costs its own task only, also while the cell starts", async () => {
  const mp = new MultiProcess(cell());
  const started = mp.start();
  try {
    const { status, ...refused } = await mp.push(
      new InfoTask(fixture("tasks.ts#add"), 60_000, { deep: [new Int32Array(new SharedArrayBuffer(8))] }, 1),
    );
    assertEquals([status, "error" in refused && refused.error.name], ["failed", "DataCloneError"]);
    assertEquals(await mp.run(add()), 42);
    await started;
  } finally {
    await mp.terminate();
  }
});

/** Runs a program with a pool in cells whose temporary files are in the folder. */
async function programIn(folder: string, more: string): Promise<{ stdout: string; stderr: string }> {
  const program = `import { InfoTask, MultiProcess } from ${JSON.stringify(MOD)};
    const mp = new MultiProcess({ size: 1, isolation: "cell" });
    const started = mp.start();
    ${more}`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", CONFIG, inline(program)],
    env: { TMPDIR: folder },
  }).output();
  return { stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test({
  name: "a program that ends while its cell starts leaves no process and no file behind",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    const processes = (folder: string) =>
      [...Deno.readDirSync("/proc")].filter(({ name }) => {
        if (!/^[0-9]+$/.test(name)) return false;
        try {
          return Deno.readTextFileSync(`/proc/${name}/environ`).includes(folder);
        } catch {
          return false;
        }
      }).length;
    try {
      const ways = ["Deno.exit()", 'Deno.kill(Deno.pid, "SIGKILL")'];
      for (let ms = 10; ms < 130; ms += 20) {
        const own = `${folder}/${ms}`;
        await Deno.mkdir(own);
        // From when there is a process on: before that nobody could tidy up.
        await programIn(
          own,
          `const processes = ${processes};
          while (processes(${JSON.stringify(own)}) < 2) await new Promise((next) => setTimeout(next, 1));
          setTimeout(() => ${ways[Math.trunc(ms / 20) % 2]}, ${ms});`,
        );
      }
      await until(() => processes(folder) === 0, 10_000, "the end of all processes");
      for (const { name } of Deno.readDirSync(folder)) {
        assertEquals([...Deno.readDirSync(`${folder}/${name}`)], [], name);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("where a cell can have no files it is told why, and nothing is left", async () => {
  const folder = await Deno.makeTempDir();
  const tell = `console.log(await started.catch((error) => String(error))); await mp.stop();`;
  try {
    const missing = await programIn(`${folder}/missing`, tell);
    assert(missing.stdout.startsWith("NotFound: "), missing.stdout);
    assertEquals(missing.stderr, "");
    // No socket can have a name that long.
    const long = `${folder}/${"long".repeat(30)}`;
    await Deno.mkdir(long);
    const unnamed = await programIn(long, tell);
    assert(unnamed.stdout.startsWith("TypeError: "), unnamed.stdout);
    assertEquals([unnamed.stderr, [...Deno.readDirSync(long)]], ["", []]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test('isolation: "cell" says what it needs', async () => {
  const program = inline(
    `import { MultiProcess } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url).href)};
    try {
      new MultiProcess({ size: 1, isolation: "cell" });
    } catch ({ name, message }) {
      console.log(name, message);
    }`,
  );
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--config", config, "--allow-read", program],
  }).output();
  const said = new TextDecoder().decode(stdout);
  assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
  assert(said.startsWith("TypeError") && said.includes("--allow-run"), said);
  assertThrows(() => new MultiProcess({ isolation: "cells" as "cell" }), RangeError, "isolation");
});

Deno.test("the permissions of a cell bind its tasks, and are no more than those of a process", async (test) => {
  const source =
    `export const runnable = (folder) => ["read", "write", "net", "env", "run", "ffi", "sys"].map((name) =>
    Deno.permissions.querySync({ name }).state).concat(["read", "write"].map((name) =>
    Deno.permissions.querySync({ name, path: folder + "/file" }).state))`;
  const folder = await Deno.makeTempDir();
  const parent = folder.slice(0, folder.lastIndexOf("/"));
  try {
    for (
      const permissions of ["none", { read: [parent], write: [folder] }, { read: true, net: true }] as const
    ) {
      await test.step(JSON.stringify(permissions), async () => {
        const seen: unknown[] = [];
        for (const isolation of ["process", "cell"] as const) {
          await withPool({ size: 1, spares: 0, isolation, permissions: permissions as never }, async (mp) => {
            seen.push(await mp.run(new InfoTask(inline(source), 60_000, folder)));
          });
        }
        assertEquals(seen[1], seen[0]);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a memory limit holds for the heap of each thread in a cell, and for the buffers of all", async () => {
  await withPool(cell({ memoryLimit: 64, spares: 0 }), async (mp) => {
    const heap =
      `export const runnable = () => { const all = []; for (;;) all.push(new Array(1e4).fill(0)); };`;
    const buffers = `export const runnable = async () => { const all = [];
      for (;;) { all.push(new Uint8Array(1 << 22).fill(1)); await new Promise((r) => setTimeout(r)); } };`;
    for (const source of [heap, buffers]) {
      const outcome = await mp.push(new InfoTask(inline(source), 60_000));
      assert(outcome.status === "crashed", outcome.status);
      assert(outcome.error instanceof WorkerCrashError);
      assertEquals(outcome.error.reason, "memory", outcome.error.message);
      assertEquals(await mp.run(add()), 42);
    }
  });
});

Deno.test({
  name: "cells that come and go leave no process, descriptor, thread or file behind",
  ignore: Deno.build.os !== "linux",
  async fn() {
    // Of its own: other programs have cells, too.
    const folder = await Deno.makeTempDir();
    const others = Deno.env.get("TMPDIR");
    Deno.env.set("TMPDIR", folder);
    const once = async () => {
      await withPool(cell({ killGrace: 50 }), async (mp) => {
        await mp.push(new InfoTask(inline(CRASHES.killed!), 60_000));
        await mp.push(new InfoTask(fixture("stubborn.ts#child"), LIMIT));
        await mp.run(add());
        await mp.stop();
      });
    };
    try {
      await once();
      const before = usage();
      for (let i = 0; i < 4; i++) await once();
      await until(
        () => {
          const now = usage();
          return now.children <= before.children && now.descriptors <= before.descriptors + 2 &&
            now.threads <= before.threads + 2;
        },
        10_000,
        `${JSON.stringify(before)} as before: ${JSON.stringify(usage())}`,
      );
      assertEquals([...Deno.readDirSync(folder)], []);
    } finally {
      if (others === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", others);
      await Deno.remove(folder, { recursive: true });
    }
  },
});
