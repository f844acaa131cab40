import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { InfoTask, MultiProcess, type Outcome, TaskLoadError, TaskTimeoutError } from "../../mod.ts";
import * as recorder from "../fixtures/recorder.ts";
import { nest } from "../fixtures/tasks.ts";
import { fixture, inline, withPool } from "../helpers.ts";

const task = (name: string, ...args: unknown[]) => new InfoTask(fixture(`tasks.ts#${name}`), 2_000, ...args);

type ErrorClass = new (message?: string) => Error;

Deno.test("MultiProcess.push() refuses what is not a task, and bad options", async () => {
  await withPool(1, async (mp) => {
    const cases: [unknown, unknown, ErrorClass, string][] = [
      [{ specifier: "file:///x.ts", timeout: 1, args: [] }, undefined, TypeError, "must be an InfoTask"],
      [undefined, undefined, TypeError, "must be an InfoTask, received undefined"],
      [() => 1, undefined, TypeError, "received a function; InfoTask.inline() makes a task of one"],
      [
        new (class InfoTask {})(),
        undefined,
        TypeError,
        "received an object; it is an InfoTask of another copy of this package",
      ],
      [Promise.resolve(task("echo")), undefined, TypeError, "received a promise, which is to be awaited"],
      [task("echo"), { prio: 1 }, TypeError, 'unknown option "prio"'],
      [
        task("echo"),
        { timeout: 1 },
        TypeError,
        '"timeout": a time limit is given to each InfoTask; known are',
      ],
      [task("echo"), { priority: "high" }, TypeError, '"priority" must be a number'],
      [task("echo"), { priority: Infinity }, RangeError, '"priority"'],
      [task("echo"), { signal: {} }, TypeError, '"signal" must be an AbortSignal'],
      [task("echo"), { transfer: 1 }, TypeError, '"transfer" must be an array of ArrayBuffers, received 1'],
      [
        task("echo"),
        { transfer: [new ArrayBuffer(1), new Uint8Array(1)] },
        TypeError,
        "item 2 a Uint8Array; name",
      ],
      [task("echo"), { callback: "x" }, TypeError, '"callback" must be a function'],
      [
        task("echo"),
        null,
        TypeError,
        "Cannot push a task: the options must be a plain object, received null",
      ],
    ];
    for (const [pushed, options, Class, message] of cases) {
      assertThrows(() => mp.push(pushed as InfoTask, options as never), Class, message);
    }
    assertEquals((await mp.stop()).pushed, 0);
  });
});

async function failure(mp: MultiProcess, pushed: InfoTask): Promise<Error> {
  const outcome: Outcome = await mp.push(pushed);
  assert(outcome.status === "failed", `${pushed.specifier} was ${outcome.status}`);
  assertEquals((outcome.error as { task?: unknown }).task, pushed);
  return outcome.error;
}

Deno.test("MultiProcess gives a TaskLoadError to a task whose module cannot be loaded or run", async () => {
  const bare = await Deno.makeTempFile({ suffix: ".js" });
  await Deno.writeTextFile(bare, "import 'nowhere'; export default () => 1");
  await withPool(1, async (mp) => {
    const cases: [string, string][] = [
      [fixture("missing.ts"), "Cannot load"],
      [inline("export const ="), "Cannot load"],
      [inline("export class C { runnable = () => 1 }") + "#C", 'a class without a method "runnable"'],
      [inline("throw new Error('at top level')"), "at top level"],
      [inline("exports.runnable = () => 1"), 'exports is not defined; CommonJS is to be named ".cjs"'],
      [bare, 'Import "nowhere" not a dependency'],
      [inline("export const x = 1"), 'it exports neither "runnable" nor a default'],
      [inline("export const runnable = 7"), '"runnable" of the module is a number, not a function'],
      [inline("export default 7"), "its default export is a number"],
      [fixture("tasks.ts#missing"), 'it has no export named "missing"'],
      [fixture("tasks.ts#nothing"), 'its export "nothing" is a number'],
    ];
    for (const [specifier, message] of cases) {
      const error = await failure(mp, new InfoTask(specifier, 2_000));
      assertInstanceOf(error, TaskLoadError);
      assertStringIncludes(error.message, message);
      // Its colours are for a terminal.
      assertEquals(Deno.inspect(error).includes("\x1b"), false);
    }
    assertInstanceOf(
      (await failure(mp, new InfoTask(inline("throw new RangeError('x')"), 1_000))).cause,
      RangeError,
    );
    assertEquals(await mp.run(task("add", 1, 2)), 3);
  });
  await Deno.remove(bare);
});

