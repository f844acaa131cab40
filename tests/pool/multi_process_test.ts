import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  InfoTask,
  MultiProcess,
  type Outcome,
  PoolStateError,
  QueueFullError,
  type Summary,
  TaskCancelledError,
  TaskLoadError,
  TaskTimeoutError,
  WorkerCrashError,
} from "../../mod.ts";
import * as model from "../fixtures/model.ts";
import * as recorder from "../fixtures/recorder.ts";
import { viewsOf } from "../fixtures/tasks.ts";
import { fixture, inline, newThreads, threads, until, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);

/** An outcome without what differs from run to run. */
function facts(outcome: Outcome): Record<string, unknown> {
  const { waitedMs: _, ranMs: __, workerId: ___, ...rest } = outcome;
  return rest;
}

Deno.test("MultiProcess.push() gives the outcome of a task that returns", async () => {
  await withPool(2, async (mp) => {
    const pushed = task("add", 1_000, 20, 22);
    const outcome = await mp.push(pushed);
    assertEquals(facts(outcome), { status: "ok", value: 42, task: pushed, taskId: 1, attempts: 1 });
    assertStrictEquals(outcome.task, pushed);
    assert(outcome.waitedMs >= 0 && outcome.ranMs >= 0 && outcome.workerId! >= 1);
  });
});

Deno.test("MultiProcess.push() gives the values of a thousand tasks, each its own", async () => {
  await withPool(2, async (mp) => {
    const outcomes = await Promise.all(
      Array.from(
        { length: 1_000 },
        (_, i) => mp.push(task(i % 3 ? "echo" : "sleep", 5_000, i % 3 ? i : 0, i)),
      ),
    );
    assertEquals(outcomes.map((outcome) => outcome.status === "ok" && outcome.value), [...outcomes.keys()]);
    assertEquals(outcomes.map(({ taskId }) => taskId), [...outcomes.keys()].map((i) => i + 1));
  });
});

Deno.test("MultiProcess.push() carries what can be cloned, both ways", async () => {
  await withPool(1, async (mp) => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const values: unknown[] = [
      new Map([["a", new Set([1n])]]),
      new Date(0),
      /x/gi,
      new Uint8Array([1, 2, 3]),
      new Float64Array([0.5]).buffer,
      2n ** 70n,
      "x".repeat(100_000),
      Array.from({ length: 10_000 }, (_, i) => ({ i })),
      cycle,
      [1, , 3],
    ];
    for (const value of values) {
      const outcome = await mp.push(task("echo", 5_000, value));
      assertEquals(outcome.status === "ok" && outcome.value, value);
    }
  });
});

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`MultiProcess.push() carries views of buffers with what is theirs only (${isolation})`, async () => {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      const facts = (value: unknown) =>
        (value as (Uint8Array | DataView)[]).map((view) => [
          [...new Uint8Array(view.buffer, view.byteOffset, view.byteLength)],
          view.byteOffset,
          // That of a small `Buffer` is a pool.
          view.byteLength === 4 && view.byteOffset === 0 ? undefined : [...new Uint8Array(view.buffer)],
        ]);
      const bytes = [1, 2, 3, 4, 5, 6, 7, 8];
      const expected = [[[3, 4, 5], 2, bytes], [[2, 3, 4, 5], 1, bytes]];
      const given = await mp.run(task("viewsOf", 5_000)) as unknown[];
      assertEquals(facts(given.slice(0, 2)), expected);
      assertEquals(new TextDecoder().decode(given[2] as Uint8Array), "text");
      assertEquals((given[3] as Float64Array).buffer.byteLength, 8);
      const echoed = await mp.run(task("echo", 5_000, viewsOf().slice(0, 2)));
      assertEquals(facts(echoed), expected);
    });
  });
}

Deno.test("MultiProcess.push() carries large typed arrays both ways without looking at each number", async () => {
  await withPool({ size: 1, isolation: "thread" }, async (mp) => {
    await mp.run(task("echo", 5_000, 1));
    const since = performance.now();
    const bytes = await mp.run(task("echo", 60_000, new Uint8Array(2 ** 25)));
    assertEquals((bytes as Uint8Array).length, 2 ** 25);
    // A fiftieth of this; with a look at each number, a worker is given up before.
    assert(performance.now() - since < 5_000);
  });
});

