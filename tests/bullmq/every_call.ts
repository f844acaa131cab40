/** One table of calls and what becomes of them, run against a pool of one machine and one of many alike. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  InfoTask,
  MultiProcess,
  type Outcome,
  PoolStateError,
  QueueFullError,
  TaskCancelledError,
  TaskLoadError,
  type TaskPool,
  TaskTimeoutError,
  WorkerCrashError,
} from "../../mod.ts";
import { until } from "../helpers.ts";
import { ROOT, task } from "./machines.ts";
import type { Store } from "./stores.ts";

const SIZE = 2;

interface Options {
  maxQueue?: number;
  onCallbackError?: (error: unknown) => void;
}

type Make = (options?: Options) => TaskPool;

/** What is the same wherever the task runs. */
function told(outcome: Outcome): unknown {
  const { status, attempts, taskId } = outcome;
  const end = outcome.status === "ok"
    ? outcome.value
    : { ...describe(outcome.error), task: outcome.task.specifier };
  return { status, attempts, taskId, end };
}

function describe(error: Error): Record<string, unknown> {
  const { name, message, cause } = error;
  return {
    ...error,
    class: error.constructor.name,
    name,
    message: message.replaceAll(/\d{2,} bytes/g, "N bytes"),
    ...(cause !== undefined && { cause: cause instanceof Error ? describe(cause) : cause }),
  };
}

/** What is pushed, and a look at the outcome that both pools must give alike. */
const OUTCOMES: [name: string, push: (pool: TaskPool) => Promise<Outcome>, status: Outcome["status"]][] = [
  ["a value", (pool) => pool.push(new InfoTask(task("add"), 20_000, 20, 22)), "ok"],
  ["a class", (pool) => pool.push(new InfoTask(`${ROOT}class.ts#Greeting`, 20_000, "you")), "ok"],
  ["a module in a folder", (pool) => pool.push(new InfoTask(`${ROOT}inner/plain.ts`, 20_000)), "ok"],
  ["its id and attempt", (pool) => pool.push(new InfoTask(task("facts"), 20_000)), "ok"],
  ["no value", (pool) => pool.push(new InfoTask(task("same"), 20_000)), "ok"],
  ...([
    ["null", null],
    ["a Map of Sets", new Map([["a", new Set([1, 2])]])],
    ["a Date", new Date(1e12)],
    ["a bigint", 2n ** 80n],
    ["special numbers", [NaN, -0, Infinity]],
    ["bytes", new Uint8Array([1, 2, 3])],
    ["a key order", { z: 1, a: 2, m: { y: 1, b: 2 } }],
    ["odd text", ["\u0000", "\ud800", "ä", "\u2028"]],
    ["an error", Object.assign(new RangeError("inside"), { code: 1 })],
  ] as [string, unknown][]).map(([name, value]): typeof OUTCOMES[number] => [
    `${name} there and back`,
    (pool) => pool.push(new InfoTask(task("same"), 20_000, value)),
    "ok",
  ]),
  ["what is thrown", (pool) => pool.push(new InfoTask(task("fail"), 20_000, "as asked")), "failed"],
  ["a thrown string", (pool) => pool.push(new InfoTask(task("throwString"), 20_000)), "failed"],
  ["a hang", (pool) => pool.push(new InfoTask(task("hang"), 100)), "timed-out"],
  ["a wait that is too long", (pool) => pool.push(new InfoTask(task("sleep"), 100, 60_000)), "timed-out"],
  ["an exit", (pool) => pool.push(new InfoTask(task("exit"), 20_000, 3)), "crashed"],
  ["no such export", (pool) => pool.push(new InfoTask(task("noSuch"), 20_000)), "failed"],
  ["no such module", (pool) => pool.push(new InfoTask(`${ROOT}no_such.ts`, 20_000)), "failed"],
  ["a throw at top level", (pool) => pool.push(new InfoTask(`${ROOT}broken.ts`, 20_000)), "failed"],
  ["a function as argument", (pool) => pool.push(new InfoTask(task("same"), 20_000, () => 1)), "failed"],
  [
    "a URL as argument",
    (pool) => pool.push(new InfoTask(task("same"), 20_000, new URL("https://a.b"))),
    "failed",
  ],
  ["a URL as result", (pool) => pool.push(new InfoTask(task("returnsUrl"), 20_000)), "failed"],
  ["a soft limit", (pool) => pool.push(new InfoTask(task("soft"), 20_000), { softTimeout: 50 }), "ok"],
  ["an aborted signal", (pool) => {
    return pool.push(new InfoTask(task("add"), 20_000, 1, 2), { signal: AbortSignal.abort("not wanted") });
  }, "cancelled"],
  ["retries that help", (pool) => {
    const retry = { minTimeout: 10, jitter: 0 };
    return pool.push(new InfoTask(task("failUntil"), 20_000, 3), { retry });
  }, "ok"],
  ["retries that do not", (pool) => {
    const retry = { maxAttempts: 2, minTimeout: 10, jitter: 0 };
    return pool.push(new InfoTask(task("failUntil"), 20_000, 9), { retry });
  }, "failed"],
  ["a retried timeout", (pool) => {
    const retry = { maxAttempts: 2, minTimeout: 10, jitter: 0, on: ["timed-out"] as const };
    return pool.push(new InfoTask(task("sleep"), 50, 60_000), { retry });
  }, "timed-out"],
];

