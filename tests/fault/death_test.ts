/** Every way for a worker to die × every phase × thread and process: the right outcome at once, no other task touched. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { InfoTask, MultiProcess, type Outcome, PoolStateError, WorkerCrashError } from "../../mod.ts";
import type { Kind, Phase } from "../fixtures/death.ts";
import { fixture, inline, sample, until, withPool } from "../helpers.ts";

const KINDS: Kind[] = ["Deno.exit", "process.exit", "close", "throw", "reject", "reportError", "killed"];
const PHASES: (Phase | "loading")[] = [
  "loading",
  "before await",
  "after await",
  "after return",
  "between tasks",
];

const add = () => new InfoTask(fixture("tasks.ts#add"), 10_000, 20, 22);

function death(kind: Kind, phase: Phase | "loading"): InfoTask {
  return phase === "loading"
    ? new InfoTask(fixture(`death.ts?kind=${kind}`), 60_000, kind, phase)
    : new InfoTask(fixture("death.ts"), 60_000, kind, phase);
}

function assertReason(outcome: Outcome, kind: Kind): void {
  assert(outcome.status === "crashed", `${kind} was ${outcome.status}`);
  assertInstanceOf(outcome.error, WorkerCrashError);
  switch (kind) {
    case "Deno.exit":
    case "process.exit":
      assertEquals([outcome.error.reason, outcome.error.exitCode], ["exit", 3]);
      break;
    case "close":
      assertEquals(outcome.error.reason, "exit");
      break;
    case "killed":
      assertEquals(outcome.error.reason, "signal");
      break;
    default:
      assertEquals(outcome.error.reason, "error");
      assertInstanceOf(outcome.error.cause, RangeError);
  }
}

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test(`a worker that dies (${isolation}) takes only its own task along, at once`, async (test) => {
    const mp = new MultiProcess({ size: 2, spares: 1, isolation, maxRestarts: 20 });
    try {
      await mp.start();
      // A signal is for a whole process: there is no such death of a thread, and of a cell it is that of all in it.
      const kinds = isolation === "process" ? KINDS : KINDS.filter((kind) => kind !== "killed");
      for (
        const [kind, phase] of sample(kinds.flatMap((kind) => PHASES.map((phase) => [kind, phase] as const)))
      ) {
        await test.step(`${kind}, ${phase}`, async () => {
          const { spawned } = await mp.stats();
          const neighbour = mp.push(new InfoTask(fixture("tasks.ts#sleep"), 10_000, 100, "untouched"));
          const since = performance.now();
          const dying = mp.push(death(kind, phase));
          const queued = Array.from({ length: 5 }, () => mp.push(add()));
          const outcome = await dying;
          assert(performance.now() - since < 5_000, "at once");
          if (phase === "after return" || phase === "between tasks") assertEquals(outcome.status, "ok");
          else assertReason(outcome, kind);
          const beside = await neighbour;
          assert(
            beside.status === "ok" || phase === "between tasks" || phase === "after return",
            beside.status,
          );
          for (const each of await Promise.all(queued)) {
            // What an earlier task leaves behind may end the worker under a later one.
            const ended = each.status === "crashed" &&
              (phase === "after return" || phase === "between tasks");
            assert(each.status === "ok" || ended, each.status);
          }
          // It may die after its task has its outcome: under a task of the next step, if nobody waited for it.
          await until(async () => (await mp.stats()).spawned > spawned, 20_000, "the worker has died");
          await until(async () => (await mp.stats()).workers.idle === 3, 20_000, "the worker is replaced");
          assertEquals(await mp.run(add()), 42);
        });
      }
    } finally {
      await mp.terminate();
    }
  });
}

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`a worker that is ending and does not end (${isolation}) is stopped, and its task has crashed`, async () => {
    const mp = new MultiProcess({ size: 1, isolation, memoryLimit: 256 });
    try {
      await mp.start();
      // What Deno tells a thread whose task calls `Deno.exit`; here nothing interrupts the code that follows.
      const module = inline(
        "export function runnable() { Deno.exitCode = 3; dispatchEvent(new Event('unload')); for (;;); }",
      );
      const since = performance.now();
      const outcome = await mp.push(new InfoTask(module, 60_000));
      assert(performance.now() - since < 10_000, "long before its limit");
      assertReason(outcome, "Deno.exit");
      await until(async () => (await mp.stats()).workers.idle === 2, 10_000, "the worker is replaced");
      assertEquals((await mp.stats()).workers.stopping, 0);
      assertEquals(await mp.run(add()), 42);
    } finally {
      await mp.terminate();
    }
  });
}

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`a module that exits while it is loaded and goes on all the same (${isolation}) has crashed, alone`, async () => {
    await withPool({ size: 2, isolation, maxRestarts: 100 }, async (mp) => {
      const exits = ["Deno.exit(3);", "self.close();", "await 1; Deno.exit(3);", "globalThis.close();"];
      for (let round = 0; round < 3; round++) {
        for (const exit of exits) {
          const module = inline(`${exit} export function runnable() { return "ran"; } // ${round}`);
          const dying = mp.push(new InfoTask(module, 10_000));
          const others = Array.from({ length: 4 }, () => mp.push(add()));
          assertReason(await dying, exit.includes("close") ? "close" : "Deno.exit");
          for (const { status } of await Promise.all(others)) assertEquals(status, "ok", exit);
        }
      }
    });
  });
}

for (const end of ["Deno.exit(1)", "for (;;);"]) {
  Deno.test(`what a task has started goes along with its process: ${end}`, async () => {
    const mp = new MultiProcess({ size: 1, isolation: "process" });
    try {
      await mp.start();
      const pid = Promise.withResolvers<number>();
      const module = inline(`export async function runnable() {
        this.progress(new Deno.Command("sleep", { args: ["60"] }).spawn().pid);
        await new Promise((resolve) => setTimeout(resolve, 20));
        ${end}
      }`);
      const outcome = mp.push(new InfoTask(module, 2_000), { onProgress: (it) => pid.resolve(it as number) });
      assert(["crashed", "timed-out"].includes((await outcome).status));
      const started = await pid.promise;
      await until(() => !alive(started), 20_000, "the end of what it has started");
    } finally {
      await mp.terminate();
    }
  });
}

function alive(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

Deno.test("a module that ends every worker cannot storm, and healthy modules go on", async () => {
  const mp = new MultiProcess({ size: 2 });
  try {
    await mp.start();
    const since = performance.now();
    const deadly = inline("export const runnable = () => Deno.exit(9)");
    const outcomes = Array.from({ length: 300 }, () => mp.push(new InfoTask(deadly, 5_000)));
    const healthy = Array.from({ length: 20 }, () => mp.push(add()));
    for (const outcome of await Promise.all(outcomes)) {
      assert(outcome.status === "crashed");
      assertInstanceOf(outcome.error, WorkerCrashError);
    }
    for (const outcome of await Promise.all(healthy)) assertEquals(outcome.status, "ok");
    const seconds = (performance.now() - since) / 1_000;
    const { spawned } = await mp.stats();
    assert(spawned <= 3 + 5 + 3 * Math.ceil(seconds), `${spawned} workers in ${seconds} s`);
  } finally {
    await mp.terminate();
  }
});

Deno.test("a dispatcher that dies is replaced, and everything pending is settled as crashed", async () => {
  const RealWorker = globalThis.Worker;
  const started: Worker[] = [];
  globalThis.Worker = class extends RealWorker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      started.push(this);
    }
  };
  const errors = console.error;
  try {
    const mp = new MultiProcess({ size: 1 });
    await mp.start();
    const outcomes = [1, 2, 3].map(() => mp.push(new InfoTask(fixture("tasks.ts#spin"), 60_000)));
    await until(async () => (await mp.stats()).running === 1, 20_000, "a task runs");
    // A message that the dispatcher refuses: it throws, and nothing catches it.
    started[0]!.postMessage({ type: "hello", version: -1 });
    for (const outcome of await Promise.all(outcomes)) {
      assert(outcome.status === "crashed");
      assertInstanceOf(outcome.error, WorkerCrashError);
      assertEquals(outcome.error.reason, "dispatcher");
    }
    assertEquals(await mp.run(add()), 42);
    const summary = await mp.stop();
    assertEquals([summary.pushed, summary.ok, summary.crashed], [4, 1, 3]);
  } finally {
    globalThis.Worker = RealWorker;
    console.error = errors;
  }
});

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test(`a pool whose dispatcher is replaced outlives an initializer that fails then (${isolation})`, async () => {
    const RealWorker = globalThis.Worker;
    const started: Worker[] = [];
    globalThis.Worker = class extends RealWorker {
      constructor(...args: ConstructorParameters<typeof Worker>) {
        super(...args);
        started.push(this);
      }
    };
    const folder = await Deno.makeTempDir();
    const initializer = inline(`export function initialize() {
      try {
        Deno.statSync(${JSON.stringify(`${folder}/down`)});
      } catch {
        return;
      }
      Deno.writeTextFileSync(${JSON.stringify(`${folder}/failed`)}, "x", { append: true });
      throw new Error("as asked");
    }`);
    const failed = () => Deno.readTextFile(`${folder}/failed`).catch(() => "");
    try {
      await withPool({ size: 1, spares: 0, isolation, initializer }, async (mp) => {
        assertEquals(await mp.run(add()), 42);
        await Deno.writeTextFile(`${folder}/down`, "");
        // A message that it cannot make anything of: it throws, and nothing catches it.
        started[0]!.postMessage({ type: "push", task: undefined });
        await until(async () => (await failed()).length >= 2, 20_000, "two failed starts");
        await Deno.remove(`${folder}/down`);
        await until(async () => (await mp.push(add())).status === "ok", 20_000, "tasks run again");
      });
    } finally {
      globalThis.Worker = RealWorker;
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("a dispatcher that cannot be started, or not again, ends the pool, and every push has an answer", async () => {
  const RealWorker = globalThis.Worker;
  const started: Worker[] = [];
  let refuse = true;
  globalThis.Worker = class extends RealWorker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      if (refuse) throw new Error("no more threads");
      super(...args);
      started.push(this);
    }
  };
  try {
    const never = new MultiProcess({ size: 1 });
    await assertRejects(() => never.start(), Error, "no more threads");
    assertThrows(() => never.push(add()), PoolStateError, "could not be started: no more threads");
    await never.stop();

    refuse = false;
    const mp = new MultiProcess({ size: 1 });
    await mp.start();
    refuse = true;
    let inner: unknown;
    const outcome = mp.push(new InfoTask(fixture("tasks.ts#spin"), 60_000), {
      errorCallback() {
        try {
          mp.push(add());
        } catch (error) {
          inner = error;
        }
      },
    });
    const room = mp.room();
    await until(async () => (await mp.stats()).running === 1, 20_000, "the task runs");
    started[0]!.postMessage({ type: "hello", version: -1 });
    assertEquals((await outcome).status, "crashed");
    assertInstanceOf(inner, PoolStateError);
    await room;
    const { pushed, crashed } = await mp.stop();
    assertEquals([pushed, crashed], [1, 1]);
  } finally {
    globalThis.Worker = RealWorker;
  }
});

Deno.test("a task that kills its own process at once has crashed, and runs no second time", async () => {
  const source =
    `export const runnable = (file) => { Deno.writeTextFileSync(file, "ran ", { append: true }); Deno.kill(Deno.pid, "SIGKILL"); };`;
  const file = await Deno.makeTempFile();
  const mp = new MultiProcess({ size: 1, isolation: "process", maxRestarts: 100 });
  try {
    await mp.start();
    for (let round = 1; round <= 5; round++) {
      const { status, attempts } = await mp.push(new InfoTask(inline(source), 5_000, file));
      assertEquals([status, attempts], ["crashed", 1]);
      assertEquals(await Deno.readTextFile(file), "ran ".repeat(round));
    }
  } finally {
    await mp.terminate();
    await Deno.remove(file);
  }
});

const shared = `Object.assign(new RangeError("real"), { code: "E", shared: new SharedArrayBuffer(4) })`;

Deno.test("what cannot be sent to another process takes nothing else along", async (test) => {
  await withPool({ size: 1, isolation: "process", maxRestarts: 20 }, async (mp) => {
    const push = (source: string) => mp.push(new InfoTask(inline(source), 10_000));
    await test.step("a property of an error", async () => {
      const inner = `new AggregateError([${shared}], "all", { cause: ${shared} })`;
      for (const thrown of [shared, inner]) {
        const outcome = await push(`export default () => { throw ${thrown}; }`);
        assert(outcome.status === "failed");
        const { error } = outcome;
        const each = error instanceof AggregateError ? [error.errors[0], error.cause] : [error];
        for (const error of each) {
          assertEquals([error.constructor, error.message, error.code], [RangeError, "real", "E"]);
          assert(!("shared" in error));
        }
      }
    });
    await test.step("a view of shared memory, thrown or a property of what is", async () => {
      const view = "new Int32Array(new SharedArrayBuffer(8))";
      const outcome = await push(
        `export default () => { throw Object.assign(new Error("mine"), { view: ${view} }); }`,
      );
      assert(outcome.status === "failed");
      assertEquals([outcome.error.message, "view" in outcome.error], ["mine", false]);
      const bare = await push(`export default () => { throw ${view}; }`);
      assert(bare.status === "failed");
      assertEquals(bare.error.message, "The task threw an object, which is not an error");
    });
    await test.step("a property of an error while loading", async () => {
      const outcome = await push(`throw ${shared}`);
      assert(outcome.status === "failed");
      assertInstanceOf(outcome.error.cause, RangeError);
    });
    await test.step("a property of an error that nobody catches", async () => {
      const outcome = await push(
        `export default () => { Promise.reject(${shared}); return new Promise(() => {}); }`,
      );
      assertReason(outcome, "reject");
    });
    for (
      const [name, source] of [
        ["a value yielded, then more", "for (;;) yield new SharedArrayBuffer(4)"],
        ["a value yielded as the last", "yield new SharedArrayBuffer(4)"],
        ["progress", "this.progress(new SharedArrayBuffer(4))"],
      ]
    ) {
      await test.step(name!, async () => {
        const outcome = await push(`export function* runnable() { ${source}; return "end"; }`);
        assertEquals(outcome.status, "failed");
        assert(outcome.status === "failed");
        assertEquals(outcome.error.name, "DataCloneError", outcome.error.message);
        assertEquals(await mp.run(add()), 42);
      });
    }
  });
});

Deno.test("a task that has returned is ok, although its process ends while a large result travels", async () => {
  await withPool({ size: 1, isolation: "process", maxRestarts: 20 }, async (mp) => {
    const source =
      `export default () => { setTimeout(() => Deno.exit(0)); return new ArrayBuffer(250 << 20); }`;
    for (let round = 0; round < 2; round++) {
      const outcome = await mp.push(new InfoTask(inline(source), 30_000));
      assert(outcome.status === "ok", outcome.status === "ok" ? "" : outcome.error.message);
      assertEquals((outcome.value as ArrayBuffer).byteLength, 250 << 20);
    }
    assertEquals(await mp.run(add()), 42);
  });
});

Deno.test("a process that is sent a lot is given the time to read it", async () => {
  await withPool({ size: 3, spares: 0, isolation: "process" }, async (mp) => {
    const numbers = Array.from({ length: 3_000_000 }, (_, i) => i + 0.5);
    const length = inline("export default (numbers) => numbers.length;");
    const outcomes = [1, 2, 3].map(() => mp.push(new InfoTask(length, 60_000, numbers)));
    for (const outcome of await Promise.all(outcomes)) {
      assert(outcome.status === "ok", outcome.status === "ok" ? "" : outcome.error.message);
      assertEquals(outcome.value, 3_000_000);
    }
    const { killed, spawned } = await mp.stats();
    assertEquals([killed, spawned], [0, 3]);
  });
});

Deno.test("a task that is over in time is let be also while another one's argument keeps the nursery busy", async () => {
  await withPool({ size: 2, spares: 0, isolation: "process" }, async (mp) => {
    const numbers = Array.from({ length: 5_000_000 }, (_, i) => i + 0.5);
    const length = inline("export default (numbers) => numbers.length;");
    const nap = (ms: number) => new InfoTask(fixture("tasks.ts#sleep"), ms + 400, ms, "rested");
    await Promise.all([mp.run(new InfoTask(length, 60_000, [])), mp.run(nap(10))]);
    const napping = mp.push(nap(800));
    await until(async () => (await mp.stats()).running === 1, 20_000, "it runs");
    const large = mp.push(new InfoTask(length, 60_000, numbers));
    assertEquals((await napping).status, "ok");
    assertEquals((await large).status, "ok");
  });
});

Deno.test("a process killed by SIGABRT has run out of memory only where it has a limit", async () => {
  const abort = inline(`export default () => { Deno.kill(Deno.pid, "SIGABRT"); for (;;); }`);
  await withPool({ size: 1, spares: 0, isolation: "process" }, async (mp) => {
    const outcome = await mp.push(new InfoTask(abort, 10_000));
    assert(outcome.status === "crashed");
    assertInstanceOf(outcome.error, WorkerCrashError);
    assertEquals(outcome.error.reason, "signal");
    assert(outcome.error.message.includes("SIGABRT (it may have run out of memory)"), outcome.error.message);
  });
});