Deno.test("MultiProcess.push() takes arguments whose getters push, flush or both", async () => {
  await withPool(1, async (mp) => {
    const touches: [string, () => unknown][] = [
      ["stats", () => mp.stats()],
      ["push", () => mp.push(task("echo", 1_000, "inner"))],
      ["push of a clone", () => mp.push(task("echo", 1_000, new Map([["inner", 1]])))],
      ["push of what is refused", () => mp.push(task("echo", 1_000, () => {}))],
      ["push of a getter that pushes", () =>
        mp.push(task("echo", 1_000, {
          get y() {
            return void mp.push(task("echo", 1_000, "innermost"));
          },
        }))],
      ["many pushes", () => Array.from({ length: 600 }, (_, i) => mp.push(task("echo", 1_000, i)))],
    ];
    for (const [name, touch] of touches) {
      let inner: unknown;
      const argument = {
        a: { b: "before" },
        get x() {
          inner ??= touch();
          return "outer";
        },
        z: ["behind"],
      };
      const outcomes = [
        mp.push(task("echo", 1_000, `${name}: first`)),
        mp.push(task("echo", 1_000, argument)),
        mp.push(task("echo", 1_000, `${name}: next`)),
      ];
      const values = (await Promise.all(outcomes)).map((outcome) => outcome.status === "ok" && outcome.value);
      const outer = { a: { b: "before" }, x: "outer", z: ["behind"] };
      assertEquals(values, [`${name}: first`, outer, `${name}: next`]);
      await (Array.isArray(inner) ? Promise.all(inner) : inner);
    }
    const { pushed, ok, failed } = await mp.stop();
    assertEquals([ok, failed], [pushed - 1, 1]);
  });
});

Deno.test("MultiProcess.push() takes the arguments as they are at the push", async () => {
  await withPool(1, async (mp) => {
    const plain = { n: 1 };
    const map = new Map([["n", 1]]);
    const outcomes = [mp.push(task("echo", 1_000, plain)), mp.push(task("echo", 1_000, map))];
    plain.n = 2;
    map.set("n", 2);
    const [first, second] = await Promise.all(outcomes);
    assertEquals(first!.status === "ok" && first!.value, { n: 1 });
    assertEquals(second!.status === "ok" && second!.value, new Map([["n", 1]]));
  });
});

Deno.test("MultiProcess.push() moves the buffers in transfer, and the task those it returns", async () => {
  await withPool(1, async (mp) => {
    const bytes = new Uint8Array([1, 2, 3]);
    const outcome = await mp.push(task("echo", 1_000, bytes), { transfer: [bytes.buffer] });
    assertEquals(bytes.length, 0);
    assertEquals(outcome.status === "ok" && outcome.value, new Uint8Array([1, 2, 3]));
    assertEquals(await mp.run(task("give", 1_000, "moved")), new Uint8Array([1, 2, 3]));
  });
});

Deno.test("MultiProcess.push() leaves the buffers of a failed push usable", async () => {
  await withPool(1, async (mp) => {
    const buffer = new ArrayBuffer(8);
    const outcome = await mp.push(task("echo", 1_000, { buffer, f() {} }), { transfer: [buffer] });
    assertEquals(outcome.status, "failed");
    assertEquals(buffer.byteLength, 8);
  });
});

Deno.test("MultiProcess.run() gives the value, or throws the error of the outcome", async () => {
  await withPool(1, async (mp) => {
    assertEquals(await mp.run(task("add", 1_000, 1, 2)), 3);
    await assertRejects(() => mp.run(task("fail", 1_000, "as asked")), TypeError, "as asked");
    const error = await assertRejects(() => mp.run(task("spin", 30)), TaskTimeoutError);
    assertEquals(error.timeout, 30);
    assertInstanceOf(error.cause, DOMException);
    assertEquals(error.cause.name, "TimeoutError");
  });
});

Deno.test("MultiProcess.push() runs methods of an object and of a Model with their context", async () => {
  await withPool(1, async (mp) => {
    assertEquals(await mp.run(task("object", 1_000, 4)), { n: 8, taskId: 1 });
    assertEquals(await mp.run(task("context", 1_000)), { taskId: 2, attempt: 1, aborted: false });
    const value = await mp.run(new InfoTask<typeof model.Demo>(fixture("model.ts#Demo"), 1_000, 5));
    assertEquals(value, { n: 10, runs: 1, taskId: 3 });
    assertEquals(await mp.run(new InfoTask(fixture("model.ts"), 1_000, 6)), { n: 12, runs: 1, taskId: 4 });
  });
});

