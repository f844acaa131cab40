/** What goes on when a cell ends: the next is started, though some cannot be, and what waited waits on. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess, type MultiProcessOptions } from "../../mod.ts";
import { children, fixture, inline, until, withPool } from "../helpers.ts";

const cell = (options: MultiProcessOptions = {}): MultiProcessOptions => ({
  size: 2,
  isolation: "cell",
  output: "ignore",
  killGrace: 50,
  ...options,
});
const add = () => new InfoTask(fixture("tasks.ts#add"), 60_000, 20, 22);
const KILLED = `export const runnable = () => Deno.kill(Deno.pid, "SIGKILL");`;

/** Has a thread that does not end make its cell leave. Resolves when another has taken over. */
async function leave(mp: MultiProcess): Promise<void> {
  const before = new Set(children());
  const { status } = await mp.push(new InfoTask(fixture("stubborn.ts#child"), 150));
  assertEquals(status, "timed-out");
  await until(() => children().some((child) => !before.has(child)), 20_000, "another cell");
}

/** A file to which tasks and initializers write, and that says what to do. */
async function withFile(test: (file: string, lines: () => string[]) => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile();
  try {
    await test(file, () => Deno.readTextFileSync(file).split("\n").slice(0, -1));
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("a pool in cells that was warm outlives a time in which none can be started: its tasks wait", async () => {
  const before = Deno.env.get("TMPDIR");
  await withPool(cell(), async (mp) => {
    assertEquals(await mp.run(add()), 42);
    // No cell can have its files.
    Deno.env.set("TMPDIR", "/there/is/no/such/folder");
    try {
      await mp.push(new InfoTask(inline(KILLED), 60_000));
      const [first, second, third] = [mp.push(add()), mp.push(add()), mp.push(add(), { priority: 1 })];
      // A spare may have been on its way.
      await until(() => children().length === 0, 20_000, "there is no cell");
      // The time of several starts that fail.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      assertEquals((await mp.stats()).queued, 3);
      assertEquals(await mp.renew(), undefined);
      const controller = new AbortController();
      const aborted = mp.push(add(), { signal: controller.signal });
      controller.abort();
      assertEquals((await aborted).status, "cancelled");
      assertEquals(await mp.cancelWaiting(), 3);
      for (const outcome of [first, second, third]) {
        const { status, attempts } = await outcome;
        assertEquals([status, attempts], ["cancelled", 0]);
      }
      const after = [mp.push(add()), mp.push(add(), { priority: 1 })];
      if (before === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", before);
      for (const outcome of await Promise.all(after)) assertEquals(outcome.status, "ok");
    } finally {
      if (before === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", before);
    }
  });
});

Deno.test("a pool in cells without a cell can be stopped", async () => {
  const before = Deno.env.get("TMPDIR");
  const mp = new MultiProcess(cell());
  await mp.start();
  Deno.env.set("TMPDIR", "/there/is/no/such/folder");
  try {
    await mp.push(new InfoTask(inline(KILLED), 60_000));
    await until(() => children().length === 0, 20_000, "there is no cell");
    await new Promise((resolve) => setTimeout(resolve, 400));
    const since = performance.now();
    const { crashed } = await mp.stop();
    assertEquals(crashed, 1);
    assert(performance.now() - since < 2_000, "at once");
  } finally {
    if (before === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", before);
    await mp.terminate();
  }
});

Deno.test("an initializer that fails for a while in the next cell does not end the pool", async () => {
  await withFile(async (file, lines) => {
    const folder = await Deno.makeTempDir();
    const initializer = inline(`export function initialize() {
      try {
        Deno.statSync(${JSON.stringify(`${folder}/down`)});
      } catch {
        return;
      }
      Deno.writeTextFileSync(${JSON.stringify(file)}, "failed\\n", { append: true });
      throw new Error("as asked");
    }`);
    try {
      await withPool(cell({ size: 1, spares: 0, initializer }), async (mp) => {
        await Deno.writeTextFile(`${folder}/down`, "");
        await mp.push(new InfoTask(inline(KILLED), 60_000));
        await until(() => lines().length >= 2, 20_000, "two failed starts");
        await Deno.remove(`${folder}/down`);
        await until(async () => (await mp.push(add())).status === "ok", 20_000, "tasks run again");
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});

/** Writes down when it runs, in which process, as which attempt; fails before the third if the second was not told otherwise. */
const failing = (file: string, ms = 0) =>
  inline(`export async function runnable() {
    const line = [Date.now(), Deno.pid, this.attempt].join(" ") + "\\n";
    Deno.writeTextFileSync(${JSON.stringify(file)}, line, { append: true });
    await new Promise((resolve) => setTimeout(resolve, this.attempt === 1 ? ${ms} : 0));
    if (this.attempt === 1) throw new Error("once");
    return this.attempt;
  }`);

const retryAfter = (ms: number) => ({
  retry: { maxAttempts: 2, minTimeout: ms, maxTimeout: ms, jitter: 0, on: ["failed" as const] },
});

for (const how of ["dies", "leaves"] as const) {
  Deno.test(`a task waits on for its next attempt when its cell ${how}`, async () => {
    await withFile(async (file, lines) => {
      await withPool(cell(), async (mp) => {
        const waiting = mp.push(new InfoTask(failing(file), 60_000), retryAfter(4_000));
        const begun = async () => lines().length === 1 && (await mp.stats()).running === 0;
        await until(begun, 10_000, "it waits");
        if (how === "dies") await mp.push(new InfoTask(inline(KILLED), 60_000));
        else await leave(mp);
        const outcome = await waiting;
        assert(outcome.status === "ok", outcome.status);
        assertEquals([outcome.value, outcome.attempts], [2, 2]);
        const [first, second] = lines().map((line) => line.split(" "));
        assert(Number(second![0]) - Number(first![0]) >= 3_950, `${lines()}`);
        assert(first![1] !== second![1], "in another cell");
      });
    });
  });
}

Deno.test("a task that fails in a cell that leaves is tried again in the next", async () => {
  await withFile(async (file, lines) => {
    await withPool(cell({ size: 3 }), async (mp) => {
      const running = mp.push(new InfoTask(failing(file, 4_000), 60_000), retryAfter(10));
      await until(() => lines().length === 1, 10_000, "it runs");
      await leave(mp);
      assertEquals(lines().length, 1);
      const outcome = await running;
      assert(outcome.status === "ok", outcome.status);
      assertEquals([outcome.value, outcome.attempts], [2, 2]);
      const [first, second] = lines().map((line) => line.split(" ")[1]);
      assert(first !== second, "in another cell");
      await until(() => !children().includes(Number(first)), 10_000, "the end of the cell");
    });
  });
});

Deno.test("what waits for its next attempt after its cell left is cancelled by cancelWaiting()", async () => {
  await withFile(async (file, lines) => {
    await withPool(cell({ size: 3 }), async (mp) => {
      const early = mp.push(new InfoTask(failing(file), 60_000), retryAfter(60_000));
      const late = mp.push(new InfoTask(failing(file, 4_000), 60_000), retryAfter(60_000));
      const last = mp.push(new InfoTask(failing(file, 8_000), 60_000), retryAfter(60_000));
      await until(() => lines().length === 3, 10_000, "they run");
      await leave(mp);
      await until(async () => (await mp.stats()).queued === 2, 10_000, "two wait");
      assertEquals(await mp.cancelWaiting(), 2);
      for (const outcome of await Promise.all([early, late])) {
        assertEquals([outcome.status, outcome.attempts], ["cancelled", 1]);
      }
      // What runs goes on, and is not tried again.
      const { status, attempts } = await last;
      assertEquals([status, attempts, lines().length], ["failed", 1, 3]);
    });
  });
});

Deno.test("after renew() nothing begins in a cell that leaves, also what is tried again", async () => {
  await withFile(async (file, lines) => {
    await withPool(cell({ size: 3 }), async (mp) => {
      const early = mp.push(new InfoTask(failing(file), 60_000), retryAfter(5_000));
      const late = mp.push(new InfoTask(failing(file, 4_000), 60_000), retryAfter(1_000));
      await until(() => lines().length === 2, 10_000, "they run");
      await leave(mp);
      const pid = lines()[0]!.split(" ")[1];
      await mp.renew();
      for (const outcome of await Promise.all([early, late])) {
        assertEquals([outcome.status, outcome.attempts], ["ok", 2]);
      }
      for (const line of lines().slice(2)) assert(line.split(" ")[1] !== pid, "in another cell");
    });
  });
});

/** Has no cell be started, for as long as the test says. */
async function withoutCells(mp: MultiProcess, test: (again: () => void) => Promise<void>): Promise<void> {
  const before = Deno.env.get("TMPDIR");
  const again = () => before === undefined ? Deno.env.delete("TMPDIR") : Deno.env.set("TMPDIR", before);
  // No cell can have its files.
  Deno.env.set("TMPDIR", "/there/is/no/such/folder");
  try {
    await mp.push(new InfoTask(inline(KILLED), 60_000));
    // A spare may have been on its way.
    await until(() => children().length === 0, 20_000, "there is no cell");
    await test(again);
  } finally {
    again();
  }
}

const heard: unknown[] = [];
Object.assign(globalThis, { heardByCallbacks: heard });
/** A module that no worker has loaded, with a callback. */
const called = (name: string) =>
  new InfoTask(
    inline(`export const runnable = () => ${JSON.stringify(name)};
      export const errorCallback = () => void globalThis.heardByCallbacks.push(${JSON.stringify(name)});`),
    60_000,
  );

Deno.test("stop() that cancels what waits does not wait for a look at callbacks while no cell can be had", async () => {
  const mp = new MultiProcess(cell());
  await mp.start();
  try {
    await withoutCells(mp, async () => {
      const outcome = mp.push(called("never"));
      const since = performance.now();
      const { cancelled } = await mp.stop({ waiting: "cancel" });
      assertEquals([cancelled, (await outcome).status], [1, "cancelled"]);
      const ms = performance.now() - since;
      // As long as such a look may take where there is a cell.
      assert(ms < 5_000, `${ms} ms`);
    });
  } finally {
    await mp.terminate();
  }
});

Deno.test("a task that is cancelled while there is no cell has its errorCallback called as soon as there is one", async () => {
  await withPool(cell(), async (mp) => {
    await withoutCells(mp, async (again) => {
      const outcome = mp.push(called("late"));
      again();
      assertEquals(await mp.cancelWaiting(), 1);
      assertEquals((await outcome).status, "cancelled");
      assert(heard.includes("late"), "its errorCallback was called");
    });
  });
});

Deno.test("a module that kills every cell costs few of them, and no healthy task once it is known for that", async () => {
  await withFile(async (file, lines) => {
    await withPool(cell(), async (mp) => {
      const deadly = inline(`export function runnable() {
        Deno.writeTextFileSync(${JSON.stringify(file)}, "x\\n", { append: true });
        Deno.kill(Deno.pid, "SIGKILL");
      }`);
      const outcomes = Array.from({ length: 100 }, () => mp.push(new InfoTask(deadly, 60_000)));
      await until(() => lines().length >= 8, 20_000, "it is known for that");
      // They run for longer than it takes for the next cell to be killed.
      const healthy = Array.from(
        { length: 4 },
        () => mp.push(new InfoTask(fixture("tasks.ts#sleep"), 60_000, 2_000, 1)),
      );
      for (const outcome of await Promise.all(outcomes)) assertEquals(outcome.status, "crashed");
      for (const outcome of await Promise.all(healthy)) assertEquals(outcome.status, "ok");
      assert(lines().length <= 24, `${lines().length} were tried`);
    });
  });
});

Deno.test("a module that kills its cell as it is loaded is not loaded again and again to look for callbacks", async () => {
  await withFile(async (file, lines) => {
    await withPool(cell({ size: 1 }), async (mp) => {
      const deadly = inline(`Deno.writeTextFileSync(${JSON.stringify(file)}, "x\\n", { append: true });
        Deno.kill(Deno.pid, "SIGKILL");`);
      assertEquals((await mp.push(new InfoTask(deadly, 60_000))).status, "crashed");
      // For the task, and for its callbacks.
      assertEquals(lines().length, 2);
      assertEquals(await mp.run(add()), 42);
      assertEquals(lines().length, 2);
    });
  });
});
