import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { InfoTask, type Outcome, TaskTimeoutError } from "../../mod.ts";
import type * as model from "../fixtures/model.ts";
import { viewsOf } from "../fixtures/tasks.ts";
import { fixture, task, withPool } from "../helpers.ts";

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

for (const isolation of ["thread", "process", "cell"] as const) {
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
    assertEquals(Deno.inspect(error).includes(".ts:"), false);
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
