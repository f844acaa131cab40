import { assert, assertEquals, assertRejects } from "@std/assert";
import { InfoTask, MultiProcess, type Outcome } from "../../mod.ts";
import { fixture, held, until, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);
const causeOf = (outcome: Outcome) => outcome.status === "cancelled" ? outcome.error.cause : outcome.status;

/** Resolves when so many attempts have begun from now on. */
async function begins(mp: MultiProcess, count: number): Promise<void> {
  for await (const { type } of mp.events()) if (type === "started" && --count === 0) return;
}

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test(`MultiProcess.cancelWaiting() cancels what waits, with the reason, and the pool lives on (${isolation})`, async () => {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      // A module that was never loaded is, to see whether it has a callback.
      await mp.run(task("echo", 5_000, 0));
      const retry = { maxAttempts: 2, minTimeout: 60_000, jitter: 0 };
      const tried = begins(mp, 1);
      const retried = mp.push(task("fail", 5_000, "no"), { retry });
      await tried;
      await until(async () => (await mp.stats()).queued === 1, 20_000, "it waits for its next attempt");
      const begun = begins(mp, 1);
      const running = mp.push(task("sleep", 20_000, 1_000, "done"), { retry });
      await begun;
      const queued = [mp.push(task("echo", 5_000, 1)), mp.push(task("echo", 5_000, 2), { priority: 3 })];
      assertEquals(await mp.cancelWaiting("all stop"), 3);
      const outcomes = await Promise.all([retried, ...queued]);
      assertEquals(outcomes.map(causeOf), ["all stop", "all stop", "all stop"]);
      assertEquals(outcomes.map(({ attempts }) => attempts), [1, 0, 0]);
      const later = mp.push(task("echo", 5_000, 3));
      assertEquals([(await running).status, (await later).status], ["ok", "ok"]);
      assertEquals((await mp.stats()).spawned, 1);
      assertEquals(await mp.cancelWaiting(), 0);
    });
  });

  Deno.test(`MultiProcess.cancelWaiting(): what runs is not tried again (${isolation})`, async () => {
    await withPool({ size: 1, isolation }, async (mp) => {
      const retry = { maxAttempts: 5, minTimeout: 1, jitter: 0, on: ["timed-out"] as const };
      const begun = begins(mp, 1);
      const running = mp.push(task("sleep", 1_000, 60_000), { retry });
      await begun;
      await mp.cancelWaiting();
      const { status, attempts } = await running;
      assertEquals([status, attempts], ["timed-out", 1]);
    });
  });

  Deno.test(`MultiProcess.stop({ waiting: "cancel" }) finishes what runs and drops what waits (${isolation})`, async () => {
    const mp = await new MultiProcess({ size: 2, isolation }).start();
    const begun = begins(mp, 2);
    const pushed = Array.from({ length: 50 }, (_, i) => mp.push(task("sleep", 20_000, 700, i)));
    await begun;
    const { ok, cancelled } = await mp.stop({ waiting: "cancel", reason: "no time" });
    assertEquals([ok, cancelled], [2, 48]);
    const outcomes = await Promise.all(pushed);
    assertEquals(outcomes.slice(2).map(causeOf), new Array(48).fill("no time"));
    assertEquals(mp.stop(), mp.stop({ waiting: "cancel" }));
  });
}

Deno.test("MultiProcess.stop({ waiting: 'cancel' }) can be said of a pool that is stopping", async () => {
  const mp = await new MultiProcess(1).start();
  const begun = begins(mp, 1);
  for (let i = 0; i < 20; i++) mp.push(task("sleep", 20_000, 500));
  await begun;
  const stopped = mp.stop();
  void mp.stop({ waiting: "cancel" });
  const { ok, cancelled } = await stopped;
  assertEquals([ok, cancelled], [1, 19]);
});

Deno.test("MultiProcess.cancelWaiting() takes back what a worker was handed but has not begun", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    // So short that a worker is given many.
    for (let i = 0; i < 100; i++) mp.push(task("echo", 5_000, i));
    await mp.run(task("echo", 5_000, 0));
    const begun = begins(mp, 1);
    const hang = mp.push(task("spin", 2_000, 1_000));
    const behind = Array.from({ length: 100 }, (_, i) => mp.push(task("echo", 5_000, i)));
    await begun;
    assertEquals(await mp.cancelWaiting(), 100);
    assertEquals(new Set((await Promise.all(behind)).map(({ status }) => status)), new Set(["cancelled"]));
    assertEquals((await hang).status, "ok");
  });
});

Deno.test("MultiProcess.cancelWaiting(): each task has the reason of its call, and its own signal's comes first", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    const begun = begins(mp, 1);
    const long = held();
    const running = mp.push(long.task);
    await begun;
    const controller = new AbortController();
    const first = mp.push(task("echo", 5_000, 1));
    const own = mp.push(task("echo", 5_000, 2), { signal: controller.signal });
    controller.abort("own");
    const counts = [mp.cancelWaiting("first")];
    const second = mp.push(task("echo", 5_000, 3));
    counts.push(mp.cancelWaiting("second"));
    const third = mp.push(task("echo", 5_000, 4));
    assertEquals(await Promise.all(counts), [1, 1]);
    long.release();
    assertEquals((await Promise.all([first, second, own])).map(causeOf), ["first", "second", "own"]);
    assertEquals((await third).status, "ok");
    await running;
  });
});

Deno.test("MultiProcess.cancelWaiting() calls error callbacks, and a map goes on with its next inputs", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    const told: string[] = [];
    const begun = begins(mp, 1);
    const long = held();
    const running = mp.push(long.task);
    await begun;
    mp.push(task("echo", 5_000, 1), { errorCallback: (error) => told.push(error.name) });
    const statuses: string[] = [];
    const mapping = (async () => {
      const inputs = mp.map([1, 2, 3, 4], (n) => task("echo", 5_000, n), { concurrency: 2 });
      for await (const { status } of inputs) statuses.push(status);
    })();
    await until(async () => (await mp.stats()).queued === 3, 20_000, "two of the map wait");
    assertEquals(await mp.cancelWaiting(), 3);
    long.release();
    await mapping;
    assertEquals(statuses, ["cancelled", "cancelled", "ok", "ok"]);
    assertEquals(told, ["TaskCancelledError"]);
    await running;
  });
});

Deno.test("MultiProcess.cancelWaiting() drops a hundred thousand tasks, and deadlines are kept meanwhile", async () => {
  await withPool({ size: 1 }, async (mp) => {
    const begun = begins(mp, 1);
    const hang = mp.push(task("spin", 4_000));
    await begun;
    for (let i = 0; i < 100_000; i++) void mp.push(task("echo", 5_000, i));
    assertEquals(await mp.cancelWaiting(), 100_000);
    const { status, ranMs } = await hang;
    assertEquals(status, "timed-out");
    assert(ranMs < 5_000, `${ranMs} ms`);
  });
});

Deno.test("MultiProcess.cancelWaiting() is without effect before the start and after the end", async () => {
  const mp = new MultiProcess(1);
  assertEquals(await mp.cancelWaiting(), 0);
  await mp.start();
  await mp.stop();
  assertEquals(await mp.cancelWaiting(), 0);
});

Deno.test("MultiProcess.stop() refuses what it does not know, and goes on as it was", async () => {
  await withPool(1, async (mp) => {
    const refused = (options: unknown) => assertRejects(async () => await mp.stop(options as never));
    await refused({ waiting: "drop" });
    await refused({ wating: "cancel" });
    await refused("cancel");
    assertEquals(await mp.run(task("echo", 5_000, 1)), 1);
  });
});
