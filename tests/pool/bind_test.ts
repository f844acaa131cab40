import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { MultiProcess, PoolStateError, TaskTimeoutError } from "../../mod.ts";
import { fixture, until, withPool } from "../helpers.ts";

type Tasks = typeof import("../fixtures/tasks.ts");

Deno.test("MultiProcess.bind() makes a function of a task", async () => {
  await withPool(2, async (mp) => {
    const add = mp.bind<Tasks["add"]>(fixture("tasks.ts#add"), { timeout: 5_000 });
    assertEquals(await add(1, 2), 3);
    assertEquals(add.specifier, fixture("tasks.ts#add"));
    const task = add.task(3, 4);
    assertEquals([task.specifier, task.timeout, task.args], [fixture("tasks.ts#add"), 5_000, [3, 4]]);
    const outcome = await add.push(5, 6);
    assertEquals([outcome.status, outcome.status === "ok" && outcome.value], ["ok", 11]);
    const sums = mp.mapValues([1, 2, 3], (n) => add.task(n, n));
    assertEquals(await Array.fromAsync(sums), [2, 4, 6]);
    const fail = mp.bind<Tasks["fail"]>(fixture("tasks.ts#fail"), { timeout: 5_000 });
    await assertRejects(() => fail("no"), TypeError, "no");
  });
});

Deno.test("MultiProcess.bind() gives every call its options, and with() changes some", async () => {
  await withPool({ size: 1, spares: 1 }, async (mp) => {
    const called: unknown[] = [];
    const callback = (value: unknown) => void called.push(value);
    const echo = mp.bind<Tasks["echo"]>(new URL(fixture("tasks.ts#echo")), { timeout: 5_000, callback });
    await echo(1);
    await echo.push(2);
    await Array.fromAsync(echo.map([3, 4]));
    assertEquals(called, [1, 2, 3, 4]);
    await echo.with({ callback: undefined })(5);
    await Array.fromAsync(echo.mapValues([6], { callback: (value) => called.push([value]) }));
    assertEquals(called, [1, 2, 3, 4, [6]]);
    const spin = mp.bind<Tasks["spin"]>(fixture("tasks.ts#spin"), { timeout: 5_000, label: "the spinner" });
    const error = await assertRejects(() => spin.with({ timeout: 30 })(5_000), TaskTimeoutError);
    assertEquals(error.message, "Task 7 (the spinner) was stopped: it ran longer than its limit of 30 ms");
    const controller = new AbortController();
    const stopped = spin.with({ signal: controller.signal }).push();
    await until(async () => (await mp.stats()).running === 1, 60_000, "it runs");
    controller.abort();
    assertEquals((await stopped).status, "cancelled");
    const buffer = new Uint8Array([1, 2, 3]);
    const size = mp.bind(fixture("tasks.ts#size"), { timeout: 5_000 });
    assertEquals(await size.with({ transfer: [buffer.buffer] })(buffer), 3);
    assertEquals(buffer.length, 0);
    // What is moved with one call is not moved with every input.
    assertEquals(await Array.fromAsync(size.with({ transfer: [new ArrayBuffer(1)] }).mapValues(["ab"])), [2]);
  });
});

Deno.test("MultiProcess.bind() refuses at once what no call could be made of, and calls reject", async () => {
  const mp = new MultiProcess(1);
  const specifier = fixture("tasks.ts#echo");
  assertThrows(() => mp.bind("lodash", { timeout: 1 }), TypeError, "import.meta.resolve");
  assertThrows(
    () => mp.bind(specifier, {} as never),
    TypeError,
    'Cannot bind a task: "timeout" must be a number of milliseconds, received undefined',
  );
  assertThrows(
    () => mp.bind(specifier, { timeout: 0 }),
    RangeError,
    'Cannot bind a task: "timeout" must be more than 0',
  );
  assertThrows(() => mp.bind(specifier, 5 as never), TypeError, "the options must be a plain object");
  assertThrows(
    () => mp.bind(specifier, { timeout: 1, prio: 1 } as never),
    TypeError,
    'unknown option "prio"',
  );
  const echo = mp.bind(specifier, { timeout: 1 });
  assertThrows(() => echo.with({ priority: "high" } as never), TypeError, '"priority" must be a number');
  await assertRejects(() => echo(1), PoolStateError, "not started");
  assertThrows(() => echo.push(1), PoolStateError, "not started");
  await mp.stop();
});

Deno.test("MultiProcess.run() rejects with what push() throws", async () => {
  const mp = new MultiProcess({ size: 1, maxQueue: 0 });
  const echo = mp.bind(fixture("tasks.ts#echo"), { timeout: 5_000 });
  await assertRejects(() => mp.run(echo.task(1)), PoolStateError, "not started");
  mp.start();
  await assertRejects(() => mp.run(7 as never), TypeError, "must be an InfoTask");
  await assertRejects(() => mp.run(echo.task(1), { prio: 1 } as never), TypeError, 'unknown option "prio"');
  const first = mp.run(echo.task(1));
  await assertRejects(() => mp.run(echo.task(2)), Error, "the queue is full");
  assertEquals(await first, 1);
  await mp.stop();
});

Deno.test("the pool's name and the task's label are shown in messages and events", async () => {
  const mp = new MultiProcess({ size: 1, spares: 1, name: "images", maxQueue: 5 });
  const watching = Array.fromAsync(mp.events());
  assertThrows(
    () => mp.push(new URL("file:///x") as never),
    PoolStateError,
    'the pool "images" is not started',
  );
  await mp.start();
  const spin = mp.bind<Tasks["spin"]>(fixture("tasks.ts#spin"), { timeout: 30 });
  const messages = [];
  for (const options of [{}, { label: "thumb a.png" }]) {
    const outcome = await spin.with(options).push();
    assert(outcome.status === "timed-out");
    messages.push(outcome.error.message);
  }
  assertEquals(messages, [
    'Task 1 (tasks.ts#spin) of "images" was stopped: it ran longer than its limit of 30 ms',
    'Task 2 (thumb a.png) of "images" was stopped: it ran longer than its limit of 30 ms',
  ]);
  for await (
    const outcome of spin.with({ timeout: 60_000 }).map([1, 2], {
      label: (ms, index) => `${index}: ${ms} ms`,
      signal: AbortSignal.timeout(120_000),
    })
  ) assertEquals(outcome.status, "ok");
  const outcome = spin.with({ label: "long", timeout: 60_000 }).push();
  await until(async () => (await mp.stats()).running === 1, 60_000, "it runs");
  await mp.terminate("enough");
  const cancelled = await outcome;
  assert(cancelled.status === "cancelled");
  assertEquals(cancelled.error.message, 'Task 5 (long) of "images" was cancelled');
  assertStringIncludes(String(assertThrows(() => spin.push())), 'the pool "images" is terminated');
  const labels = (await watching).flatMap((event) => event.type === "pushed" ? [event.label] : []);
  assertEquals(labels, ["tasks.ts#spin", "thumb a.png", "0: 1 ms", "1: 2 ms", "long"]);
});