Deno.test("MultiProcess gives up a module that loads for longer than loadTimeout", async () => {
  // Long enough, on a busy machine too, for the module that loads; it imports nothing.
  await withPool({ size: 1, loadTimeout: 1_000 }, async (mp) => {
    const sum = new InfoTask(inline("export const runnable = (a, b) => a + b"), 10_000, 1, 2);
    for (const source of ["while (true);", "await new Promise(() => {})"]) {
      const outcome = await mp.push(new InfoTask(inline(`${source}; export const runnable = 1`), 10_000));
      assert(outcome.status === "timed-out");
      assertInstanceOf(outcome.error, TaskTimeoutError);
      assertStringIncludes(outcome.error.message, "still loading after 1000 ms");
    }
    // Nobody loads it once more to see what callbacks it might have.
    assertEquals(await mp.run(sum), 3);
    assertEquals((await mp.stats()).killed, 2);
  });
});

Deno.test("MultiProcess fires the errorCallback of a module whose arguments no worker could be sent", async () => {
  await withPool({ size: 1, isolation: "process" }, async (mp) => {
    recorder.calls.length = 0;
    const error = await failure(mp, new InfoTask(fixture("recorder.ts"), 5_000, new SharedArrayBuffer(8)));
    assertEquals(error.name, "DataCloneError");
    await mp.stop();
    assertEquals(recorder.calls.map(({ kind, argument }) => [kind, argument]), [["errorCallback", error]]);
  });
});

Deno.test("MultiProcess gives a failed outcome to arguments and results that cannot be cloned", async () => {
  await withPool(1, async (mp) => {
    const detached = new ArrayBuffer(8);
    detached.transfer();
    const getter = {
      get bad(): never {
        throw new Error("a getter threw");
      },
    };
    for (const value of [() => {}, Symbol("s"), new Proxy({}, {}), detached, { f() {} }]) {
      const error = await failure(mp, task("echo", value));
      assertEquals(error.name, "DataCloneError", String(error));
    }
    assertEquals((await failure(mp, task("echo", getter))).message, "a getter threw");
    for (const kind of ["function", "symbol", "proxy", "detached"]) {
      assertEquals((await failure(mp, task("give", kind))).name, "DataCloneError", kind);
    }
    assertEquals((await failure(mp, task("give", "getter"))).message, "a getter threw");
    assertEquals(await mp.run(task("add", 1, 2)), 3);
  });
});

Deno.test("MultiProcess refuses values that would arrive as something else", async () => {
  await withPool(1, async (mp) => {
    const cases: [unknown, string][] = [
      [new URL("http://localhost/"), "argument 1: it is a URL"],
      [{ headers: new Headers() }, "argument 1.headers: it is a Headers"],
      [[new Request("http://localhost/")], "argument 1[0]: it is a Request"],
      [new Response(), "argument 1: it is a Response"],
      [new AbortController().signal, "argument 1: it is an AbortSignal"],
      [
        new (class Point {
          length() {}
        })(),
        "argument 1: it is an instance of Point",
      ],
    ];
    for (const [value, message] of cases) {
      const error = await failure(mp, task("echo", value));
      assertEquals(error.name, "DataCloneError");
      assertStringIncludes(error.message, message);
    }
    assertStringIncludes((await failure(mp, task("give", "url"))).message, "result.at: it is a URL");
    assertStringIncludes(
      (await failure(mp, task("give", "instance"))).message,
      "result: it is an instance of Point",
    );
    assertStringIncludes((await failure(mp, task("moveUrl"))).message, "result.at: it is a URL");
    const blob = await mp.run(task("echo", new Blob(["text"])));
    assertEquals(await (blob as Blob).text(), "text");
  });
});

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`MultiProcess carries values 1 000 levels deep, and refuses deeper ones (${isolation})`, async () => {
    const depthOf = (value: unknown) => {
      for (let depth = 0;; depth++) {
        const [inner] = value instanceof Error
          ? [value.cause]
          : value instanceof Map || value instanceof Set
          ? value.values()
          : Object.values(value as object);
        if (inner === undefined) return depth;
        value = inner;
      }
    };
    const message = "nested deeper than 1 000 levels, which might not arrive; send it as a flat list";
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      for (const kind of ["object", "array", "named", "map", "set", "error"]) {
        assertEquals(depthOf(await mp.run(task("echo", nest(1_000, kind)))), 1_000, kind);
        for (const levels of [1_001, 3_000]) {
          const error = await failure(mp, task("echo", nest(levels, kind)));
          assertEquals([error.name, error.message], [
            "DataCloneError",
            `Cannot clone argument 1: it is ${message}`,
          ]);
          for (const name of ["giveNested", "moveNested", "progressNested", "yieldNested"]) {
            const error = await failure(mp, task(name, levels, kind));
            assertEquals(error.name, "DataCloneError");
            assertStringIncludes(error.message, message);
          }
          const thrown = await failure(mp, task("throwNested", levels, kind));
          assertInstanceOf(thrown, RangeError);
          assertEquals([thrown.message, Object.keys(thrown)], ["itself", ["code"]]);
        }
      }
      assertEquals(await mp.run(task("add", 1, 2)), 3);
      await mp.stop();
    });
  });
}