/** What a pool does beyond one outcome. */
const CALLS: [name: string, call: (make: Make) => Promise<void>][] = [
  ["run() gives the value, or throws the error of the outcome", (make) =>
    using(make(), async (pool) => {
      assertEquals(await pool.run(new InfoTask(task("add"), 20_000, 1, 2)), 3);
      await assertRejects(() => pool.run(new InfoTask(task("fail"), 20_000, "x")), TypeError, "x");
      await assertRejects(() => pool.run(new InfoTask(task("hang"), 50)), TaskTimeoutError, "limit of 50 ms");
      await assertRejects(() => pool.run(new InfoTask(task("exit"), 9_000, 4)), WorkerCrashError, "code 4");
      await assertRejects(() => pool.run(new InfoTask(task("noSuch"), 9_000)), TaskLoadError);
    })],
  ["map() gives the outcomes in the order of the inputs", (make) =>
    using(make(), async (pool) => {
      const values: unknown[] = [];
      for await (const outcome of pool.map([3, 1, 2], (n) => new InfoTask(task("add"), 20_000, n, n))) {
        values.push(outcome.status === "ok" && outcome.value);
      }
      assertEquals(values, [6, 2, 4]);
    })],
  ["map() cancels what is in flight when the loop is left", (make) =>
    using(make(), async (pool) => {
      for await (
        const _ of pool.map([0, 30_000, 30_000], (ms) => new InfoTask(task("sleep"), 60_000, ms))
      ) break;
      assertEquals((await pool.stats()).outcomes.cancelled, 2);
    })],
  [
    "push() calls closures instead of the module's callbacks, before the promise settles",
    (make) =>
      using(make(), async (pool) => {
        const order: unknown[] = [];
        const callback = (value: unknown) => order.push(value);
        const errorCallback = (error: Error) => order.push(error.message);
        await pool.push(new InfoTask(task("add"), 20_000, 1, 2), { callback }).then(() =>
          order.push("settled")
        );
        await pool.push(new InfoTask(task("fail"), 20_000, "x"), { errorCallback }).then(() =>
          order.push("settled")
        );
        assertEquals(order, [3, "settled", "x", "settled"]);
      }),
  ],
  ["push() calls the module's callbacks", async (make) => {
    const file = await Deno.makeTempFile();
    try {
      await using(make(), async (pool) => {
        await pool.push(new InfoTask(`${ROOT}told.ts`, 20_000, file, 1));
        await pool.push(new InfoTask(`${ROOT}told.ts`, 20_000, file, 2, 0, true));
        await pool.push(new InfoTask(`${ROOT}told.ts`, 50, file, 3, 60_000));
      });
      const lines = (await Deno.readTextFile(file)).trim().split("\n");
      assertEquals(lines.map((line) => line.split(" ").slice(0, 3).join(" ")), [
        "told 1 ok",
        "told 2 failed",
        "told 3 timed-out",
      ]);
    } finally {
      await Deno.remove(file);
    }
  }],
  ["a callback that throws harms nothing, and is counted", async (make) => {
    const errors: unknown[] = [];
    const pool = make({ onCallbackError: (error) => errors.push((error as Error).message) });
    await using(pool, async (pool) => {
      const callback = () => {
        throw new Error("in a callback");
      };
      assertEquals((await pool.push(new InfoTask(task("add"), 20_000, 1, 2), { callback })).status, "ok");
      assertEquals((await pool.stats()).callbackErrors, 1);
    });
    assertEquals(errors, ["in a callback"]);
  }],
  ["onProgress() hears all, in order, before the outcome", (make) =>
    using(make(), async (pool) => {
      for (const [name, ms] of [["report", 30], ["report", 0], ["generate", 0]] as const) {
        const heard: unknown[] = [];
        const onProgress = (value: unknown) => heard.push(value);
        const outcome = await pool.push(new InfoTask(task(name), 20_000, 5, ms), { onProgress });
        assertEquals([outcome.status, heard], ["ok", [1, 2, 3, 4, 5]], `${name} ${ms}`);
      }
    })],
  ["a signal cancels a task that runs, hangs or waits", (make) =>
    using(make(), async (pool) => {
      for (const name of ["sleep", "hang"]) {
        const controller = new AbortController();
        const { signal } = controller;
        const pushed = pool.push(new InfoTask(task(name), 60_000, 60_000), { signal });
        await new Promise((resolve) => setTimeout(resolve, 200));
        controller.abort("enough");
        const outcome = await pushed;
        assert(outcome.status === "cancelled" && outcome.error instanceof TaskCancelledError);
        assertEquals(outcome.error.cause, "enough");
      }
      assertEquals(await pool.run(new InfoTask(task("add"), 20_000, 1, 2)), 3);
    })],
  ["a higher priority goes first", (make) =>
    using(make(), async (pool) => {
      const order: number[] = [];
      const controllers = Array.from({ length: SIZE }, () => new AbortController());
      const busy = controllers.map(({ signal }) =>
        pool.push(new InfoTask(task("sleep"), 120_000, 60_000), { signal })
      );
      await until(async () => (await pool.stats()).running === SIZE, 30_000, "all are busy");
      const rest = [0, -5, 7, 3].map((priority) =>
        pool.push(new InfoTask(task("add"), 20_000, 0, 0), { priority, callback: () => order.push(priority) })
      );
      await until(async () => (await pool.stats()).queued === rest.length, 30_000, "all wait");
      // One place, so that they run one after the other.
      controllers[0]!.abort();
      await Promise.all(rest);
      assertEquals(order, [7, 3, 0, -5]);
      controllers[1]!.abort();
      await Promise.all(busy);
    })],
  ["push() refuses what does not fit in the queue, and room() tells when it does", async (make) => {
    await using(make({ maxQueue: 1 }), async (pool) => {
      const pushed = [];
      for (let i = 0; i < 1 + SIZE; i++) {
        try {
          pushed.push(pool.push(new InfoTask(task("sleep"), 20_000, 300)));
        } catch (error) {
          // Of a fleet no task counts as running.
          assert(error instanceof QueueFullError && i > 0);
        }
      }
      assertThrows(() => pool.push(new InfoTask(task("sleep"), 20_000, 1)), QueueFullError, "maxQueue: 1");
      await pool.room();
      pushed.push(pool.push(new InfoTask(task("sleep"), 20_000, 1)));
      assert((await Promise.all(pushed)).every(({ status }) => status === "ok"));
    });
  }],
  ["misuse throws at the door", async (make) => {
    const pool = make();
    const good = new InfoTask(task("add"), 1_000, 1, 2);
    assertThrows(() => pool.push(good), PoolStateError, "not started");
    await assertRejects(() => pool.room(), PoolStateError, "not started");
    await pool.start();
    assertEquals(await pool.start(), pool);
    assertThrows(() => pool.push({} as InfoTask), TypeError, "must be an InfoTask");
    assertThrows(() => pool.push(good, { prio: 1 } as never), TypeError, `unknown option "prio"`);
    assertThrows(() => pool.push(good, { priority: NaN }), RangeError, `"priority"`);
    assertThrows(() => pool.map(1 as never, () => good), TypeError, "must be iterable");
    const summary = await pool.stop();
    assertEquals(await pool.stop(), summary);
    assertThrows(() => pool.push(good), PoolStateError, "stopped");
    await assertRejects(() => pool.start(), PoolStateError, "stopped");
    assertEquals(summary.pushed, 0);
  }],
  ["stop() waits for every outcome and every callback", async (make) => {
    const pool = make();
    await pool.start();
    const heard: unknown[] = [];
    for (let i = 0; i < 5; i++) {
      const callback = async (value: unknown) => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        heard.push(value);
      };
      void pool.push(new InfoTask(task("add"), 20_000, i, 0), { callback });
    }
    const { elapsedMs: _, ...summary } = await pool.stop();
    assertEquals(heard.length, 5);
    assertEquals(summary, {
      pushed: 5,
      ok: 5,
      failed: 0,
      timedOut: 0,
      crashed: 0,
      cancelled: 0,
      callbackErrors: 0,
    });
  }],
  ["terminate() cancels all, with the reason", async (make) => {
    const pool = make();
    await pool.start();
    const pushed = Array.from({ length: 6 }, () => pool.push(new InfoTask(task("hang"), 60_000)));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const since = performance.now();
    const { cancelled } = await pool.terminate("all over");
    assert(performance.now() - since < 3_000);
    assertEquals(cancelled, 6);
    for (const outcome of await Promise.all(pushed)) {
      assertEquals(outcome.status === "cancelled" && outcome.error.cause, "all over");
    }
  }],
  ["events() tells what was pushed and settled", async (make) => {
    const pool = make();
    const events = pool.events();
    await pool.start();
    await pool.push(new InfoTask(task("add"), 20_000, 1, 2));
    await pool.stop();
    const types = (await Array.fromAsync(events)).map(({ type }) => type);
    assertEquals(types.filter((type) => type === "pushed" || type === "settled"), ["pushed", "settled"]);
  }],
];

