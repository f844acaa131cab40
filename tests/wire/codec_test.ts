import { assert, assertEquals, assertThrows } from "@std/assert";
import { ByteBuffer, decode, encode, MAX_BYTES } from "../../src/wire/codec.ts";
import { random, seed } from "../helpers.ts";

function roundTrip(value: unknown): unknown {
  const buffer = new ByteBuffer(2 * MAX_BYTES);
  buffer.at = 5;
  assert(encode(buffer, value), "the value should be small and plain");
  const end = buffer.at;
  buffer.at = 5;
  const result = decode(buffer);
  assertEquals(buffer.at, end);
  return result;
}

Deno.test("encode() and decode() keep small plain values", () => {
  const values = [
    undefined,
    null,
    true,
    false,
    0,
    -0,
    1,
    -1,
    2 ** 31 - 1,
    -(2 ** 31),
    2 ** 31,
    0.1,
    NaN,
    Infinity,
    -Infinity,
    Number.MAX_SAFE_INTEGER,
    "",
    "text",
    "Grüße",
    "日本語 🦕",
    "\ud800 alone",
    [],
    [1, "two", [3, undefined]],
    {},
    { a: 1, b: { c: [null, { d: "e" }] }, "": 0 },
  ];
  for (const value of values) assertEquals(roundTrip(value), value);
  assert(Object.is(roundTrip(-0), -0));
});

Deno.test("encode() leaves to a clone what is not small and plain", async () => {
  const shared = {};
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const named = Object.assign([1], { name: "x" });
  const getter = {
    get bad(): never {
      throw new Error("bad");
    },
  };
  const values: unknown[] = [
    () => {},
    Symbol("s"),
    1n,
    new Date(),
    new Map(),
    new Uint8Array(2),
    /x/,
    new Error("x"),
    new (class A {})(),
    new Proxy({}, {}),
    new Proxy([], {}),
    [1, , 3],
    named,
    getter,
    [shared, shared],
    cycle,
    "x".repeat(10_000),
    new Array(1_000).fill(1),
    JSON.parse('{"__proto__": 1}'),
    Object.assign([, , 1], { x: 1, y: 2 }),
    (function (..._args: unknown[]) {
      return arguments;
    })(1, 2),
    await import("../../src/wire/now.ts"),
    Array.from({ length: 100 }, () => "x".repeat(100)),
  ];
  const buffer = new ByteBuffer(2 * MAX_BYTES);
  for (const [i, value] of values.entries()) {
    buffer.at = 12;
    assertEquals(encode(buffer, value), false, `value ${i}`);
    assertEquals(buffer.at, 12);
  }
});

Deno.test("encode() never writes beyond MAX_BYTES, and keeps random values", () => {
  const next = random(seed());
  const make = (depth: number): unknown => {
    switch (Math.trunc(next() * (depth > 5 ? 5 : 7))) {
      case 0:
        return Math.trunc(next() * 2 ** 33) - 2 ** 32;
      case 1:
        return next();
      case 2:
        return next() < 0.5;
      case 3:
        return next() < 0.5 ? null : undefined;
      case 4:
        return String.fromCharCode(
          ...Array.from({ length: next() * 300 }, () => next() * (next() < 0.5 ? 256 : 65_536)),
        );
      case 5:
        return Array.from({ length: next() * 6 }, () => make(depth + 1));
      default:
        return Object.fromEntries(Array.from({ length: next() * 6 }, (_, i) => [`key${i}`, make(depth + 1)]));
    }
  };
  const buffer = new ByteBuffer(4 * MAX_BYTES);
  let encoded = 0;
  for (let i = 0; i < 20_000; i++) {
    const value = make(0);
    buffer.at = 0;
    buffer.bytes.fill(0xa5, MAX_BYTES);
    if (!encode(buffer, value)) continue;
    encoded++;
    assert(buffer.bytes.subarray(MAX_BYTES).every((byte) => byte === 0xa5));
    buffer.at = 0;
    assertEquals(decode(buffer), value);
  }
  assert(encoded > 10_000);
});

Deno.test("decode() refuses bytes that are no value", () => {
  const buffer = new ByteBuffer(8);
  buffer.bytes[0] = 200;
  assertThrows(() => decode(buffer), RangeError, "unknown tag");
});

Deno.test("encode() leaves what a getter has encoded to a clone, and keeps the value that has the getter", () => {
  const buffer = new ByteBuffer(2 * MAX_BYTES);
  let inner: boolean | undefined;
  const outer = {
    first: {},
    get second() {
      inner = encode(new ByteBuffer(2 * MAX_BYTES), [{}, {}]);
      return 1;
    },
  };
  assertEquals(encode(buffer, outer), true);
  assertEquals(inner, false);
  buffer.at = 0;
  assertEquals(decode(buffer), { first: {}, second: 1 });
  assertEquals(roundTrip([{}, {}]), [{}, {}]);
});
