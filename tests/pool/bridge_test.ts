/** The worker that `start()` starts itself, so that the first tasks need not wait for those that sleep. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess, type MultiProcessOptions } from "../../mod.ts";
import { isAtLeast } from "../../src/runtime/version.ts";
import { fixture, script, until } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);

/** Where the pool's own workers sleep before they start, and threads can be stopped. */
const sleepy = { ignore: !isAtLeast([2, 9, 4]) };

/** Runs the test with a pool that was started just now, and ends the pool whatever happens. */
async function withNew(
  options: MultiProcessOptions,
  test: (mp: MultiProcess, warm: Promise<unknown>) => Promise<void>,
) {
  const mp = new MultiProcess({ isolation: "thread", size: 2, ...options });
  const warm = mp.start();
  warm.catch(() => {});
  try {
    await test(mp, warm);
  } finally {
    await mp.terminate();
  }
}

/** Which came first: the outcome of a first task, or the pool's being warm. */
async function first(options: MultiProcessOptions): Promise<string> {
  let came = "";
  await withNew(options, async (mp, warm) => {
    const outcome = mp.push(task("echo", 5_000, 1)).then(({ status }) => came ||= status);
    await Promise.all([outcome, warm.then(() => came ||= "warm")]);
  });
  return came;
}

Deno.test({
  name: "the first outcome is there before the pool is warm, unless there is no bridge",
  ...sleepy,
  async fn() {
    assertEquals(await first({}), "ok");
    assertEquals(await first({ memoryLimit: 200 }), "ok");
    // One worker is all there is to be warm.
    assertEquals(await first({ size: 1, spares: 0 }), "ok");
  },
});

Deno.test({
  name: "there is a bridge also after processes were started, which do not sleep",
  ...sleepy,
  async fn() {
    await withNew({ isolation: "process", size: 1 }, async (_, warm) => void await warm);
    assertEquals(await first({ size: 1, spares: 0 }), "ok");
  },
});

Deno.test("the bridge is none of the pool's workers, and goes when there are others", async () => {
  await withNew({ spares: 1 }, async (mp, warm) => {
    const outcomes = await Promise.all([1, 2, 3].map((n) => mp.push(task("echo", 5_000, n))));
    assertEquals(outcomes.map((each) => each.status === "ok" && each.value), [1, 2, 3]);
    await warm;
    await until(async () => (await mp.stats()).workers.idle === 3, 10_000, "all are there");
    const { workers, spawned, killed, zombies } = await mp.stats();
    assertEquals({ workers, spawned, killed, zombies }, {
      workers: { starting: 0, idle: 3, busy: 0, stopping: 0 },
      spawned: 3,
      killed: 0,
      zombies: 0,
    });
  });
});

Deno.test({
  name: "the thread of the bridge ends when the pool is warm",
  ...sleepy,
  async fn() {
    await withNew({}, async (mp, warm) => {
      const events = mp.events();
      const { workerId } = await mp.push(task("echo", 5_000, 1));
      await warm;
      for await (const { type, ...event } of events) {
        if (type === "worker-gone" && "workerId" in event && event.workerId === workerId) return;
      }
    });
  },
});

Deno.test("an initializer runs in no other workers than those of the pool", async () => {
  const { code, stdout } = await script("bridge.ts", ["initializer"]);
  assertEquals([code, stdout], [0, "initialized\ninitialized\n3\ndisposed\ndisposed\n"]);
});

Deno.test("a pool that is started from a worker has no bridge, and works", async () => {
  const { code, stdout, stderr } = await script("bridge.ts", ["worker"]);
  assertEquals([code, stdout], [0, "3\n"], stderr);
});

Deno.test("a task that ends the bridge is crashed, and the pool goes on", async () => {
  await withNew({}, async (mp) => {
    const outcome = await mp.push(task("exit", 5_000, 3));
    assertEquals(outcome.status, "crashed");
    assertEquals(await mp.run(task("add", 5_000, 1, 2)), 3);
  });
});

Deno.test("a task that hangs on the bridge is stopped on time, and its thread ends", async () => {
  await withNew({}, async (mp, warm) => {
    const outcome = await mp.push(task("spin", 50));
    assertEquals(outcome.status, "timed-out");
    assertEquals(await mp.run(task("add", 5_000, 1, 2)), 3);
    await warm;
    await until(async () => (await mp.stats()).workers.stopping === 0, 10_000, "the worker has ended");
    assertEquals((await mp.stats()).killed, 1);
  });
});

Deno.test({
  name:
    "a task that hangs on the bridge while the entry is blocked is over on time, and its thread ends after that",
  ...sleepy,
  async fn() {
    await withNew({ isolation: "auto" }, async (mp, warm) => {
      const since = performance.timeOrigin + performance.now();
      const hang = mp.push(task("spin", 200));
      const next = mp.push(task("stamp", 5_000));
      // The turn ends, so that the tasks leave; then nothing is done here for long.
      await new Promise((resolve) => setTimeout(resolve));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
      assertEquals((await hang).status, "timed-out");
      const { ranMs } = await hang;
      assert(ranMs < 1_000, `${ranMs} ms`);
      const outcome = await next;
      const ran = outcome.status === "ok" ? outcome.value as number : Infinity;
      assert(ran - since < 2_900, `the next task ran ${ran - since} ms after the start`);
      // That it could not be stopped sooner is not its fault.
      assertEquals((await mp.stats()).inProcesses, []);
      await warm;
      await until(async () => (await mp.stats()).workers.stopping === 0, 10_000, "the worker has ended");
    });
  },
});

Deno.test("what runs on the bridge ends there, also when the pool is long warm", async () => {
  await withNew({ spares: 0 }, async (mp, warm) => {
    const long = mp.push(task("sleep", 30_000, 1_500, "long"));
    await warm;
    const quick = await Promise.all([1, 2, 3].map((n) => mp.push(task("echo", 5_000, n))));
    for (const { status } of quick) assertEquals(status, "ok");
    const outcome = await long;
    assertEquals(outcome.status === "ok" && outcome.value, "long");
    await until(async () => (await mp.stats()).workers.idle === 2, 10_000, "the others are idle");
    assertEquals((await mp.stats()).spawned, 2);
  });
});

Deno.test("a pool that is stopped while the bridge is all it has ends in order", async () => {
  await withNew({}, async (mp) => {
    const outcome = mp.push(task("sleep", 5_000, 100, "slept"));
    const { pushed, ok } = await mp.stop();
    assertEquals([pushed, ok, (await outcome).status], [1, 1, "ok"]);
  });
});