Deno.test("MultiProcess.push() fires the callbacks of a class on a new instance", async () => {
  await withPool(1, async (mp) => {
    model.calls.length = 0;
    await mp.push(new InfoTask(fixture("model.ts#Demo"), 1_000, 7));
    await mp.push(new InfoTask(fixture("model.ts#Demo"), 1_000, -1));
    assertEquals(model.calls, [["callback", { n: 14, runs: 1, taskId: 1 }], ["errorCallback", "negative"]]);
  });
});

Deno.test("MultiProcess.push() fires the module's callback once, with value or error, before the promise", async () => {
  await withPool(2, async (mp) => {
    recorder.calls.length = 0;
    const ok = await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, "value"));
    assertEquals(recorder.calls.map(({ kind, argument }) => [kind, argument]), [["callback", "value"]]);
    assertStrictEquals(recorder.calls[0]!.outcome, ok);
    const failed = await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, "throw"));
    assertEquals(recorder.calls.length, 2);
    const [, call] = recorder.calls;
    assertEquals(call!.kind, "errorCallback");
    assertStrictEquals(call!.argument, failed.status !== "ok" && failed.error);
    assertStrictEquals((call!.argument as { task?: unknown }).task, failed.task);
  });
});

Deno.test("MultiProcess.push() fires the module's errorCallback also for a task that never got to a worker", async () => {
  await withPool(1, async (mp) => {
    recorder.calls.length = 0;
    const outcome = await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, () => {}));
    assertEquals([outcome.status, outcome.attempts, outcome.workerId], ["failed", 0, undefined]);
    assertEquals(recorder.calls.map(({ kind }) => kind), ["errorCallback"]);
  });
});

Deno.test("MultiProcess.push() lets a closure replace only its counterpart", async () => {
  await withPool(1, async (mp) => {
    recorder.calls.length = 0;
    const seen: unknown[] = [];
    const callback = (value: unknown) => seen.push(value);
    await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, 1), { callback });
    await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, "throw"), { callback });
    assertEquals(seen, [1]);
    assertEquals(recorder.calls.map(({ kind }) => kind), ["errorCallback"]);
  });
});

Deno.test("MultiProcess.push() does not import a module in the entry that has no callback", async () => {
  await withPool(1, async (mp) => {
    const source = 'if (!globalThis.Deno || typeof document === "undefined") globalThis.imported = true;' +
      "export const runnable = () => globalThis.imported";
    assertEquals(await mp.run(new InfoTask(inline(source), 1_000)), true);
    assertEquals("imported" in globalThis, false);
  });
});

Deno.test("MultiProcess survives callbacks that throw, reject or push", async () => {
  const errors: [string, number][] = [];
  const mp = new MultiProcess({
    size: 1,
    onCallbackError: (error, { taskId }) => errors.push([(error as Error).message, taskId]),
  });
  mp.start();
  const pushed: Promise<Outcome>[] = [];
  mp.push(task("echo", 1_000, 1), {
    callback() {
      throw new Error("thrown");
    },
  });
  mp.push(task("fail", 1_000, "x"), { errorCallback: () => Promise.reject(new Error("rejected")) });
  await mp.push(task("echo", 1_000, 1), {
    callback: () => pushed.push(mp.push(task("echo", 1_000, "next stage"))),
  });
  const [next] = await Promise.all(pushed);
  assertEquals(next!.status === "ok" && next!.value, "next stage");
  const summary = await mp.stop();
  assertEquals(errors.sort(), [["rejected", 2], ["thrown", 1]]);
  assertEquals(summary.callbackErrors, 2);
});

Deno.test("MultiProcess settles a task at its limit, whatever it does, and goes on", async () => {
  await withPool({ size: 1, spares: 1 }, async (mp) => {
    for (const name of ["spin", "never"]) {
      const since = performance.now();
      const outcome = await mp.push(task(name, 100));
      const ms = performance.now() - since;
      assertEquals(outcome.status, "timed-out");
      assert(ms >= 99 && ms < 350, `${name} took ${ms} ms`);
      assertEquals(await mp.run(task("add", 5_000, 1, 1)), 2);
    }
  });
});

