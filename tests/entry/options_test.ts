import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { InfoTask, MultiProcess, type Outcome, type PoolEvent } from "../../mod.ts";
import { fixture, held, inline, Load, script, until, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);

Deno.test("PushOptions.priority: higher first, first in first out among equals, also past what a worker holds", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    await mp.run(task("echo", 5_000, 0));
    const order: number[] = [];
    const push = (n: number, priority?: number) =>
      mp.push(task("echo", 5_000, n), {
        callback: () => order.push(n),
        ...(priority === undefined ? {} : { priority }),
      });
    const long = held();
    const first = mp.push(long.task);
    await until(async () => (await mp.stats()).running === 1, 20_000, "the first runs");
    const rest = [push(1), push(2), push(3, 5), push(4, -1), push(5, 5), push(6)];
    // All are in the queue before the first ends.
    await mp.stats();
    long.release();
    await Promise.all([first, ...rest]);
    assertEquals(order, [3, 5, 1, 2, 6, 4]);
  });
});

Deno.test("PushOptions.retry tries again what failed, and tells how often", async () => {
  await withPool(1, async (mp) => {
    const retry = { maxAttempts: 3, minTimeout: 1, jitter: 0 };
    const ok = await mp.push(task("flaky", 5_000, 3), { retry });
    assertEquals([ok.status, ok.attempts], ["ok", 3]);
    const failed = await mp.push(task("flaky", 5_000, 9), { retry });
    assert(failed.status === "failed");
    assertEquals([failed.attempts, failed.error.message], [3, "attempt 3"]);
    const once = await mp.push(task("spin", 20), { retry });
    assertEquals([once.status, once.attempts], ["timed-out", 1]);
    const twice = await mp.push(task("spin", 20), { retry: { ...retry, maxAttempts: 2, on: ["timed-out"] } });
    assertEquals([twice.status, twice.attempts], ["timed-out", 2]);
  });
});

Deno.test("PushOptions.retry tries again a task that crashed its worker, maxAttempts times in all", async () => {
  await withPool({ size: 1, maxRestarts: 20 }, async (mp) => {
    const retry = { maxAttempts: 2, minTimeout: 1, jitter: 0 };
    const outcome = await mp.push(task("exit", 5_000, 1), { retry });
    assertEquals([outcome.status, outcome.attempts], ["crashed", 2]);
  });
});

Deno.test("MultiProcessOptions.retry holds for every push, and waiting for it holds no worker", async () => {
  await withPool({ size: 1, retry: { maxAttempts: 2, minTimeout: 300, jitter: 0 } }, async (mp) => {
    const ended: string[] = [];
    const flaky = mp.push(task("flaky", 5_000, 2));
    const quick = mp.push(task("echo", 5_000, 1));
    void flaky.then(() => ended.push("flaky"));
    void quick.then(() => ended.push("quick"));
    assertEquals((await flaky).attempts, 2);
    assertEquals(ended, ["quick", "flaky"]);
  });
});

Deno.test("PushOptions.retry gives every attempt the buffers in transfer", async () => {
  await withPool(1, async (mp) => {
    const buffer = new Uint8Array([1, 2, 3]).buffer;
    const source =
      "export function runnable(b) { if (this.attempt < 3) throw 1; return new Uint8Array(b)[2] }";
    const retry = { maxAttempts: 3, minTimeout: 1 };
    assertEquals(await mp.run(new InfoTask(inline(source), 5_000, buffer), { transfer: [buffer], retry }), 3);
  });
});

Deno.test("PushOptions.softTimeout aborts the task's signal, so that it can finish cleanly", async () => {
  await withPool(1, async (mp) => {
    const outcome = await mp.push(task("softly", 10_000), { softTimeout: 50 });
    assertEquals(outcome.status === "ok" && outcome.value, "finished cleanly");
    assert(outcome.ranMs >= 49 && outcome.ranMs < 5_000);
    assertEquals((await mp.push(task("spin", 100), { softTimeout: 50 })).status, "timed-out");
  });
});

