import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { InfoTask, MultiProcess, type Outcome, TaskLoadError } from "../../mod.ts";
import * as model from "../fixtures/model.ts";
import * as recorder from "../fixtures/recorder.ts";
import { fixture, inline, task, until, withPool } from "../helpers.ts";

Deno.test("MultiProcess.push() fires the callbacks of a class on a new instance", async () => {
  await withPool(1, async (mp) => {
    model.calls.length = 0;
    await mp.push(new InfoTask(fixture("model.ts#Demo"), 1_000, 7));
    await mp.push(new InfoTask(fixture("model.ts#Demo"), 1_000, -1));
    assertEquals(model.calls, [["callback", { n: 14, runs: 1, taskId: 1 }], ["errorCallback", "negative"]]);
  });
});

Deno.test("MultiProcess.push() fires the module's callback once, with value or error, before the promise", async () => {
  await withPool(2, async (mp) => {
    recorder.calls.length = 0;
    const ok = await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, "value"));
    assertEquals(recorder.calls.map(({ kind, argument }) => [kind, argument]), [["callback", "value"]]);
    assertStrictEquals(recorder.calls[0]!.outcome, ok);
    const failed = await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, "throw"));
    assertEquals(recorder.calls.length, 2);
    const [, call] = recorder.calls;
    assertEquals(call!.kind, "errorCallback");
    assertStrictEquals(call!.argument, failed.status !== "ok" && failed.error);
    assertStrictEquals((call!.argument as { task?: unknown }).task, failed.task);
  });
});

Deno.test("MultiProcess.push() fires the module's errorCallback also for a task that never got to a worker", async () => {
  await withPool(1, async (mp) => {
    recorder.calls.length = 0;
    const outcome = await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, () => {}));
    assertEquals([outcome.status, outcome.attempts, outcome.workerId], ["failed", 0, undefined]);
    assertEquals(recorder.calls.map(({ kind }) => kind), ["errorCallback"]);
  });
});

Deno.test("MultiProcess.push() lets a closure replace only its counterpart", async () => {
  await withPool(1, async (mp) => {
    recorder.calls.length = 0;
    const seen: unknown[] = [];
    const callback = (value: unknown) => seen.push(value);
    await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, 1), { callback });
    await mp.push(new InfoTask(fixture("recorder.ts"), 1_000, "throw"), { callback });
    assertEquals(seen, [1]);
    assertEquals(recorder.calls.map(({ kind }) => kind), ["errorCallback"]);
  });
});

Deno.test("MultiProcess.push() does not import a module in the entry that has no callback", async () => {
  await withPool(1, async (mp) => {
    const source = 'if (!globalThis.Deno || typeof document === "undefined") globalThis.imported = true;' +
      "export const runnable = () => globalThis.imported";
    assertEquals(await mp.run(new InfoTask(inline(source), 1_000)), true);
    assertEquals("imported" in globalThis, false);
  });
});

Deno.test("MultiProcess survives callbacks that throw, reject or push", async () => {
  const errors: [string, number][] = [];
  const mp = new MultiProcess({
    size: 1,
    onCallbackError: (error, { taskId }) => errors.push([(error as Error).message, taskId]),
  });
  mp.start();
  const pushed: Promise<Outcome>[] = [];
  mp.push(task("echo", 1_000, 1), {
    callback() {
      throw new Error("thrown");
    },
  });
  mp.push(task("fail", 1_000, "x"), { errorCallback: () => Promise.reject(new Error("rejected")) });
  await mp.push(task("echo", 1_000, 1), {
    callback: () => pushed.push(mp.push(task("echo", 1_000, "next stage"))),
  });
  const [next] = await Promise.all(pushed);
  assertEquals(next!.status === "ok" && next!.value, "next stage");
  const summary = await mp.stop();
  assertEquals(errors.sort(), [["rejected", 2], ["thrown", 1]]);
  assertEquals(summary.callbackErrors, 2);
});

/** A module that hangs, or does worse, only where the entry imports it. */
const inEntry = (source: string) =>
  inline(
    `if (globalThis.window !== undefined || globalThis.entryOfTests) { ${source} }; ` +
      "export const runnable = () => 1; export const callback = () => {}",
  );

Deno.test("MultiProcess settles a task whose module never loads in the entry, and counts a callback error", async () => {
  Object.assign(globalThis, { entryOfTests: true });
  const errors: unknown[] = [];
  const onCallbackError = (error: unknown) => errors.push(error);
  const mp = new MultiProcess({ size: 1, loadTimeout: 500, onCallbackError });
  await mp.start();
  const hangs = new InfoTask(inEntry("await new Promise(() => {}); 1"), 5_000);
  assertEquals((await mp.push(hangs)).status, "ok");
  // It is known by now.
  assertEquals((await mp.push(hangs)).status, "ok");
  assertEquals((await mp.stop()).callbackErrors, 2);
  for (const error of errors) {
    assertInstanceOf(error, TaskLoadError);
    assert(error.message.includes("in your thread after 500 ms (loadTimeout)"), error.message);
  }
});

Deno.test("MultiProcess.terminate() settles a task whose module never loads in the entry", async () => {
  Object.assign(globalThis, { entryOfTests: true });
  const errors: Error[] = [];
  const onCallbackError = (error: unknown) => errors.push(error as Error);
  const mp = new MultiProcess({ size: 1, loadTimeout: Infinity, onCallbackError });
  await mp.start();
  const pushed = mp.push(new InfoTask(inEntry("await new Promise(() => {}); 2"), 5_000));
  await until(async () => (await mp.stats()).outcomes.ok === 1, 20_000, "the task has returned");
  assertEquals((await mp.terminate()).callbackErrors, 1);
  assertEquals((await pushed).status, "ok");
  assert(errors[0]!.message.endsWith("in your thread when the pool ended"), errors[0]!.message);
});

Deno.test("MultiProcess survives an onCallbackError that rejects, and stop() waits for it", async () => {
  const printed: unknown[] = [];
  const { error } = console;
  console.error = (text: unknown) => printed.push(text);
  try {
    const mp = new MultiProcess({
      size: 1,
      onCallbackError: async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        throw new Error("the log is full");
      },
    });
    mp.start();
    mp.push(task("echo", 5_000, 1), {
      callback() {
        throw new Error("thrown");
      },
    });
    assertEquals((await mp.stop()).callbackErrors, 1);
  } finally {
    console.error = error;
  }
  assertEquals(printed, ["multiprocess: onCallbackError itself threw Error: the log is full"]);
});