Deno.test({
  name: "MultiProcess stops the thread of a spinning task within a second while the pool answers",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await withPool({ size: 1, spares: 0 }, async (mp) => {
      await mp.run(task("echo", 1_000, 1));
      const before = threads();
      const outcome = await mp.push(task("spin", 100));
      assertEquals(outcome.status, "timed-out");
      // The thread that burnt the most since is the one that spins.
      const spinning = [...threads()].map(([id, { ticks }]) =>
        [id, ticks - (before.get(id)?.ticks ?? 0)] as const
      )
        .sort((a, b) => b[1] - a[1])[0]![0];
      await until(() => !threads().has(spinning), 1_000, "the thread ends");
      assertEquals(await mp.run(task("add", 5_000, 1, 1)), 2);
    });
  },
});

Deno.test("MultiProcess does not count queueing and loading in a task's limit", async () => {
  await withPool(1, async (mp) => {
    const slow = inline(
      "await new Promise((r) => setTimeout(r, 300)); export const runnable = () => 'loaded'",
    );
    const first = mp.push(task("sleep", 2_000, 300));
    const second = await mp.push(new InfoTask(slow, 50));
    assertEquals(second.status === "ok" && second.value, "loaded");
    assertEquals((await first).status, "ok");
  });
});

Deno.test("MultiProcess gives a value that arrives after the limit as a timeout", async () => {
  await withPool({ size: 1, spares: 1 }, async (mp) => {
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, () => mp.push(task("spin", 5, 4 + 2 * Math.random()))),
    );
    for (const { status, ranMs } of outcomes) {
      assert(status === "ok" ? ranMs <= 5 : status === "timed-out", `${status} after ${ranMs} ms`);
    }
  });
});

Deno.test("MultiProcess runs and times out tasks while the entry is blocked", async () => {
  await withPool(2, async (mp) => {
    await mp.run(task("echo", 1_000, 1));
    const at = inline("export const runnable = () => Date.now()");
    const hung = [mp.push(task("spin", 200)), mp.push(task("never", 200))];
    const rest = Array.from({ length: 10 }, () => mp.push(new InfoTask(at, 1_000)));
    await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
    const since = Date.now();
    while (Date.now() < since + 2_000);
    const until = Date.now();
    assertEquals((await Promise.all(hung)).map(({ status }) => status), ["timed-out", "timed-out"]);
    for (const outcome of await Promise.all(rest)) {
      assert(outcome.status === "ok" && (outcome.value as number) < until - 500, "it ran after the block");
    }
  });
});

Deno.test("MultiProcess settles as crashed, at once, the task whose worker exits", async () => {
  await withPool(1, async (mp) => {
    const since = performance.now();
    const outcome = await mp.push(task("exit", 60_000, 3));
    assert(performance.now() - since < 5_000);
    assert(outcome.status === "crashed");
    assertInstanceOf(outcome.error, WorkerCrashError);
    assertEquals([outcome.error.reason, outcome.error.exitCode], ["exit", 3]);
    assertEquals(await mp.run(task("add", 5_000, 1, 1)), 2);
  });
});

Deno.test("MultiProcess cancels a task by its signal: before, while it waits, while it runs, and not after", async () => {
  await withPool({ size: 1, spares: 1 }, async (mp) => {
    const before = await mp.push(task("echo", 1_000, 1), { signal: AbortSignal.abort("too late") });
    assert(before.status === "cancelled");
    assertInstanceOf(before.error, TaskCancelledError);
    assertEquals([before.error.cause, before.workerId, before.attempts, before.ranMs], [
      "too late",
      undefined,
      0,
      0,
    ]);

    const runs = new AbortController();
    const waits = new AbortController();
    const after = new AbortController();
    const running = mp.push(task("spin", 60_000), { signal: runs.signal });
    const waiting = mp.push(task("echo", 1_000, 2), { signal: waits.signal });
    waits.abort("no longer wanted");
    const first = await waiting;
    assert(first.status === "cancelled" && first.error.cause === "no longer wanted" && first.attempts === 0);
    await until(async () => (await mp.stats()).running === 1, 5_000, "the task runs");
    runs.abort();
    const second = await running;
    assertEquals([second.status, second.attempts], ["cancelled", 1]);

    const done = await mp.push(task("echo", 5_000, 3), { signal: after.signal });
    after.abort();
    assertEquals(done.status, "ok");
  });
});

