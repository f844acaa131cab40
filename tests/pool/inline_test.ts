import { assert, assertEquals, assertInstanceOf, assertMatch, assertThrows } from "@std/assert";
import { runInNewContext } from "node:vm";
import { InfoTask, type MultiProcess, type TaskContext } from "../../mod.ts";
import { shortSpecifier } from "../../src/util/specifier.ts";
import { withPool } from "../helpers.ts";

const outside = 7;
const fib = (n: number): number => n < 2 ? n : fib(n - 1) + fib(n - 2);
function even(n: number): boolean {
  return n === 0 || !even(n - 1);
}
const named = { "not a name": (n: number) => -n, default: (n: number) => n + 1, await: (n: number) => n + 2 };

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`InfoTask.inline() runs functions of every kind (${isolation})`, async () => {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      const run = <A extends unknown[], R>(f: (this: TaskContext, ...args: A) => R, ...args: A) =>
        mp.run(InfoTask.inline(f, 20_000, ...args));
      assertEquals(await run((n: number) => n * n, 7), 49);
      assertEquals(
        await run(async (a: string, b: string) => await Promise.resolve(a + b), "ä", "#%ö\u2028"),
        "ä#%ö\u2028",
      );
      assertEquals(
        await run(function (this: TaskContext, n: number) {
          return [n, this.taskId, this.attempt];
        }, 1),
        [1, 3, 1],
      );
      assertEquals(await run(fib, 15), 610);
      assertEquals(await run(even, 4), true);
      assertEquals(
        await run(function* (n: number) {
          yield n;
          return "done";
        }, 1),
        "done",
      );
      assertEquals(
        await run(async function* (n: number) {
          yield await Promise.resolve(n);
          return "done";
        }, 1),
        "done",
      );
      assertEquals(await run(named["not a name"], 1), -1);
      assertEquals(await run(named.default, 1), 2);
      assertEquals(await run(named.await, 1), 3);
      assertEquals(
        await run((text: string) => `${text} // # " ' \` \\ \n </script>`, "a"),
        "a // # \" ' ` \\ \n </script>",
      );
      assertEquals(
        await run(async (name: string) => typeof (await import(`node:${name}`)).join, "path"),
        "function",
      );
      assertEquals(await run(runInNewContext("(n) => n + 1") as (n: number) => number, 1), 2);
    });
  });
}

Deno.test("a task that prints its context sees what it knows of itself", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    const look = function (this: TaskContext) {
      return [Deno.inspect(this), ...Object.keys(this)];
    };
    assertEquals(await mp.run(InfoTask.inline(look, 5_000)), [
      "TaskContext { taskId: 1, attempt: 1, slot: 1 }",
    ]);
  });
});

Deno.test("InfoTask.inline() gives a function one module, which a worker loads once", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    const count = () => {
      const scope = globalThis as unknown as { loads?: number };
      return scope.loads = (scope.loads ?? 0) + 1;
    };
    assertEquals(InfoTask.inline(count, 1).specifier, InfoTask.inline(count, 2).specifier);
    const counts = [];
    for (let n = 0; n < 5; n++) counts.push(await mp.run(InfoTask.inline(count, 5_000)));
    assertEquals(counts, [1, 2, 3, 4, 5]);
    // A task made from its specifier is the same one.
    const { specifier } = InfoTask.inline(count, 1);
    assertEquals(new InfoTask(specifier, 1).specifier, specifier);
  });
});

Deno.test("InfoTask.inline() says of a name that is not there that it closes over nothing", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    for (const f of [() => outside, async () => await Promise.resolve(outside)]) {
      const outcome = await mp.push(InfoTask.inline(f as () => unknown, 5_000));
      assert(outcome.status === "failed");
      assertInstanceOf(outcome.error, ReferenceError);
      const message = "outside is not defined: an inline function sees nothing that it closes over; " +
        "give it that as an argument, or import it in the function";
      assertEquals(outcome.error.message, message);
      assert(outcome.error.stack?.startsWith(`ReferenceError: ${message}\n`), outcome.error.stack);
    }
    // Only what it would be about.
    const other = await mp.push(InfoTask.inline(() => {
      throw new ReferenceError("mine");
    }, 5_000));
    assert(other.status === "failed");
    assertEquals(other.error.message, "mine");
  });
});