Deno.test("PushOptions.onProgress gets progress in order, the last one always, before the outcome, none after", async () => {
  await withPool(1, async (mp) => {
    const seen: unknown[] = [];
    const onProgress = (value: unknown) => seen.push(value);
    const outcome = await mp.push(task("countTo", 10_000, 100_000), { onProgress });
    assertEquals(outcome.status, "ok");
    const count = seen.length;
    assertEquals(seen.at(-1), 100_000);
    assertEquals(seen, [...seen].sort((a, b) => (a as number) - (b as number)));
    assert(count < 5_000, `${count} of 100 000 came through`);
    await mp.run(task("echo", 5_000, 1));
    assertEquals(seen.length, count);
  });
});

/** Of 0 to 9 the first few and the last are told, in order; on a machine that is slow enough some of those between. */
function assertThinned(told: number[]): void {
  assertEquals(told.slice(0, 4), [0, 1, 2, 3]);
  assertEquals(told.at(-1), 9);
  assertEquals(told, told.toSorted((a, b) => a - b));
  assertEquals(new Set(told).size, told.length);
}

Deno.test("progress arrives as it was when it was reported, and one that cannot fails its task there and then", async () => {
  for (const isolation of ["thread", "process"] as const) {
    await withPool({ size: 1, isolation }, async (mp) => {
      const seen: unknown[] = [];
      const onProgress = (value: unknown) => seen.push(value);
      await mp.run(task("progressChanging", 10_000), { onProgress });
      const state = (n: number) => {
        return { done: n, bytes: new Uint8Array([n, 0]), large: new Array(1_000).fill(0).with(0, n) };
      };
      const told = seen.map((value) => (value as { done: number }).done);
      assertEquals(seen, told.map(state));
      assertThinned(told);
      for (const flood of [false, true]) {
        seen.length = 0;
        const outcome = await mp.push(task("progressFunction", 10_000, flood), { onProgress });
        assert(outcome.status === "failed", outcome.status);
        assertEquals(outcome.error.name, "DataCloneError");
        // What was reported before is told all the same.
        if (flood) assertThinned(seen as number[]);
        else assertEquals(seen, []);
      }
    });
  }
});

Deno.test("the last progress is told of a task that then hangs or dies", async () => {
  await withPool({ size: 1, maxRestarts: 100 }, async (mp) => {
    for (const [end, last] of [["hang", "linking"], ["exit", "linking"], ["throw", 99]] as const) {
      const seen: unknown[] = [];
      const onProgress = (value: unknown) => seen.push(value);
      const limit = end === "hang" ? 200 : 20_000;
      const { status } = await mp.push(task("progressStages", limit, end), { onProgress });
      assertEquals([status, seen.at(-1)], [end === "hang" ? "timed-out" : "crashed", last]);
      assertEquals(seen.slice(0, 3), ["reading", "parsing", "linking"]);
    }
  });
});

Deno.test("a task that is cancelled between two attempts has the facts of its last", async () => {
  await withPool({ size: 1 }, async (mp) => {
    const controller = new AbortController();
    const retry = { maxAttempts: 2, minTimeout: 10_000, maxTimeout: 10_000, on: ["timed-out"] } as const;
    const outcome = mp.push(task("spin", 50), { retry, signal: controller.signal });
    await until(async () => (await mp.stats()).killed === 1, 20_000, "its first attempt is over");
    controller.abort();
    const { status, attempts, workerId, ranMs, waitedMs } = await outcome;
    assertEquals([status, attempts, workerId !== undefined], ["cancelled", 1, true]);
    assert(ranMs >= 49 && ranMs < 5_000 && waitedMs < 5_000, `${ranMs} ${waitedMs}`);
  });
});

Deno.test("a task cancelled before it ran starts no worker, where its module is known", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    await mp.run(task("echo", 5_000, 1));
    const busy = mp.push(task("sleep", 60_000, 60_000));
    const signal = AbortSignal.abort();
    for (let i = 0; i < 4; i++) {
      const { status } = await mp.push(task("echo", 5_000, i), { signal });
      assertEquals(status, "cancelled");
    }
    assertEquals((await mp.stats()).spawned, 1);
    await mp.terminate();
    await busy;
  });
});