Deno.test("MultiProcess tells that a task was cancelled without waiting for a place in the pool", async () => {
  for (const spares of [1, 0]) {
    await withPool({ size: 1, spares }, async (mp) => {
      void mp.push(task("sleep", Infinity, 60_000));
      const since = performance.now();
      const controller = new AbortController();
      const unknown = () => new InfoTask(inline("export const runnable = () => {};"), 1_000);
      const queued = mp.push(unknown(), { signal: controller.signal });
      controller.abort();
      for (const each of [queued, mp.push(unknown(), { signal: AbortSignal.abort() })]) {
        assertEquals((await each).status, "cancelled");
      }
      assert(performance.now() - since < 5_000, "at once");
    });
  }
});

Deno.test("MultiProcess lets a task be that was over in time, when its end was heard of too late", async () => {
  const source = `export const runnable = async (flags) => {
    Atomics.store(flags, 0, 1);
    while (Atomics.load(flags, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    throw new Error("over");
  };`;
  // So much that the dispatcher takes as long to read it as it takes to write it here.
  const large = Array.from({ length: 500_000 }, (_, id) => ({ id }));
  await withPool({ size: 1 }, async (mp) => {
    await mp.push(new InfoTask(inline(source), 5_000, new Int32Array([0, 1])));
    const since = performance.now();
    const first = mp.push(task("size", 30_000, large));
    const limit = Math.ceil(1.4 * (performance.now() - since));
    await first;
    for (let tries = 0;; tries++) {
      const flags = new Int32Array(new SharedArrayBuffer(8));
      const outcome = mp.push(new InfoTask(inline(source), limit, flags));
      await until(() => flags[0] === 1, 5_000, "the begin of the task");
      const began = performance.now();
      const busy = mp.push(task("size", 30_000, large));
      Atomics.store(flags, 1, 1);
      const inTime = performance.now() - began < limit - 10;
      const { status } = await outcome;
      await busy;
      assert(inTime || tries < 10, "this machine is too busy to say anything");
      if (!inTime) continue;
      return assertEquals(status, "failed");
    }
  });
});

Deno.test("MultiProcess.start() gives the same promise twice, and refuses after the end", async () => {
  const mp = new MultiProcess(1);
  const first = mp.start();
  assertStrictEquals(mp.start(), first);
  assertStrictEquals(await first, mp);
  await mp.stop();
  await assertRejects(() => mp.start(), PoolStateError, "Cannot start the pool: the pool is stopped");
  const other = new MultiProcess(1);
  await other.stop();
  await assertRejects(() => other.start(), PoolStateError, "stopped");
});

Deno.test("MultiProcess refuses to push before the start and after the end", async () => {
  const mp = new MultiProcess(1);
  assertThrows(
    () => mp.push(task("echo", 1_000)),
    PoolStateError,
    "Cannot push a task: the pool is not started",
  );
  await assertRejects(() => mp.room(), PoolStateError);
  mp.start();
  const stopped = mp.stop();
  assertThrows(() => mp.push(task("echo", 1_000)), PoolStateError, "Cannot push a task: the pool is stopped");
  await stopped;
  assertThrows(() => mp.run(task("echo", 1_000)), PoolStateError, "Cannot push a task: the pool is stopped");
});

Deno.test("MultiProcess.stop() waits for outcomes and async callbacks, is idempotent, and sums up", async () => {
  const mp = new MultiProcess(2);
  mp.start();
  let called = 0;
  for (let i = 0; i < 6; i++) {
    mp.push(i === 5 ? task("spin", 50) : task("sleep", 2_000, 50), {
      callback: async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        called++;
      },
    });
  }
  const stopped = mp.stop();
  assertStrictEquals(mp.stop(), stopped);
  const { elapsedMs, ...summary } = await stopped;
  assertEquals(called, 5);
  assertEquals(summary, {
    pushed: 6,
    ok: 5,
    failed: 0,
    timedOut: 1,
    crashed: 0,
    cancelled: 0,
    callbackErrors: 0,
  });
  assert(elapsedMs > 0);
});

