/** One signal for many tasks: one listener, in no time, and nothing left of the pool on a signal that outlives it. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, type MultiProcess, type Outcome } from "../../mod.ts";
import { Signals } from "../../src/entry/signals.ts";
import { fixture, until, withPool } from "../helpers.ts";

const task = (name: string, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), 600_000, ...args);

/** Counts the listeners of a signal. */
function count(signal: AbortSignal): { now: number; most: number } {
  const counted = { now: 0, most: 0 };
  const listeners = new Set<unknown>();
  const look = () => {
    counted.now = listeners.size;
    counted.most = Math.max(counted.most, counted.now);
  };
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = function (this: AbortSignal, ...args: unknown[]) {
    listeners.add(args[1]);
    look();
    return Reflect.apply(addEventListener, signal, args);
  } as typeof addEventListener;
  signal.removeEventListener = function (this: AbortSignal, ...args: unknown[]) {
    listeners.delete(args[1]);
    look();
    return Reflect.apply(removeEventListener, signal, args);
  } as typeof removeEventListener;
  return counted;
}

Deno.test("Signals has one listener a signal, for as long as a task waits for it", () => {
  const cancelled: number[][] = [];
  const signals = new Signals((ids) => cancelled.push(ids));
  const one = new AbortController();
  const two = new AbortController();
  const ofOne = count(one.signal);
  const ofTwo = count(two.signal);
  for (let id = 1; id <= 10; id++) signals.add(id % 2 ? one.signal : two.signal, id);
  assertEquals([ofOne, ofTwo, signals.size], [{ now: 1, most: 1 }, { now: 1, most: 1 }, 2]);
  for (const id of [1, 3, 5]) signals.delete(one.signal, id);
  one.abort();
  assertEquals(cancelled, [[7, 9]]);
  for (const id of [7, 9]) signals.delete(one.signal, id);
  for (const id of [2, 4, 6, 8, 10]) signals.delete(two.signal, id);
  assertEquals([ofTwo, signals.size], [{ now: 0, most: 1 }, 0]);
  // Once more, after it had none.
  signals.add(two.signal, 11);
  two.abort();
  assertEquals([cancelled, signals.size], [[[7, 9], [11]], 0]);
});

Deno.test("PushOptions.signal of 20 000 tasks has one listener, and takes no longer than a signal each", async () => {
  await withPool({ size: 2, spares: 0 }, async (mp) => {
    const pushAll = async (n: number, signalOf: () => AbortSignal) => {
      const since = performance.now();
      const outcomes: Promise<Outcome>[] = [];
      for (let i = 0; i < n; i++) outcomes.push(mp.push(task("echo", i), { signal: signalOf() }));
      for (const { status } of await Promise.all(outcomes)) assertEquals(status, "ok");
      return performance.now() - since;
    };
    await pushAll(5_000, () => new AbortController().signal);
    const each = await pushAll(20_000, () => new AbortController().signal);
    const { signal } = new AbortController();
    const counted = count(signal);
    const shared = await pushAll(20_000, () => signal);
    assertEquals(counted, { now: 0, most: 1 });
    // A signal's own listeners are removed in time linear in their number: 16 000 of them took 2.5 s, 32 000 four times as long.
    assert(shared < 3 * each + 5_000, `${shared} ms with one signal, ${each} ms with one each`);
  });
});

/** Two tasks that run, and many that wait. */
async function crowd(mp: MultiProcess, n: number, signalOf: () => AbortSignal): Promise<Promise<Outcome>[]> {
  const outcomes = [1, 2].map(() => mp.push(task("never"), { signal: signalOf() }));
  await until(async () => (await mp.stats()).running === 2, 60_000, "two run");
  for (let i = 0; i < n; i++) outcomes.push(mp.push(task("echo", i), { signal: signalOf() }));
  await mp.stats();
  return outcomes;
}

Deno.test("PushOptions.signal cancels 20 000 tasks at once, and timers have their turn meanwhile", async () => {
  await withPool({ size: 2, spares: 0 }, async (mp) => {
    const controller = new AbortController();
    const outcomes = await crowd(mp, 20_000, () => controller.signal);
    const since = performance.now();
    controller.abort(new Error("enough"));
    // One message, not one for each: those took 0.5 s on a quiet machine.
    assert(performance.now() - since < 3_000, `abort() took ${performance.now() - since} ms`);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    for (const outcome of await Promise.all(outcomes)) {
      assert(outcome.status === "cancelled");
      assertEquals((outcome.error.cause as Error).message, "enough");
    }
    clearInterval(timer);
    assert(turns > 3, `${turns} turns`);
    assertEquals(await mp.run(task("add", 1, 2)), 3);
  });
});

Deno.test("PushOptions.signal made by AbortSignal.any cancels when one of its sources aborts", async () => {
  await withPool({ size: 2, spares: 0 }, async (mp) => {
    const all = new AbortController();
    const some = new AbortController();
    // Each a signal of its own, which nobody but the pool holds.
    const outcomes = await crowd(mp, 100, () => AbortSignal.any([all.signal, some.signal]));
    some.abort(new Error("some"));
    for (const outcome of await Promise.all(outcomes)) {
      assert(outcome.status === "cancelled");
      assertEquals((outcome.error.cause as Error).message, "some");
    }
  });
});

Deno.test("PushOptions.signal that a getter among the arguments aborts cancels the task", async () => {
  await withPool(1, async (mp) => {
    const controller = new AbortController();
    const args = {
      get ms() {
        controller.abort(new Error("in a getter"));
        return 600_000;
      },
    };
    const outcome = await mp.push(task("never", args), { signal: controller.signal });
    assert(outcome.status === "cancelled");
    assertEquals((outcome.error.cause as Error).message, "in a getter");
  });
});

for (const end of ["stop", "terminate"] as const) {
  Deno.test(`PushOptions.signal that outlives the pool keeps nothing of it after ${end}()`, async () => {
    const controller = new AbortController();
    const counted = count(controller.signal);
    await withPool({ size: 2, spares: 0 }, async (mp) => {
      const { signal } = controller;
      for (let i = 0; i < 100; i++) mp.push(task("echo", i), { signal });
      mp.push(task("fail", "no"), { signal });
      mp.push(task("echo", () => {}), { signal });
      for await (const _ of mp.map([1, 2, 3], (n) => task("echo", n), { signal })) break;
      if (end === "terminate") mp.push(task("never"), { signal });
      await mp[end]();
    });
    assertEquals(counted.now, 0);
    controller.abort();
  });
}