async function using(pool: TaskPool, use: (pool: TaskPool) => Promise<void>): Promise<void> {
  try {
    await pool.start();
    await use(pool);
  } finally {
    await pool.terminate();
  }
}

/** What the pool of one machine gives, which is what all others must give. */
/** Shown in messages. */
const NAME = "alike";

async function expectedOutcomes(): Promise<unknown[]> {
  const pool = new MultiProcess({ size: SIZE, name: NAME });
  await pool.start();
  const outcomes = [];
  for (const [, push] of OUTCOMES) outcomes.push(told(await push(pool)));
  await pool.terminate();
  return outcomes;
}

/** Runs the table against pools of this machine. */
export function testMultiProcess(): void {
  Deno.test("MultiProcess", async (t) => {
    for (const [name, call] of CALLS) {
      await t.step(name, () => call((options) => new MultiProcess({ size: SIZE, spares: 0, ...options })));
    }
  });
}

/** Runs the table against a fleet. */
export function testFleet(store: Store): void {
  Deno.test({
    name: `Fleet, with its queue in ${store.name}`,
    ignore: !store.there,
    fn: async (t) => {
      await using place = await store.open();
      await using _machine = await place.serve({ pool: SIZE });
      await t.step("gives the outcomes that the pool of one machine gives", async () => {
        const expected = await expectedOutcomes();
        const pool = place.fleet({ name: NAME });
        await pool.start();
        for (const [i, [name, push, status]] of OUTCOMES.entries()) {
          const outcome = await push(pool);
          assertEquals(outcome.status, status, name);
          assertEquals(told(outcome), expected[i], name);
        }
        await pool.stop();
      });
      for (const [name, call] of CALLS) await t.step(name, () => call((options) => place.fleet(options)));
    },
  });
}