Deno.test("MultiProcess refuses in a process what only threads can be sent", async () => {
  const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, true, ["sign"]);
  const module = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  await withPool({ size: 1, spares: 0, isolation: "process" }, async (mp) => {
    const cases: [unknown, string][] = [
      [new Blob(["text"]), "argument 1: it is a Blob, which would arrive as {} in a process"],
      [[new File(["text"], "name")], "argument 1[0]: it is a File, which would arrive as {} in a process"],
      [{ module }, "argument 1.module: it is a Module, which cannot be sent to or from a process"],
      [key, "argument 1: it is a CryptoKey, which would arrive as {}"],
    ];
    for (const [value, message] of cases) {
      const error = await failure(mp, task("echo", value));
      assertEquals(error.name, "DataCloneError");
      assertStringIncludes(error.message, message);
    }
    assertStringIncludes((await failure(mp, task("give", "blob"))).message, "result.at: it is a Blob");
  });
  await withPool({ size: 1, spares: 0, isolation: "thread" }, async (mp) => {
    assertStringIncludes((await failure(mp, task("echo", key))).message, "it is a CryptoKey");
    assertInstanceOf(await mp.run(task("echo", module)), WebAssembly.Module);
  });
});

Deno.test("MultiProcess gives back what tasks return from a context of node:vm", async () => {
  for (const isolation of ["thread", "process"] as const) {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      assertEquals(await mp.run(task("giveFromContext")), { a: [1, { b: 2 }], m: new Map([[1, /x/]]) });
    });
  }
});

Deno.test("transfer() of no buffers gives the value itself", async () => {
  for (const isolation of ["thread", "process"] as const) {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      for (const value of [{ found: false, pixels: null }, 5, null, "text", [1]]) {
        assertEquals(await mp.run(task("moveNothing", value)), value);
      }
    });
  }
});

Deno.test("MultiProcess brings errors over with class, name, message, stack, cause and properties", async () => {
  await withPool(1, async (mp) => {
    const coded = await failure(mp, task("failCoded"));
    assertInstanceOf(coded, RangeError);
    assertEquals([coded.name, coded.message], ["CodedError", "coded"]);
    assertEquals((coded as Error & { code: string }).code, "E_CODE");
    assertEquals((coded as Error & { details: unknown }).details, { at: 7 });
    assertEquals((coded as Error & { errors: unknown }).errors, ["one", "two"]);
    assertInstanceOf(coded.cause, SyntaxError);
    assertStringIncludes(coded.stack!, "tasks.ts");
    const dom = await failure(mp, task("failDom"));
    assertInstanceOf(dom, DOMException);
    assertEquals(dom.name, "NotSupportedError");
    assertInstanceOf(await failure(mp, task("failDeno")), Deno.errors.NotFound);
    const both = await failure(mp, task("failAggregate"));
    assertInstanceOf(both, AggregateError);
    assertInstanceOf(both.errors[0], TypeError);
  });
});

Deno.test("MultiProcess brings over so much of errors in errors as there is time for, and says what it left out", async () => {
  await withPool(1, async (mp) => {
    const crossed = await failure(mp, task("failCrossed"));
    assertInstanceOf(crossed, AggregateError);
    assertEquals(crossed.message, "error 0");
    assertStringIncludes(crossed.errors.at(-1).message, "not carried over");
    let error = await failure(mp, task("failLongChain"));
    for (let level = 0; level <= 5; level++) {
      assertInstanceOf(error, TypeError);
      assertEquals(error.message, `level ${level}`);
      error = error.cause as Error;
    }
    assertEquals(
      error.message,
      "An error that was not carried over, with what caused it: TypeError: level 6",
    );
    assertEquals(error.cause, undefined);
  });
});

