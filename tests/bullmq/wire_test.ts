import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  jobIdOf,
  pack,
  readJobId,
  readOutcome,
  readTask,
  unpack,
  unpackOutcome,
} from "../../src/bullmq/wire.ts";

const shared = { a: 1 };
const cycle: unknown[] = [];
cycle.push(cycle);
const holes = [1, 2, 3];
delete holes[1];

const VALUES: [name: string, value: unknown, as: "json" | "v8"][] = [
  ["a string", "ä \u0000 \ud800", "json"],
  ["a number", 1.5, "json"],
  ["a boolean", true, "json"],
  ["null", null, "json"],
  ["a plain object", { b: 1, a: { c: [1, "2", null] } }, "json"],
  ["an empty array", [], "json"],
  ["undefined", undefined, "v8"],
  ["undefined in an object", { a: undefined }, "v8"],
  ["minus zero", -0, "v8"],
  ["NaN", NaN, "v8"],
  ["Infinity", [Infinity, -Infinity], "v8"],
  ["a bigint", 2n ** 70n, "v8"],
  ["a Date", new Date(0), "v8"],
  ["an invalid Date", new Date(NaN), "v8"],
  ["a Map", new Map([[{ a: 1 }, new Set([1])]]), "v8"],
  ["a RegExp", /a/gi, "v8"],
  ["bytes", new Uint8Array([1, 2, 255]), "v8"],
  ["a buffer", new Uint8Array([1]).buffer, "v8"],
  ["a shared reference", [shared, shared], "v8"],
  ["a cycle", cycle, "v8"],
  ["holes", holes, "v8"],
  ["an error", new RangeError("x"), "v8"],
  ["a named array", Object.assign([1], { more: 2 }), "v8"],
  ["an object with __proto__ of its own", JSON.parse('{"__proto__": 1}'), "v8"],
  ["an object with toJSON", { toJSON: 1 }, "v8"],
];

for (const keepsJson of [true, false]) {
  for (const [name, value, as] of VALUES) {
    Deno.test(`pack() keeps ${name}${keepsJson ? "" : " where the store does not keep JSON"}`, () => {
      const { packed } = pack(value, keepsJson);
      const expected = as === "json" && !keepsJson ? "text" : as;
      assertEquals(Object.keys(packed), [expected]);
      const travelled = unpack(JSON.parse(JSON.stringify(packed)));
      assertEquals(travelled, value);
      assert(typeof value !== "number" || Object.is(travelled, value));
      assertEquals(Object.keys(Object(travelled)), Object.keys(Object(value)));
      if (name === "a shared reference") assert((travelled as unknown[])[0] === (travelled as unknown[])[1]);
    });
  }
}

Deno.test("pack() takes a value as it is now", () => {
  const value = { a: [1] };
  const { packed } = pack(value, true);
  value.a.push(2);
  assertEquals(unpack(packed), { a: [1] });
});

Deno.test("pack() says of what cannot be cloned what the pool of one machine says", () => {
  const error = assertThrows(() => pack({ f() {} }, true), DOMException);
  assertEquals(error.name, "DataCloneError");
});

Deno.test("readJobId() takes apart what jobIdOf() made, and knows foreign ids", () => {
  assertEquals(readJobId(jobIdOf("0mwwdv5pce3b7", 12)), { life: "0mwwdv5pce3b7", id: 12 });
  assertEquals(readJobId("17"), { life: "", id: 17 });
  assertEquals(readJobId("my-job"), { life: "my", id: 0 });
  assertEquals(readJobId(""), { life: "", id: 0 });
});

const TASK = { v: 1, to: "web-1", module: "a.ts", timeout: 1_000, args: { json: [1] } };
const RETRY = { maxAttempts: 2, minTimeout: 1, maxTimeout: 1, multiplier: 2, jitter: 0, on: ["failed"] };

const DAMAGED: [data: unknown, message: string][] = [
  [undefined, "its data"],
  [null, "its data"],
  [[], "its data"],
  ["x", "its data"],
  [{ ...TASK, v: 2 }, "version 2 of what travels, this side version 1"],
  [{ ...TASK, v: undefined }, "version undefined"],
  [{ ...TASK, to: "a:b" }, "its to"],
  [{ ...TASK, to: "x".repeat(101) }, "its to"],
  [{ ...TASK, module: 1 }, "its module"],
  [{ ...TASK, timeout: "1" }, "its timeout"],
  [{ ...TASK, timeout: -1 }, "its timeout"],
  [{ ...TASK, args: null }, "its data"],
  [{ ...TASK, args: { v8: 1 } }, "its args"],
  [{ ...TASK, args: { text: {} } }, "its args"],
  [{ ...TASK, softTimeout: "soon" }, "its softTimeout"],
  [{ ...TASK, progress: "yes" }, "its progress"],
  [{ ...TASK, retry: 3 }, "its data"],
  [{ ...TASK, retry: { ...RETRY, maxAttempts: "9" } }, "its retry.maxAttempts"],
  [{ ...TASK, retry: { ...RETRY, minTimeout: NaN } }, "its retry.minTimeout"],
  [{ ...TASK, retry: { ...RETRY, on: "failed" } }, "its retry.on"],
];

Deno.test("readTask() takes a task, and refuses damaged ones", () => {
  assertEquals(readTask(TASK), TASK);
  for (const [data, message] of DAMAGED) assertThrows(() => readTask(data), TypeError, message);
});

Deno.test("readOutcome() and unpackOutcome() take an outcome, and refuse damaged ones", () => {
  const outcome = { status: "ok", worker: 1, attempts: 1, waitedMs: 0, ranMs: 1, callbacks: 0, value: 3 };
  const wire = { v: 1, outcome: { json: outcome }, reported: 0, machine: "m", task: TASK };
  assertEquals(unpackOutcome(readOutcome(wire).outcome), outcome as never);
  assertThrows(() => readOutcome({ ...wire, task: undefined }), TypeError, "its data");
  assertThrows(() => readOutcome({ ...wire, v: 0 }), TypeError, "version 0");
  assertThrows(() => unpackOutcome({ json: { ...outcome, status: "lost" } }), TypeError, "its status");
  assertThrows(() => unpackOutcome({ json: { ...outcome, ranMs: "long" } }), TypeError, "its times");
  assertThrows(() => unpackOutcome({ v8: "AAAA" }));
});