Deno.test("InfoTask.inline() says of a relative import what to do, and shows no data: URL", async () => {
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    const broken = async () => await import(`./${"missing"}.ts`);
    const outcome = await mp.push(InfoTask.inline(broken, 5_000));
    assert(outcome.status === "failed");
    const { message, stack } = outcome.error;
    assertMatch(message, /"\.\/missing\.ts" .*"inline:broken"/);
    assertMatch(
      message,
      /: an inline function is in no folder; give it the import\.meta\.resolve\(…\) of the module/,
    );
    assertEquals((message + stack).includes("data:"), false, stack);
  });
});

Deno.test("InfoTask.inline() has the name of the function in stacks, not its source", async () => {
  function deep(n: number) {
    function inner() {
      throw new Error(`deep ${n}`, { cause: new Error("why") });
    }
    inner();
  }
  await withPool({ size: 1, spares: 0 }, async (mp) => {
    const outcome = await mp.push(InfoTask.inline(deep, 5_000, 5));
    assert(outcome.status === "failed");
    const { stack, cause } = outcome.error;
    assertMatch(stack!, /^Error: deep 5\n +at inner \(inline:deep:3:\d+\)\n.*deep \(inline:deep:\d+:\d+\)\n/);
    assertMatch((cause as Error).stack!, /\(inline:deep:\d+:\d+\)/);
  });
});

Deno.test("InfoTask.inline() is called by the function's name in messages", async () => {
  // What is said of its module, whatever it exports.
  const short = (f: () => unknown) => shortSpecifier(InfoTask.inline(f, 1).specifier.split("#")[0]!);
  assertEquals(short(fib as () => unknown), "fib");
  assertEquals(short(named.default as () => unknown), "an inline function");
  const message = async (mp: MultiProcess, f: () => unknown) => {
    const outcome = await mp.push(InfoTask.inline(f, 50));
    return outcome.status === "ok" ? "ok" : outcome.error.message;
  };
  await withPool({ size: 1, spares: 1 }, async (mp) => {
    const hang = () => {
      for (;;);
    };
    assertEquals(await message(mp, hang), "Task 1 (hang) was stopped: it ran longer than its limit of 50 ms");
    assertEquals(
      await message(mp, (() => () => new Promise(() => {}))()),
      "Task 2 (inline) was stopped: it ran longer than its limit of 50 ms",
    );
  });
});

Deno.test("InfoTask.inline() refuses at the door what its source alone does not make", () => {
  const object = {
    method() {},
    async asyncMethod() {},
    *generator() {},
    get getter() {
      return 1;
    },
    ["computed"]() {},
    async() {},
  };
  const getter = Object.getOwnPropertyDescriptor(object, "getter")!.get!;
  const cases: [unknown, string][] = [
    [7, "received 7"],
    ["() => 1", 'received "() => 1"'],
    [undefined, "received undefined"],
    [Math.max, "max is native or bound"],
    [fib.bind(null), "bound fib is native or bound"],
    [new Proxy(fib, {}), "is native or bound"],
    [class Point {}, "Point is a class"],
    [object.method, "method is a method"],
    [object.asyncMethod, "asyncMethod is a method"],
    [object.generator, "generator is a method"],
    [getter, "is a method"],
    [object.computed, "computed is a method"],
    [object.async, "async is a method"],
    [() => import.meta.url, "import.meta"],
  ];
  for (const [value, message] of cases) {
    assertThrows(() => InfoTask.inline(value as () => void, 1_000), TypeError, message);
  }
  assertThrows(() => InfoTask.inline(() => 1, 0), RangeError, "time limit");
});
