import { assertThrows } from "@std/assert";
import { MultiProcess } from "../../mod.ts";

type ErrorClass = new (message?: string) => Error;

Deno.test("new MultiProcess() refuses impossible sizes and options, naming them", () => {
  const cases: [unknown, ErrorClass, string][] = [
    [0, RangeError, "the size must be an integer of at least 1, received 0"],
    [-1, RangeError, "received -1"],
    [1.5, RangeError, "received 1.5"],
    [NaN, RangeError, "received NaN"],
    [Infinity, RangeError, "received Infinity"],
    ["5", TypeError, 'the size must be a number, received "5"'],
    [null, TypeError, "received null"],
    [{ size: 0 }, RangeError, '"size" must be an integer of at least 1, received 0'],
    [{ size: "5" }, TypeError, '"size" must be a number, received "5"'],
    [{ sise: 5 }, TypeError, 'unknown option "sise"'],
    [{ size: 1, minSize: 2 }, RangeError, '"minSize" must be at most "size"'],
    [{ isolation: "vm" }, RangeError, '"isolation" must be one of'],
    [{ maxQueue: -1 }, RangeError, '"maxQueue"'],
    [{ nice: -1 }, RangeError, '"nice" must be an integer of at least 0'],
    [{ nice: 20 }, RangeError, '"nice" must be at most 19, received 20'],
    [{ spares: -1 }, RangeError, '"spares"'],
    [{ loadTimeout: 2 ** 31 }, RangeError, '"loadTimeout"'],
    [{ memoryLimit: 0 }, RangeError, '"memoryLimit"'],
    [{ retry: { attempts: 3 } }, TypeError, 'unknown option "attempts"'],
    [{ retry: { minTimeout: 5, maxTimeout: 1 } }, RangeError, '"minTimeout" must be at most "maxTimeout"'],
    [{ onCallbackError: 1 }, TypeError, '"onCallbackError" must be a function'],
    [
      { initializer: "lodash" },
      TypeError,
      'Cannot create a pool: "initializer" "lodash" is neither an absolute',
    ],
    [{ initializer: "" }, TypeError, '"initializer"'],
    [{ initializer: "blob:abc" }, TypeError, '"initializer" "blob:abc" has the scheme "blob:"'],
    [{ output: "pipe" }, RangeError, '"output" must be one of "inherit", "capture", "ignore"'],
    [{ cancelGrace: -1 }, RangeError, '"cancelGrace" must be at least 0'],
    [{ timeoutGrace: Infinity }, RangeError, '"timeoutGrace" must be at least 0'],
    [{ maxMemoryBeforeRecycle: 0 }, RangeError, '"maxMemoryBeforeRecycle" must be a finite number above 0'],
    [{ initializer: 5 }, TypeError, '"initializer" must be a string, a URL or { module, data }, received 5'],
    [{ initializer: {} }, TypeError, '"initializer" must have a "module"'],
    [{ initializer: { module: "lodash" } }, TypeError, '"initializer": "module" "lodash" is neither'],
    [{ initializer: { module: "data:,", date: 1 } }, TypeError, '"initializer": unknown option "date"'],
    [
      { initializer: { module: "data:,", data: () => {} } },
      DOMException,
      "clone the data of the initializer: it is a function",
    ],
    [
      { initializer: { module: "data:,", data: { at: new URL("data:,") } } },
      DOMException,
      "clone the data of the initializer.at",
    ],
    [{ env: "all" }, TypeError, '"env" must be "inherit", "none", an array of names or an object of strings'],
    [{ env: [1] }, TypeError, '"env": each name must be a string, received 1'],
    [{ env: ["A=B"] }, RangeError, '"env": each must be the name of an environment variable'],
    [{ env: { "": "1" } }, RangeError, '"env": each must be the name of an environment variable'],
    [{ env: { A: 1 } }, TypeError, '"env": "A": each must be a string, received 1'],
    [{ env: { A: "\0" } }, RangeError, '"env": "A": each must have no NUL in it'],
    [{ argv: "a" }, TypeError, '"argv" must be an array of strings, received "a"'],
    [{ argv: [1] }, TypeError, '"argv": each must be a string, received 1'],
    [{ cwd: 1 }, TypeError, '"cwd" must be a string or a URL, received 1'],
    [{ cwd: new URL("https://example.com") }, TypeError, '"cwd" must be a path or a "file:" URL'],
    [{ cwd: "/nowhere at all" }, RangeError, '"cwd" must be a directory, received "/nowhere at all"'],
    [{ cwd: new URL(import.meta.url) }, RangeError, '"cwd" must be a directory'],
    [{ cwd: "/", isolation: "thread" }, TypeError, '"cwd" needs isolation: "process"; all threads of a'],
    [{ v8Flags: ["expose-gc"] }, RangeError, '"v8Flags": each must begin with "--" and have no comma'],
    [{ v8Flags: ["--a,--b"] }, RangeError, '"v8Flags": each must begin with "--" and have no comma'],
    [
      { v8Flags: ["--a"], isolation: "thread" },
      TypeError,
      '"v8Flags" needs isolation: "process"; all threads',
    ],
    [{ name: 1 }, TypeError, '"name" must be a string'],
    [
      { retry: { on: ["late"] } },
      RangeError,
      'Cannot create a pool: "retry": "on": each must be one of "failed"',
    ],
    [{ retry: 3 }, TypeError, 'Cannot create a pool: "retry" must be a plain object, received 3'],
    [
      { permissions: { net: 5 } },
      TypeError,
      '"permissions": "net" must be true, false, "inherit" or an array',
    ],
    [{ permissions: { net: [5] } }, TypeError, '"permissions": "net" must be true'],
    [{ permissions: { nett: true } }, TypeError, '"permissions": unknown permission "nett"; known are read'],
    [{ permissions: [] }, TypeError, '"permissions" must be "none", "inherit" or an object'],
    [[], TypeError, "Cannot create a pool: the options must be a plain object, received an array"],
    [new Date(), TypeError, "the options must be a plain object"],
    [new Number(2), TypeError, "the options must be a plain object"],
  ];
  for (const [options, Class, message] of cases) {
    assertThrows(() => new MultiProcess(options as never), Class, message);
  }
});

Deno.test("new MultiProcess() ignores inherited options", () => {
  new MultiProcess(Object.create({ size: "not looked at", unknown: 1 }));
});