Deno.test("a task cancelled before it ran is settled although its module never loads, whatever loadTimeout is", async () => {
  await withPool({ size: 1, loadTimeout: Infinity }, async (mp) => {
    const hanging = new InfoTask(inline("await new Promise(() => {});"), 5_000);
    const { status, attempts } = await mp.push(hanging, { signal: AbortSignal.abort() });
    assertEquals([status, attempts], ["cancelled", 0]);
    await mp.terminate();
  });
});

Deno.test("a generator's yielded values are progress, none dropped, and wait for who takes them", async () => {
  await withPool(1, async (mp) => {
    for (const name of ["yieldTo", "yieldSlowly"]) {
      const seen: unknown[] = [];
      let taking = 0;
      const onProgress = async (value: unknown) => {
        taking++;
        assert(taking <= 17, "back-pressure");
        await new Promise((resolve) => setTimeout(resolve, 1));
        seen.push(value);
        taking--;
      };
      const outcome = await mp.push(task(name, 10_000, 200), { onProgress });
      assertEquals(outcome.status === "ok" && outcome.value, "all");
      await until(() => taking === 0, 20_000, "all are taken");
      assertEquals(seen, Array.from({ length: 200 }, (_, i) => i + 1));
    }
    assertEquals(await mp.run(task("yieldTo", 5_000, 100)), "all");
  });
});

Deno.test("an onProgress that throws is a callback error and harms nothing", async () => {
  const errors: unknown[] = [];
  await withPool({ size: 1, onCallbackError: (error) => errors.push(error) }, async (mp) => {
    const onProgress = () => {
      throw new Error("in onProgress");
    };
    assertEquals(await mp.run(task("yieldTo", 5_000, 3), { onProgress }), "all");
    assertEquals(errors.length, 3);
    assertEquals((await mp.stop()).callbackErrors, 3);
  });
});

Deno.test("an onProgress that rejects is a callback error, and stop() waits for one that is async", async () => {
  const errors: [string, string][] = [];
  const onCallbackError = (error: unknown, outcome: Outcome) =>
    errors.push([(error as Error).message, outcome.status === "ok" ? "ok" : outcome.error.message]);
  const mp = new MultiProcess({ size: 1, onCallbackError });
  await mp.start();
  const gate = Promise.withResolvers<void>();
  const onProgress = async (value: unknown) => {
    if (value === 1) await gate.promise;
    throw new Error(`progress ${value}`);
  };
  const first = mp.push(task("progressOnce", 5_000), { onProgress });
  const second = mp.push(task("yieldTo", 5_000, 2), {
    // No Promise, but something that can be awaited.
    onProgress: () => ({
      then: (_: unknown, reject: (error: Error) => void) => reject(new Error("thenable")),
    }),
  });
  assertEquals([(await first).status, (await second).status], ["ok", "ok"]);
  const stopped = mp.stop();
  gate.resolve();
  assertEquals((await stopped).callbackErrors, 3);
  const still = "The task has not ended: its onProgress threw";
  assertEquals(errors.toSorted(), [["progress 1", still], ["thenable", still], ["thenable", still]]);
});

Deno.test("MultiProcessOptions.minSize: the pool grows at once under load and shrinks when idle", async () => {
  await withPool({ size: 3, minSize: 0, spares: 0, idleTimeout: 100 }, async (mp) => {
    assertEquals((await mp.stats()).workers, { starting: 0, idle: 0, busy: 0, stopping: 0 });
    const outcomes = [1, 2, 3, 4].map((n) => mp.push(task("sleep", 30_000, 2_000, n)));
    await until(async () => (await mp.stats()).workers.busy === 3, 30_000, "three are busy");
    await Promise.all(outcomes);
    await until(
      async () => {
        const { starting, idle, busy, stopping } = (await mp.stats()).workers;
        return starting + idle + busy + stopping === 0;
      },
      30_000,
      "none is left",
    );
    assertEquals(await mp.run(task("add", 5_000, 1, 2)), 3);
  });
});

