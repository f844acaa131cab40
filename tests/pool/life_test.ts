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
  type Summary,
  TaskCancelledError,
} from "../../mod.ts";
import * as recorder from "../fixtures/recorder.ts";
import { fixture, inline, Load, newThreads, task, threads, until, withPool } from "../helpers.ts";

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
  await assertRejects(
    () => mp.run(task("echo", 1_000)),
    PoolStateError,
    "Cannot push a task: the pool is stopped",
  );
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
  using load = new Load();
  const since = performance.now();
  await mp.stop();
  assert(performance.now() - since < load.allows(2_000));
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
  await until(async () => (await mp.stats()).running === 2, 20_000, "two tasks run");
  using load = new Load();
  const since = performance.now();
  const summary = await mp.terminate("enough");
  assert(performance.now() - since < load.allows(1_000));
  assertEquals(summary.cancelled, 20);
  for (const outcome of await Promise.all(outcomes)) {
    assert(outcome.status === "cancelled");
    assertEquals(outcome.error.cause, "enough");
  }
  assertEquals(called, new Array(20).fill("TaskCancelledError"));
  assertThrows(() => mp.push(task("echo", 1_000)), PoolStateError, "terminated");
  assertEquals((await mp.stats()).outcomes.cancelled, 20);
});

for (
  const [what, options] of Object.entries({ "the bridge": {}, "a nursery's first worker": { bridge: false } })
) {
  // The sanitizer looks when the test is over; the thread may take longer to end.
  Deno.test(`MultiProcess.terminate() leaves no timer behind where ${what} hangs before it has loaded all`, async () => {
    const mp = new MultiProcess({ size: 1, minSize: 0, isolation: "thread", killGrace: 10_000, ...options });
    mp.start();
    mp.push(task("spin", 60_000));
    await until(async () => (await mp.stats()).running === 1, 10_000, "the task runs");
    assertEquals((await mp.terminate()).cancelled, 1);
  });
}

Deno.test("MultiProcess.terminate() says of no task that it never began, if it did", async () => {
  const ran = new Uint8Array(new SharedArrayBuffer(1_500));
  // Nothing in it that would stop it by itself, and short, so that its worker holds many.
  const module = inline(`export default (ran, n) => {
    ran[n] = 1;
    for (const end = performance.now() + 0.3; performance.now() < end;);
  }`);
  const mp = new MultiProcess({ size: 1, spares: 0, isolation: "thread" });
  await mp.start();
  const pushed = Array.from(ran, (_, n) => mp.push(new InfoTask(module, 20_000, ran, n)));
  await pushed[150];
  await mp.terminate();
  const untrue = (await Promise.all(pushed)).filter(({ attempts }, n) => attempts === 0 && ran[n] === 1);
  assertEquals(untrue.map(({ taskId }) => taskId), []);
});

Deno.test("MultiProcess.terminate() cancels 300 000 waiting tasks in slices, with errors made when they are looked at", async () => {
  await withPool({ size: 2, spares: 0 }, async (mp) => {
    const outcomes: Promise<Outcome>[] = [];
    for (let n = 0; n < 300_000; n++) outcomes.push(mp.push(task("never", 60_000, n)));
    await mp.stats();
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const since = performance.now();
    const summary = await mp.terminate("enough");
    const ms = performance.now() - since;
    clearInterval(timer);
    assertEquals(summary.cancelled, 300_000);
    // On a quiet machine 0.3 s, and with errors made at once 1.5.
    assert(ms < 30_000, `${ms} ms`);
    assert(turns > 5, `${turns} turns`);
    for (const n of [7, 299_999]) {
      const outcome = (await outcomes[n])!;
      assert(outcome.status === "cancelled");
      const { error } = outcome;
      assertInstanceOf(error, TaskCancelledError);
      assertEquals([error.message, error.cause], [`Task ${n + 1} (tasks.ts#never) was cancelled`, "enough"]);
      assertStrictEquals(error.task, outcome.task);
      assertStrictEquals(outcome.error, error);
      assertStrictEquals({ ...outcome }.error, error);
    }
    // Looked at for the first time in a copy.
    const copied = { ...(await outcomes[70])! };
    assert(copied.status === "cancelled");
    assertEquals(
      Object.getOwnPropertyDescriptor(copied, "error")!.value.message,
      "Task 71 (tasks.ts#never) was cancelled",
    );
    const frozen = Object.freeze((await outcomes[80])!);
    assert(frozen.status === "cancelled");
    assertEquals(frozen.error.cause, "enough");
  });
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
    await until(() => newThreads(before).length <= 4, 20_000, "the pool's threads end");
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
  await until(async () => (await mp.stats()).running === 1, 20_000, "the task runs");
  const stopped = mp.stop();
  using load = new Load();
  const since = performance.now();
  const summary = await mp.terminate();
  assert(performance.now() - since < load.allows(600));
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
  await until(async () => (await mp.stats()).running === 1, 20_000, "a task runs");
  assertEquals((await mp.terminate()).cancelled, 3);
  assertEquals(recorder.calls.map(({ kind }) => kind), ["errorCallback"]);
  assert("cancelledHere" in globalThis);
});