Deno.test("MultiProcess.stop() waits for callbacks no longer than callbackTimeout", async () => {
  const mp = new MultiProcess({ size: 1, callbackTimeout: 100 });
  mp.start();
  await mp.push(task("echo", 5_000, 1), { callback: () => new Promise(() => {}) });
  const since = performance.now();
  await mp.stop();
  assert(performance.now() - since < 2_000);
});

Deno.test("MultiProcess.stop() and terminate() before the start give an empty summary", async () => {
  const empty: Summary = {
    pushed: 0,
    ok: 0,
    failed: 0,
    timedOut: 0,
    crashed: 0,
    cancelled: 0,
    callbackErrors: 0,
    elapsedMs: 0,
  };
  assertEquals(await new MultiProcess(1).stop(), empty);
  assertEquals(await new MultiProcess(1).terminate(), empty);
});

Deno.test("MultiProcess.terminate() cancels what runs and what waits, within a second", async () => {
  const mp = new MultiProcess(2);
  await mp.start();
  const called: string[] = [];
  const errorCallback = (error: Error) => called.push(error.name);
  const outcomes = Array.from({ length: 20 }, () => mp.push(task("spin", 60_000), { errorCallback }));
  await until(async () => (await mp.stats()).running === 2, 5_000, "two tasks run");
  const since = performance.now();
  const summary = await mp.terminate("enough");
  assert(performance.now() - since < 1_000);
  assertEquals(summary.cancelled, 20);
  for (const outcome of await Promise.all(outcomes)) {
    assert(outcome.status === "cancelled");
    assertEquals(outcome.error.cause, "enough");
  }
  assertEquals(called, new Array(20).fill("TaskCancelledError"));
  assertThrows(() => mp.push(task("echo", 1_000)), PoolStateError, "terminated");
  assertEquals((await mp.stats()).outcomes.cancelled, 20);
});

Deno.test("MultiProcess works with await using", async () => {
  let outcome: Promise<Outcome>;
  {
    await using mp = new MultiProcess(1);
    mp.start();
    outcome = mp.push(task("sleep", 5_000, 50, "done"));
  }
  assertEquals((await outcome).status, "ok");
});

Deno.test("MultiProcess.push() throws when the queue is full, and room() waits for it to empty", async () => {
  await withPool({ size: 1, maxQueue: 2 }, async (mp) => {
    await mp.room();
    const outcomes = [1, 2, 3].map((i) => mp.push(task("sleep", 5_000, 20, i)));
    assertThrows(() => mp.push(task("echo", 1_000)), QueueFullError, "maxQueue: 2");
    await mp.room();
    outcomes.push(mp.push(task("echo", 5_000, 4)));
    const refused = assertRejects(() => mp.room(), PoolStateError, "stopped");
    await mp.stop();
    await refused;
    assertEquals((await Promise.all(outcomes)).map(({ status }) => status), ["ok", "ok", "ok", "ok"]);
  });
});

Deno.test("MultiProcess.stats() counts workers, tasks and outcomes", async () => {
  const mp = new MultiProcess({ size: 2, spares: 1 });
  assertEquals((await mp.stats()).workers, { starting: 0, idle: 0, busy: 0, stopping: 0 });
  await mp.start();
  await until(async () => (await mp.stats()).workers.idle === 3, 10_000, "the spare is warm");
  const outcomes = [1, 2, 3, 4, 5].map(() => mp.push(task("sleep", 5_000, 300)));
  await until(async () => (await mp.stats()).running === 2, 5_000, "two tasks run");
  const stats = await mp.stats();
  assertEquals(stats.workers, { starting: 0, idle: 1, busy: 2, stopping: 0 });
  assertEquals(stats.queued, 3);
  await Promise.all(outcomes);
  await mp.stop();
  const last = await mp.stats();
  assertEquals(last.outcomes, { ok: 5, failed: 0, timedOut: 0, crashed: 0, cancelled: 0 });
  assert(last.ranMs.p50 > 280 && last.ranMs.p50 < 1_000, `${last.ranMs.p50}`);
  assertEquals(last.spawned, 3);
});