Deno.test("MultiProcessOptions.maxTasksPerWorker replaces workers between tasks", async () => {
  await withPool({ size: 1, spares: 1, maxTasksPerWorker: 10 }, async (mp) => {
    const outcomes: Outcome[] = await Promise.all(
      Array.from({ length: 35 }, (_, n) => mp.push(task("echo", 5_000, n))),
    );
    const runs = new Map<number, number>();
    for (const { status, workerId } of outcomes) {
      assertEquals(status, "ok");
      runs.set(workerId!, (runs.get(workerId!) ?? 0) + 1);
    }
    assertEquals([...runs.values()], [10, 10, 10, 5]);
  });
});

Deno.test("MultiProcessOptions.initializer prepares every worker before its first task", async () => {
  await withPool({ size: 2, initializer: fixture("initializer.ts") }, async (mp) => {
    const states = await Promise.all([1, 2, 3, 4].map(() => mp.run(task("workerState", 5_000))));
    assertEquals(states, new Array(4).fill("prepared"));
  });
});

Deno.test("the initializer's dispose() is awaited when the pool stops", async () => {
  const { code, stdout } = await script("dispose.ts");
  assertEquals([code, stdout], [0, "disposed\ndisposed\n"]);
});

Deno.test("MultiProcess.events() tells enough to draw every worker's time line", async () => {
  const mp = new MultiProcess({ size: 1, spares: 1 });
  const watching = Array.fromAsync(mp.events());
  await mp.start();
  await until(async () => (await mp.stats()).workers.idle === 2, 10_000, "both are warm");
  await mp.push(task("echo", 5_000, 1));
  await mp.push(task("yieldTo", 5_000, 1));
  using load = new Load();
  await mp.push(task("spin", 150));
  const late = load.allows(250);
  await until(async () => (await mp.stats()).workers.stopping === 0, 20_000, "the worker has ended");
  await mp.stop();
  const events: PoolEvent[] = await watching;
  const of = (taskId: number) =>
    events.filter((event) => "taskId" in event && event.taskId === taskId).map(({ type }) => type);
  assertEquals(of(1), ["pushed", "started", "settled"]);
  assertEquals(of(2).toSorted(), ["progress", "pushed", "settled", "started"]);
  assertEquals(of(3), ["pushed", "started", "settled"]);
  const worker = (type: string) => events.filter((event) => event.type === type).length;
  assert(worker("worker-started") >= 2);
  assertEquals([worker("worker-killed"), worker("worker-gone") >= 1], [1, true]);
  for (const { at } of events) assert(Math.abs(Date.now() - at) < 60_000);
  const spun = events.find((event) => event.type === "started" && event.taskId === 3)!;
  const settled = events.find((event) => event.type === "settled" && event.taskId === 3)!;
  assert(settled.at - spun.at >= 149 && settled.at - spun.at < 150 + late, `${settled.at - spun.at} ms`);
});

Deno.test("MultiProcess.events() tells of every run of a task that is tried again", async () => {
  for (const isolation of ["thread", "process"] as const) {
    const mp = new MultiProcess({ size: 1, isolation, maxRestarts: 100 });
    const watching = Array.fromAsync(mp.events());
    await mp.start();
    const retry = { maxAttempts: 3, minTimeout: 1, on: ["failed", "crashed", "timed-out"] } as const;
    await mp.push(task("fail", 5_000, "no"), { retry });
    await mp.push(task("exit", 5_000, 3), { retry });
    await mp.push(task("spin", 20), { retry });
    await mp.stop();
    const runs = (await watching).flatMap((event) =>
      event.type === "started" ? [[event.taskId, event.attempt]] : []
    );
    assertEquals(runs, [1, 2, 3].flatMap((task) => [1, 2, 3].map((attempt) => [task, attempt])), isolation);
  }
});

Deno.test("MultiProcess.events() ends with a pool that is never started", async () => {
  const mp = new MultiProcess(1);
  const before = Array.fromAsync(mp.events());
  await mp.stop();
  assertEquals([await before, await Array.fromAsync(mp.events())], [[], []]);
});

Deno.test("MultiProcess.events() can be left, and ends with the pool", async () => {
  await withPool(1, async (mp) => {
    for await (const event of (mp.push(task("echo", 5_000, 1)), mp.events())) {
      assertStringIncludes(event.type, "e");
      break;
    }
    await mp.stop();
    assertEquals(await Array.fromAsync(mp.events()), []);
  });
});
