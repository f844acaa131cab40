/** Callbacks run in the async context of their push: what an `AsyncLocalStorage` held there, it holds in them. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, type MultiProcess, type Outcome, type PushOptions } from "../../mod.ts";
import { Delivery, PushContext } from "../../src/entry/push_context.ts";
import { seen, storage } from "../fixtures/async_context.ts";
import { fixture, until, withPool } from "../helpers.ts";

const task = (name: string, ends = "returns") =>
  new InfoTask(fixture("async_context.ts"), 60_000, name, ends);
const bare = (name: string, ...args: unknown[]) => new InfoTask(fixture(`tasks.ts#${name}`), 60_000, ...args);

/** Pushes a task in a context that has its name. */
function pushIn(mp: MultiProcess, name: string, ends = "returns", options?: PushOptions): Promise<Outcome> {
  return storage.run(name, () => mp.push(task(name, ends), options));
}

/** Closures that tell in which context they are called. */
function telling(): { told: [string, string | undefined][]; options: PushOptions } {
  const told: [string, string | undefined][] = [];
  const tell = (what: string) => () => void told.push([what, storage.getStore()]);
  return {
    told,
    options: {
      callback: tell("callback"),
      errorCallback: tell("errorCallback"),
      onProgress: tell("onProgress"),
    },
  };
}

Deno.test("a module's callbacks run in the context of the push, before anybody knew that it has any, and after", async () => {
  await withPool(2, async (mp) => {
    for (const round of ["first", "second"]) {
      seen.length = 0;
      const names = [1, 2, 3, 4].map((n) => `${round} ${n}`);
      // In one turn, and one of them with run.
      const outcomes = names.map((name, i) =>
        i === 1
          ? storage.run(name, () => mp.run(task(name)))
          : pushIn(mp, name, i % 2 === 0 ? "returns" : "fails")
      );
      outcomes.push(mp.push(task("nowhere")));
      await Promise.all(outcomes);
      await until(() => seen.length === 5, 60_000, "all callbacks are called");
      const expected = names.map((name, i) => [`${i === 3 ? "errorCallback" : "callback"} of ${name}`, name]);
      assertEquals(
        new Map(seen as never),
        new Map([...expected, ["callback of nowhere", undefined]] as never),
      );
    }
  });
});

Deno.test("closures and onProgress run in the context of the push, however the task ends", async () => {
  await withPool({ size: 2, spares: 0 }, async (mp) => {
    const controller = new AbortController();
    const cases: [
      name: string,
      push: (options: PushOptions) => Promise<Outcome>,
      last: string,
      progress: number,
    ][] = [
      ["ok", (options) => pushIn(mp, "ok", "returns", options), "callback", 2],
      ["failed", (options) => pushIn(mp, "failed", "fails", options), "errorCallback", 2],
      [
        "aborted before",
        (options) =>
          storage.run(
            "aborted before",
            () => mp.push(task("x"), { ...options, signal: AbortSignal.abort() }),
          ),
        "errorCallback",
        0,
      ],
      [
        "refused",
        (options) => storage.run("refused", () => mp.push(bare("echo", () => {}), options)),
        "errorCallback",
        0,
      ],
      [
        "aborted",
        (options) => pushIn(mp, "aborted", "hangs", { ...options, signal: controller.signal }),
        "errorCallback",
        2,
      ],
    ];
    for (const [name, push, last, progress] of cases) {
      const { told, options } = telling();
      const outcome = push(options);
      await until(() => told.filter(([what]) => what === "onProgress").length === progress, 60_000, name);
      // In a context of its own.
      if (name === "aborted") storage.run("another", () => controller.abort());
      await outcome;
      const expected = [...Array.from({ length: progress }, () => ["onProgress", name]), [last, name]];
      assertEquals(told, expected as never);
    }
  });
});

Deno.test("callbacks of tasks that terminate() cancels run in the contexts of their pushes", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    await pushIn(mp, "before");
    seen.length = 0;
    const names = ["one", "two", "three"];
    for (const name of names) pushIn(mp, name, "hangs");
    const { told, options } = telling();
    pushIn(mp, "closure", "hangs", options);
    await storage.run("terminating", () => mp.terminate());
    // The one that runs may be told last: it is known only then that it had begun.
    const inOrder = seen.toSorted(([, a], [, b]) => names.indexOf(a as string) - names.indexOf(b as string));
    assertEquals(inOrder, names.map((name) => [`errorCallback of ${name}`, name]));
    assertEquals(told.at(-1), ["errorCallback", "closure"]);
  });
});

Deno.test("onCallbackError and the callbacks of map() run in the context in which the task was pushed", async () => {
  const errors: unknown[] = [];
  const onCallbackError = (error: unknown) => errors.push([(error as Error).message, storage.getStore()]);
  await withPool({ size: 1, spares: 0, onCallbackError }, async (mp) => {
    await pushIn(mp, "it throws");
    assertEquals(errors, [["it throws", "it throws"]]);
    const { told, options } = telling();
    await storage.run("the loop", async () => {
      const { transfer: _, ...each } = options;
      for await (const { status } of mp.map([1, 2, 3, 4, 5], (n) => task(`${n}`), each)) {
        assertEquals(status, "ok");
      }
    });
    assert(told.length >= 5);
    assertEquals(new Set(told.map(([, context]) => context)), new Set(["the loop"]));
  });
});

Deno.test("MultiProcess.stop() and terminate() wait for callbacks that are on their way", async () => {
  for (const end of ["stop", "terminate"] as const) {
    let called = 0;
    await withPool(1, async (mp) => {
      const callback = async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        called++;
      };
      for (let n = 0; n < 3; n++) {
        mp.push(end === "stop" ? bare("echo", n) : bare("never"), { callback, errorCallback: callback });
      }
      await mp[end]();
      assertEquals(called, 3, end);
    });
  }
});

Deno.test("PushContext calls in its context, in order, also what comes while it calls", async () => {
  const called: [number, string | undefined][] = [];
  const over = Promise.withResolvers<void>();
  const context = storage.run("mine", () => new PushContext());
  const call = (n: number) => () => {
    called.push([n, storage.getStore()]);
    if (n === 2) context.run(call(4));
    if (n === 4) over.resolve();
  };
  storage.run("another", () => [1, 2, 3].forEach((n) => context.run(call(n))));
  assertEquals(called, []);
  await over.promise;
  context.run(call(5));
  await Promise.resolve();
  assertEquals(called, [1, 2, 3, 4, 5].map((n) => [n, "mine"]));
});

Deno.test("Delivery ends with the outcome, or for run with its value or its error", () => {
  const facts = { task: task("x"), taskId: 1, workerId: 1, attempts: 1, waitedMs: 0, ranMs: 0 };
  const ok: Outcome = { status: "ok", value: 7, ...facts };
  assertEquals(new Delivery(ok, undefined, 1, false).end(), ok);
  assertEquals(new Delivery(ok, undefined, 1, true).end(), 7);
  const failed: Outcome = { status: "failed", error: new RangeError("no"), ...facts };
  let thrown: unknown;
  try {
    new Delivery(failed, undefined, 1, true).end();
  } catch (error) {
    thrown = error;
  }
  assertEquals(thrown, failed.error);
});
