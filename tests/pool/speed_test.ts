/** What makes the pool fast must not make anybody wait. Bounds are generous: machines are shared. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, type Outcome } from "../../mod.ts";
import { ByteBuffer, encode, MAX_BYTES } from "../../src/wire/codec.ts";
import { refuseLossy } from "../../src/wire/lossy.ts";
import { fixture, until, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);

/** The least of five times that something takes: the machine may be busy with other things. */
function quickest(run: () => void): number {
  return Math.min(...Array.from({ length: 5 }, () => {
    const since = performance.now();
    run();
    return performance.now() - since;
  }));
}

Deno.test("no quick task waits behind a long one of another module", async () => {
  await withPool({ size: 2, spares: 0 }, async (mp) => {
    await Promise.all([mp.run(task("echo", 5_000, 1)), mp.run(task("echo", 5_000, 1))]);
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const long = mp.push(task("spin", 60_000, Infinity, flag));
    await until(async () => (await mp.stats()).running === 1, 20_000, "the long one runs");
    const quick = await Promise.all(
      Array.from({ length: 1_000 }, (_, n) => mp.push(task("echo", 60_000, n))),
    );
    for (const { status } of quick) assertEquals(status, "ok");
    // Not over before all of them are.
    Atomics.store(flag, 0, 1);
    assertEquals((await long).status, "ok");
  });
});

Deno.test("no quick task waits behind one of its own module that turns out to be long", async () => {
  await withPool({ size: 2, spares: 0 }, async (mp) => {
    // The module is known to be quick, so many of its tasks are handed out at once; then one of them does not end.
    await Promise.all(Array.from({ length: 2_000 }, () => mp.push(task("spin", 60_000, 0))));
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const outcomes = Array.from(
      { length: 2_000 },
      (_, n) => mp.push(n === 700 ? task("spin", 60_000, Infinity, flag) : task("spin", 60_000, 0)),
    );
    const [long] = outcomes.splice(700, 1);
    for (const { status } of await Promise.all(outcomes)) assertEquals(status, "ok");
    Atomics.store(flag, 0, 1);
    assertEquals((await long!).status, "ok");
  });
});

Deno.test("callbacks are fired in slices: timers have their turn while 50 000 outcomes arrive", async () => {
  await withPool({ size: 2, spares: 0 }, async (mp) => {
    const callback = () => {
      const end = performance.now() + 0.02;
      while (performance.now() < end);
    };
    const outcomes: Promise<Outcome>[] = [];
    for (let n = 0; n < 50_000; n++) outcomes.push(mp.push(task("echo", 60_000, n), { callback }));
    let over = false;
    Promise.all(outcomes).then(() => over = true);
    const gaps: number[] = [];
    for (let last = performance.now(); !over;) {
      await new Promise((resolve) => setTimeout(resolve));
      const now = performance.now();
      gaps.push(now - last);
      last = now;
    }
    gaps.sort((a, b) => a - b);
    const median = gaps[gaps.length >> 1]!;
    console.log(
      `${gaps.length} turns, ${median.toFixed(1)} ms apart (median), ${gaps.at(-1)!.toFixed(1)} ms at most`,
    );
    // The callbacks alone take a second. The median, because other processes and collecting garbage take their time.
    assert(gaps.length > 60, `${gaps.length} turns`);
    assert(median < 12, `${median} ms`);
  });
});

Deno.test("refuseLossy() is quicker than the clone with large arrays of primitives, of any kind", () => {
  const numbers = new Array(2_000_000).fill(1.5);
  for (const value of [numbers, { numbers }, new Uint8Array(2 ** 25)]) {
    assert(quickest(() => refuseLossy(value, "x", "thread")) < quickest(() => structuredClone(value)));
  }
});

Deno.test("encode() gives up large arrays of any kind quicker than they are cloned", () => {
  const buffer = new ByteBuffer(2 * MAX_BYTES);
  for (const value of [new Uint8Array(2 ** 25), new Array(2 ** 21).fill(1)]) {
    const encoding = quickest(() => assertEquals(encode(buffer, value), false));
    assert(encoding < quickest(() => structuredClone(value)));
  }
});