Deno.test({
  name:
    "MultiProcess leaves no timers, memory or threads behind a hundred thousand quick tasks with long limits",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const before = threads();
    await withPool(2, async (mp) => {
      const work = fixture("tasks.ts#echo");
      const round = async () => {
        const outcomes: Promise<Outcome>[] = [];
        for (let i = 0; i < 50_000; i++) outcomes.push(mp.push(new InfoTask(work, 3_600_000, i)));
        await Promise.all(outcomes);
      };
      await round();
      const rss = Deno.memoryUsage().rss;
      for (let i = 0; i < 4; i++) await round();
      const grown = (Deno.memoryUsage().rss - rss) / 2 ** 20;
      // A timer each would be 1.3 kB: 260 MB.
      assert(grown < 150, `${grown} MiB more after 200 000 tasks`);
    });
    await until(() => newThreads(before).length <= 4, 5_000, "the pool's threads end");
  },
});

const broken = inline("throw new RangeError('no licence')");

Deno.test("MultiProcess.stop() settles everything, and ends, when the start fails", async () => {
  const mp = new MultiProcess({ size: 1, initializer: broken });
  const started = mp.start();
  const pushed = mp.push(new InfoTask(fixture("recorder.ts"), 1_000, 1));
  const summary = await mp.stop();
  assertEquals([summary.pushed, summary.crashed], [1, 1]);
  assertEquals((await pushed).status, "crashed");
  await assertRejects(() => started, RangeError, "no licence");
});

Deno.test("MultiProcess.start() rejects after a start that failed, with its cause", async () => {
  const mp = new MultiProcess({ size: 1, initializer: broken });
  await assertRejects(() => mp.start(), RangeError, "no licence");
  await mp.stop();
  const error = await assertRejects(() => mp.start(), PoolStateError, "could not be started");
  assertInstanceOf(error.cause, RangeError);
});

Deno.test("MultiProcess.push() is refused in a callback of a pool that cannot start", async () => {
  const mp = new MultiProcess({ size: 1, initializer: broken });
  mp.start();
  let thrown: unknown;
  await mp.push(task("echo", 1_000), {
    errorCallback: () => {
      try {
        mp.push(task("echo", 1_000));
      } catch (error) {
        thrown = error;
      }
    },
  });
  assertInstanceOf(thrown, PoolStateError);
  assertEquals((await mp.stop()).pushed, 1);
});

Deno.test("MultiProcess.stop() after a start that failed waits for async callbacks", async () => {
  const mp = new MultiProcess({ size: 1, initializer: broken });
  mp.start();
  let called = false;
  await mp.push(task("echo", 1_000), {
    errorCallback: async () => {
      // Longer than ending the threads takes.
      await new Promise((resolve) => setTimeout(resolve, 700));
      called = true;
    },
  });
  await mp.stop();
  assert(called);
});

Deno.test("MultiProcess.terminate() ends a stop() that waits for a callback that hangs", async () => {
  const mp = new MultiProcess(1);
  await mp.start();
  await mp.push(task("echo", 5_000, 1), { callback: () => new Promise(() => {}) });
  const stopped = mp.stop();
  const summary = await mp.terminate();
  assertEquals(await stopped, summary);
  assertEquals(summary.ok, 1);
});

Deno.test("MultiProcess.terminate() after stop() is as quick as alone, and both end together", async () => {
  const mp = new MultiProcess(1);
  await mp.start();
  const pushed = mp.push(task("sleep", 60_000, 30_000));
  await until(async () => (await mp.stats()).running === 1, 5_000, "the task runs");
  const stopped = mp.stop();
  const since = performance.now();
  const summary = await mp.terminate();
  assert(performance.now() - since < 600);
  assertStrictEquals(await stopped, summary);
  assertEquals([summary.cancelled, (await pushed).status], [1, "cancelled"]);
});

Deno.test("MultiProcess.terminate() fires the errorCallback of tasks that wait, where the module is known", async () => {
  const mp = new MultiProcess(1);
  await mp.start();
  // By `run`, and without a callback to fire: known all the same.
  const onlyError = inline(
    "export const runnable = () => 1; export const errorCallback = () => globalThis.cancelledHere = true",
  );
  await mp.run(new InfoTask(onlyError, 5_000));
  recorder.calls.length = 0;
  await mp.push(new InfoTask(fixture("recorder.ts"), 5_000, 1), { callback() {} });
  mp.push(task("spin", 60_000));
  mp.push(new InfoTask(fixture("recorder.ts"), 5_000, 2));
  mp.push(new InfoTask(onlyError, 5_000));
  await until(async () => (await mp.stats()).running === 1, 5_000, "a task runs");
  assertEquals((await mp.terminate()).cancelled, 3);
  assertEquals(recorder.calls.map(({ kind }) => kind), ["errorCallback"]);
  assert("cancelledHere" in globalThis);
});