Deno.test("MultiProcess brings over errors of another realm as what they are", async () => {
  await withPool(1, async (mp) => {
    const error = await failure(mp, task("failInContext"));
    assertInstanceOf(error, TypeError);
    assertEquals(error.message, "of another realm");
  });
});

Deno.test("MultiProcess makes an error of whatever a task throws", async () => {
  await withPool(1, async (mp) => {
    const cases: [string, string, unknown][] = [
      ["string", 'the string "a string"', "a string"],
      ["null", "null", null],
      ["undefined", "undefined", undefined],
      ["number", "7", 7],
      ["symbol", "the symbol Symbol(s)", undefined],
      ["object", "an object", { a: 1 }],
      ["function", "a function", undefined],
      ["hostile", "an object", undefined],
    ];
    for (const [kind, what, cause] of cases) {
      const error = await failure(mp, task("throwThing", kind));
      assertEquals(error.message, `The task threw ${what}, which is not an error`);
      assertEquals(error.cause, cause, kind);
    }
    assertEquals((await failure(mp, task("throwThing", "getters"))).name, "Error");
    assertEquals(await mp.run(task("add", 1, 2)), 3);
  });
});

Deno.test("MultiProcess.start() rejects with what a failing initializer threw, and the pool is closed", async () => {
  const mp = new MultiProcess({ size: 1, initializer: inline("throw new RangeError('no licence')") });
  const started = mp.start();
  const outcome = mp.push(task("echo", 1));
  const error = await started.then(() => undefined, (error: Error) => error);
  assertInstanceOf(error, RangeError);
  assertEquals(error.message, "no licence");
  const { status } = await outcome;
  assertEquals(status, "crashed");
  assertThrows(() => mp.push(task("echo", 1)), Error, "could not be started");
  assertEquals((await mp.stop()).crashed, 1);
});

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`MultiProcess.start() rejects when an initializer (${isolation}) does not end, and the pool is closed`, async () => {
    for (const source of ["await new Promise(() => {});", "for (;;);"]) {
      const mp = new MultiProcess({ size: 1, isolation, loadTimeout: 200, initializer: inline(source) });
      await assertRejects(() => mp.start(), Error, "did not end its initializer within");
      await mp.stop();
    }
  });
}

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`MultiProcess gives every task an outcome when initializers (${isolation}) leave something deadly behind`, async (test) => {
    const sources = [
      "Deno.exit(3);",
      "self.close();",
      "export function initialize() { Promise.reject(new Error('no licence')); }",
      "export function initialize() { setTimeout(() => Deno.exit(4)); }",
      "export function initialize() { setTimeout(() => { throw new Error('no licence'); }, 20); }",
    ];
    for (const source of sources) {
      await test.step(source, async () => {
        const mp = new MultiProcess({ size: 1, isolation, maxRestarts: 100, initializer: inline(source) });
        const started = mp.start().then(() => true, () => false);
        const outcomes = [1, 2, 3].map((n) =>
          mp.push(new InfoTask(fixture("tasks.ts#sleep"), 60_000, 1_000, n))
        );
        const since = performance.now();
        for (const { status } of await Promise.all(outcomes)) assertEquals(status, "crashed");
        const summary = await mp.stop();
        assertEquals([summary.pushed, summary.crashed], [3, 3]);
        assert(performance.now() - since < 20_000, "in time");
        // What ends it at once is found out before a worker is said to be ready.
        if (!source.includes("setTimeout")) assertEquals(await started, false);
        else await started;
      });
    }
  });
}

Deno.test("MultiProcess gives every task an outcome when initializers hang later on", async () => {
  const initializer = inline("if (globalThis.Deno.env.get('MP_TEST_HANG')) await new Promise(() => {});");
  const mp = new MultiProcess({ size: 1, spares: 0, loadTimeout: 100, maxRestarts: 100, initializer });
  try {
    await mp.start();
    Deno.env.set("MP_TEST_HANG", "yes");
    await mp.push(new InfoTask(fixture("tasks.ts#exit"), 1_000, 1));
    const outcome = await mp.push(new InfoTask(fixture("tasks.ts#add"), 1_000, 1, 2));
    assert(outcome.status === "crashed");
    assertStringIncludes(outcome.error.message, "did not end its initializer within");
  } finally {
    Deno.env.delete("MP_TEST_HANG");
    await mp.terminate();
  }
});
