import { assert, assertEquals } from "@std/assert";
import { InfoTask, type MultiProcess, type Outcome, type PushOptions } from "../../mod.ts";
import { fixture, Load, until, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`grace.ts#${name}`), timeout, ...args);

/** Ends a task early, and gives its outcome and how long that took. */
type Ending = (
  mp: MultiProcess,
  name: string,
  args: unknown[],
  options?: PushOptions,
) => Promise<[Outcome, number]>;

const cancels: Ending = async (mp, name, args, options = {}) => {
  const controller = new AbortController();
  const events = mp.events();
  const outcome = mp.push(task(name, 60_000, ...args), { ...options, signal: controller.signal });
  for await (const { type } of events) if (type === "started") break;
  const since = performance.now();
  controller.abort();
  return [await outcome, performance.now() - since];
};
const timesOut: Ending = async (mp, name, args, options = {}) => {
  const outcome = await mp.push(task(name, 300, ...args), options);
  return [outcome, outcome.ranMs - 300];
};

const settled = (mp: MultiProcess) =>
  until(async () => (await mp.stats()).workers.stopping === 0, 20_000, "no worker is to end any more");

for (const isolation of ["thread", "process"] as const) {
  for (
    const [how, end, status] of [["cancelGrace", cancels, "cancelled"], [
      "timeoutGrace",
      timesOut,
      "timed-out",
    ]] as const
  ) {
    Deno.test(`${how}: a task that lets go keeps its worker, and nothing is heard of it any more (${isolation})`, async () => {
      await withPool({ size: 1, spares: 0, isolation, [how]: 20_000 }, async (mp) => {
        const { workerId } = await mp.push(task("ping", 10_000));
        const cases: [string, unknown[]][] = [
          ["waits", [200, "return"]],
          ["waits", [0, "throw"]],
          ["yields", []],
          // Soon enough for nobody to take its place.
          ["sleeps", [500]],
        ];
        if (isolation === "thread") cases.push(["floods", []]);
        using load = new Load();
        for (const [name, args] of cases) {
          const heard: unknown[] = [];
          const taking = Promise.withResolvers<void>();
          let over = false;
          const onProgress = (value: unknown) => {
            if (over || typeof value === "string") heard.push(value);
            // Nobody takes what a flood brings.
            return name === "floods" ? taking.promise : undefined;
          };
          load.reset();
          const [outcome, lateMs] = await end(mp, name, args, { onProgress });
          over = true;
          assertEquals([outcome.status, outcome.workerId], [status, workerId], name);
          assert(lateMs < load.allows(1_000), `${name}: ${lateMs} ms`);
          await settled(mp);
          taking.resolve();
          assertEquals(heard, [], name);
          const next = await mp.push(task("taken", 10_000));
          assertEquals(next.status === "ok" && next.value, [name]);
          assertEquals(next.workerId, workerId, name);
        }
        const { killed, spawned } = await mp.stats();
        assertEquals([killed, spawned], [0, 1]);
      });
    });
  }

  Deno.test(`a task that does not let go within its grace loses its worker, and another has taken over (${isolation})`, async () => {
    await withPool({ size: 1, isolation, timeoutGrace: 200 }, async (mp) => {
      using load = new Load();
      const hang = mp.push(task("hangs", 300));
      const next = mp.push(task("ping", 10_000));
      const [hung, pinged] = await Promise.all([hang, next]);
      assertEquals([hung.status, pinged.status], ["timed-out", "ok"]);
      assert(hung.ranMs < 500 + load.allows(1_000), `${hung.ranMs} ms`);
      assert(hung.workerId !== pinged.workerId);
      await until(async () => (await mp.stats()).killed === 1, 10_000, "it is stopped");
      await settled(mp);
      assertEquals((await mp.stats()).zombies, 0);
    });
  });

  Deno.test(`a task that ends its worker within its grace costs only that (${isolation})`, async () => {
    await withPool({ size: 1, isolation, timeoutGrace: 10_000 }, async (mp) => {
      const { status } = await mp.push(task("waits", 100, 0, "exit"));
      assertEquals(status, "timed-out");
      await settled(mp);
      assertEquals(await mp.run(task("ping", 10_000)), "pong");
      assertEquals((await mp.stats()).idleDeaths, 0);
    });
  });
}

Deno.test("PushOptions.cancelGrace and timeoutGrace come before those of the pool", async () => {
  await withPool({ size: 1, cancelGrace: 20_000, timeoutGrace: 20_000 }, async (mp) => {
    await timesOut(mp, "waits", [0, "return"], { timeoutGrace: 0 });
    await until(async () => (await mp.stats()).killed === 1, 10_000, "the worker was stopped");
    await cancels(mp, "waits", [0, "return"], { cancelGrace: 0 });
    await until(async () => (await mp.stats()).killed === 2, 10_000, "the worker was stopped");
  });
  await withPool({ size: 1 }, async (mp) => {
    await timesOut(mp, "waits", [0, "return"], { timeoutGrace: 20_000 });
    await cancels(mp, "waits", [0, "return"], { cancelGrace: 20_000 });
    await settled(mp);
    assertEquals((await mp.stats()).killed, 0);
  });
});

Deno.test("cancelGrace: a process that has not begun a task when that is cancelled is kept, and does not run it", async () => {
  await withPool({ size: 1, spares: 0, isolation: "process", cancelGrace: 20_000 }, async (mp) => {
    await mp.run(task("sleeps", 10_000, 0));
    const { workerId } = await mp.push(task("ping", 10_000));
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const outcome = mp.push(task("sleeps", 60_000, 100), { signal: controller.signal });
      // It may be over before that.
      let over = false;
      void outcome.then(() => over = true);
      await until(async () => over || (await mp.stats()).running === 1, 10_000, "it was sent");
      controller.abort();
      assert(["cancelled", "ok"].includes((await outcome).status));
    }
    await settled(mp);
    const { spawned, killed } = await mp.stats();
    assertEquals([(await mp.push(task("ping", 10_000))).workerId, spawned, killed], [workerId, 1, 0]);
  });
});

Deno.test("terminate() does not wait for a grace", async () => {
  await withPool({ size: 1, timeoutGrace: 60_000 }, async (mp) => {
    await mp.push(task("sleeps", 100, 60_000));
    const since = performance.now();
    await mp.terminate();
    assert(performance.now() - since < 5_000);
  });
});

Deno.test("stop() waits for a task that was cancelled to clean up", async () => {
  await withPool({ size: 1, timeoutGrace: 10_000 }, async (mp) => {
    await mp.push(task("waits", 100, 500, "return"));
    await mp.stop();
    assertEquals((await mp.stats()).killed, 0);
  });
});
