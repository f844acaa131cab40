/** What structured clone knows × where in a value it is × each way a value goes × thread and process. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess } from "../../mod.ts";
import * as values from "../fixtures/values.ts";
import { fixture } from "../helpers.ts";

/** Why it is refused, by what it is: everywhere, or only where a process is in it. */
const REFUSED: Record<string, RegExp> = {
  function: /a function, which cannot be cloned/,
  symbol: /a symbol, which cannot be cloned/,
  boxedSymbol: /could not be cloned|symbol/i,
  proxy: /a Proxy, which cannot be cloned/,
  weakMap: /a WeakMap, which would arrive as \{\}/,
  weakSet: /a WeakSet, which would arrive as \{\}/,
  weakRef: /WeakRef/,
  promise: /a Promise/,
  url: /a URL/,
  searchParams: /a URLSearchParams/,
  headers: /a Headers/,
  request: /a Request/,
  response: /a Response/,
  formData: /a FormData/,
  cryptoKey: /a CryptoKey/,
  abortSignal: /an? AbortSignal/,
  event: /Event/,
  readable: /ReadableStream/,
  generator: /a generator, which cannot be cloned/,
  port: /MessagePort/,
  instance: /instance of Point/,
  // A property of it, where nobody looks whether it is one.
  module: /a module|a function, which cannot be cloned/,
  arguments: /arguments|#<Object> could not be cloned/i,
};
const REFUSED_BY_PROCESS: Record<string, RegExp> = {
  blob: /a Blob/,
  file: /a File/,
  wasmModule: /a Module/,
  sharedBuffer: /SharedArrayBuffer/,
  sharedView: /SharedArrayBuffer|could not be cloned/,
  sharedMemory: /SharedArrayBuffer/,
};

for (const isolation of ["thread", "process"] as const) {
  const refused = (name: string) => {
    return REFUSED[name] ?? (isolation === "process" ? REFUSED_BY_PROCESS[name] : undefined);
  };
  Deno.test(`a value (${isolation}) arrives as it was, or is refused by name`, async (test) => {
    const mp = new MultiProcess({ size: 1, isolation });
    try {
      await mp.start();
      const task = (name: string, ...args: unknown[]) => {
        return new InfoTask(fixture(`values.ts#${name}`), 20_000, ...args);
      };
      for (const name of Object.keys(values.MAKE)) {
        for (const place of Object.keys(values.PLACE)) {
          // Deeper inside, an instance has always been taken as the data that it is.
          if (name === "instance" && !["alone", "list"].includes(place)) continue;
          if (values.awaited(name, place)) continue;
          await test.step(`${name}, ${place}`, async () => {
            const value = await values.make(name, place);
            const expected = values.describe(value);
            const why = refused(name);
            const ways: Record<string, () => Promise<unknown>> = {
              argument: () => mp.run(task("take", value)),
              result: async () => values.describe(await mp.run(task("give", name, place))),
            };
            for (const way of ["report", "yieldIt"]) {
              ways[way] = async () => {
                let seen: string | undefined;
                await mp.run(task(way, name, place), { onProgress: (each) => seen = values.describe(each) });
                return seen;
              };
            }
            for (const [way, go] of Object.entries(ways)) {
              const got = await go().catch((error) => error);
              if (why === undefined) assertEquals(got, expected, way);
              else {
                assert(got instanceof Error, `${way}: ${got}`);
                assertEquals(got.name, "DataCloneError", `${way}: ${got.message}`);
                assert(why.test(got.message), `${way}: ${got.message}`);
              }
            }
          });
        }
      }
    } finally {
      await mp.terminate();
    }
  });

  Deno.test(`errors in a value (${isolation}) are each themselves, however often they are met`, async () => {
    const mp = new MultiProcess({ size: 1, isolation });
    try {
      await mp.start();
      const error = Object.assign(new Deno.errors.NotFound("n"), { code: 7 });
      const holder = { error, plain: new TypeError("t"), abort: new DOMException("a", "AbortError") };
      // Bound together in a circle, and met twice from two arguments.
      Object.assign(error, { cause: holder });
      const given = await mp.run(
        new InfoTask(fixture("tasks.ts#echoAll"), 20_000, [holder, error, holder], new Set([error, holder])),
      ) as [[typeof holder, typeof error, typeof holder], Set<unknown>];
      const [[first, second, third], set] = given;
      assert(first === third && first.error === second && second.cause === first);
      assertEquals([...set], [second, first]);
      assertEquals([second.constructor, second.code, second.message], [Deno.errors.NotFound, 7, "n"]);
      assertEquals([first.plain.constructor, Object.keys(first.plain)], [TypeError, []]);
      const { abort } = first;
      assert(abort instanceof DOMException);
      assertEquals([abort.name, abort.message, abort.code], ["AbortError", "a", 20]);
    } finally {
      await mp.terminate();
    }
  });
}
