import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { InfoTask, MultiProcess, type Outcome, TaskCancelledError, WorkerCrashError } from "../../mod.ts";
import { inline, Load, script, task, threads, until, withPool } from "../helpers.ts";

Deno.test("MultiProcess settles a task at its limit, whatever it does, and goes on", async () => {
  await withPool({ size: 1, spares: 1 }, async (mp) => {
    // To start and to load is no part of the run.
    await mp.run(task("add", 5_000, 1, 1));
    using load = new Load();
    for (const name of ["spin", "never"]) {
      load.reset();
      const since = performance.now();
      const outcome = await mp.push(task(name, 100));
      const ms = performance.now() - since;
      assertEquals(outcome.status, "timed-out");
      assert(ms >= 99 && ms < 100 + load.allows(250), `${name} took ${ms} ms`);
      assertEquals(await mp.run(task("add", 5_000, 1, 1)), 2);
    }
  });
});

Deno.test({
  name: "MultiProcess stops the thread of a spinning task within a second while the pool answers",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await withPool({ size: 1, spares: 0 }, async (mp) => {
      const spins = inline(`export function runnable() {
        this.progress(Deno.readLinkSync("/proc/thread-self"));
        for (;;);
      }`);
      let link = "";
      const onProgress = (value: unknown) => link = String(value);
      using load = new Load();
      const outcome = await mp.push(new InfoTask(spins, 1_000), { onProgress });
      assertEquals(outcome.status, "timed-out");
      const thread = link.split("/").at(-1)!;
      assert(Number(thread) > 0, link);
      await until(() => !threads().has(thread), load.allows(1_000), "the thread ends");
      assertEquals(await mp.run(task("add", 5_000, 1, 1)), 2);
    });
  },
});

Deno.test("MultiProcess does not count queueing and loading in a task's limit", async () => {
  await withPool(1, async (mp) => {
    const slow = inline(
      "await new Promise((r) => setTimeout(r, 1_500)); export const runnable = () => 'loaded'",
    );
    const first = mp.push(task("sleep", 20_000, 1_200));
    const second = await mp.push(new InfoTask(slow, 1_000));
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
    await until(async () => (await mp.stats()).running === 1, 20_000, "the task runs");
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
    let limit = Math.ceil(1.4 * (performance.now() - since));
    await first;
    for (let tries = 0;; tries++) {
      const flags = new Int32Array(new SharedArrayBuffer(8));
      const outcome = mp.push(new InfoTask(inline(source), limit, flags));
      await until(() => flags[0] === 1, 20_000, "the begin of the task");
      const began = performance.now();
      const busy = mp.push(task("size", 30_000, large));
      Atomics.store(flags, 1, 1);
      const tookMs = performance.now() - began;
      const inTime = tookMs < limit - 10;
      const { status } = await outcome;
      await busy;
      assert(inTime || tries < 10, "this machine is too busy to say anything");
      // It was not so busy when the limit was found.
      if (!inTime) {
        limit = Math.ceil(1.4 * tookMs) + 20;
        continue;
      }
      return assertEquals(status, "failed");
    }
  });
});

Deno.test("MultiProcess.stats() counts workers, tasks and outcomes", async () => {
  const mp = new MultiProcess({ size: 2, spares: 1 });
  assertEquals((await mp.stats()).workers, { starting: 0, idle: 0, busy: 0, stopping: 0 });
  await mp.start();
  await until(async () => (await mp.stats()).workers.idle === 3, 10_000, "the spare is warm");
  assertEquals([mp.size, mp.running, mp.queued], [2, 0, 0]);
  const outcomes = [1, 2, 3, 4, 5].map(() => mp.push(task("sleep", 20_000, 600)));
  // Known without a turn.
  assertEquals([mp.size, mp.running, mp.queued], [2, 2, 3]);
  let stats = await mp.stats();
  await until(async () => (stats = await mp.stats()).running === 2, 20_000, "two tasks run");
  assertEquals(stats.workers, { starting: 0, idle: 1, busy: 2, stopping: 0 });
  assertEquals(stats.queued, 3);
  await Promise.all(outcomes);
  await mp.stop();
  const last = await mp.stats();
  assertEquals(last.outcomes, { ok: 5, failed: 0, timedOut: 0, crashed: 0, cancelled: 0 });
  assert(last.ranMs.p50 > 580 && last.ranMs.p50 < 2_000, `${last.ranMs.p50}`);
  assert(last.ranMs.mean > 580 && last.ranMs.mean <= last.ranMs.max, `${last.ranMs.mean}`);
  assert(last.ranMs.stddev >= 0 && last.ranMs.stddev < last.ranMs.max, `${last.ranMs.stddev}`);
  assertEquals([mp.size, mp.running, mp.queued], [2, 0, 0]);
  assertEquals(last.spawned, 3);
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

Deno.test("an error of the pool's own is printed with its facts, and nothing of the pool's inside", async () => {
  await withPool({ size: 1, spares: 1 }, async (mp) => {
    const broken = inline("export const runnable = 1");
    const controller = new AbortController();
    controller.abort("enough");
    const [late, unloaded, dead, cancelled] = await Promise.all([
      mp.push(task("never", 50, { secret: 1 })),
      mp.push(new InfoTask(broken, 5_000, { secret: 1 })),
      mp.push(task("exit", 5_000, 3)),
      mp.push(task("never", 5_000), { signal: controller.signal }),
    ]);
    const printed = (outcome: Outcome) => outcome.status === "ok" ? "" : Deno.inspect(outcome.error);
    assertEquals(
      printed(late),
      "[TaskTimeoutError: Task 1 (tasks.ts#never) was stopped: it ran longer than its limit of 50 ms] {\n" +
        "  timeout: 50,\n  [cause]: TimeoutError: Signal timed out.\n}",
    );
    assertEquals(
      printed(dead),
      "[WorkerCrashError: Task 3 (tasks.ts#exit) crashed: its worker exited with code 3] {\n" +
        '  reason: "exit",\n  exitCode: 3\n}',
    );
    assertEquals(
      printed(cancelled),
      '[TaskCancelledError: Task 4 (tasks.ts#never) was cancelled] {\n  [cause]: "enough"\n}',
    );
    assert(printed(unloaded).startsWith("[TaskLoadError: Cannot run "));
    assertEquals(printed(unloaded).includes("\n"), false);
  });
});

Deno.test("an uncaught error of the pool's own is printed as what it says, and no code of the pool", async () => {
  const { code, stderr } = await script("uncaught.ts");
  assertEquals([code, stderr.trimEnd()], [
    1,
    "error: Uncaught (in promise) TaskTimeoutError: " +
    "Task 1 (tasks.ts#never) was stopped: it ran longer than its limit of 50 ms\n" +
    "Caused by: TimeoutError: Signal timed out.",
  ]);
});