Deno.test("MultiProcess gives a task that its own signal cancelled the signal's reason, also when it is terminated", async () => {
  const mp = new MultiProcess(1);
  await mp.start();
  const controller = new AbortController();
  const pushed = mp.push(task("spin", 60_000), { signal: controller.signal });
  const other = mp.push(task("spin", 60_000));
  controller.abort("mine");
  await mp.terminate("all");
  const causes = (await Promise.all([pushed, other])).map((outcome) =>
    outcome.status === "cancelled" && outcome.error.cause
  );
  assertEquals(causes, ["mine", "all"]);
});

Deno.test("MultiProcess.room() wakes everybody there is room for, also behind one who does not push", async () => {
  await withPool({ size: 1, maxQueue: 0 }, async (mp) => {
    const pushed = mp.push(task("sleep", 5_000, 20));
    const rooms = [mp.room(), mp.room(), mp.room()];
    await pushed;
    await Promise.all(rooms);
    await mp.room();
  });
});

Deno.test("MultiProcess.room() never lets two producers push where there is room for one", async () => {
  await withPool({ size: 1, maxQueue: 1 }, async (mp) => {
    const produce = async () => {
      for (let i = 0; i < 50; i++) {
        await mp.room();
        await mp.push(task("echo", 5_000, i));
      }
    };
    mp.push(task("sleep", 5_000, 20));
    mp.push(task("sleep", 5_000, 20));
    await Promise.all([produce(), produce(), produce()]);
    assertEquals((await mp.stop()).ok, 152);
  });
});

/** A module that hangs, or does worse, only where the entry imports it. */
const inEntry = (source: string) =>
  inline(
    `if (globalThis.window !== undefined || globalThis.entryOfTests) { ${source} }; ` +
      "export const runnable = () => 1; export const callback = () => {}",
  );

Deno.test("MultiProcess settles a task whose module never loads in the entry, and counts a callback error", async () => {
  Object.assign(globalThis, { entryOfTests: true });
  const errors: unknown[] = [];
  const onCallbackError = (error: unknown) => errors.push(error);
  const mp = new MultiProcess({ size: 1, loadTimeout: 500, onCallbackError });
  await mp.start();
  const hangs = new InfoTask(inEntry("await new Promise(() => {}); 1"), 5_000);
  assertEquals((await mp.push(hangs)).status, "ok");
  // It is known by now.
  assertEquals((await mp.push(hangs)).status, "ok");
  assertEquals((await mp.stop()).callbackErrors, 2);
  for (const error of errors) {
    assertInstanceOf(error, TaskLoadError);
    assert(error.message.includes("in the entry after 500 ms (loadTimeout)"), error.message);
  }
});

Deno.test("MultiProcess.terminate() settles a task whose module never loads in the entry", async () => {
  Object.assign(globalThis, { entryOfTests: true });
  const errors: Error[] = [];
  const onCallbackError = (error: unknown) => errors.push(error as Error);
  const mp = new MultiProcess({ size: 1, loadTimeout: Infinity, onCallbackError });
  await mp.start();
  const pushed = mp.push(new InfoTask(inEntry("await new Promise(() => {}); 2"), 5_000));
  await until(async () => (await mp.stats()).outcomes.ok === 1, 5_000, "the task has returned");
  assertEquals((await mp.terminate()).callbackErrors, 1);
  assertEquals((await pushed).status, "ok");
  assert(errors[0]!.message.endsWith("in the entry when the pool ended"), errors[0]!.message);
});

Deno.test("MultiProcess survives an onCallbackError that rejects, and stop() waits for it", async () => {
  const printed: unknown[] = [];
  const { error } = console;
  console.error = (text: unknown) => printed.push(text);
  try {
    const mp = new MultiProcess({
      size: 1,
      onCallbackError: async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        throw new Error("the log is full");
      },
    });
    mp.start();
    mp.push(task("echo", 5_000, 1), {
      callback() {
        throw new Error("thrown");
      },
    });
    assertEquals((await mp.stop()).callbackErrors, 1);
  } finally {
    console.error = error;
  }
  assertEquals(printed, ["multiprocess: onCallbackError itself threw Error: the log is full"]);
});
