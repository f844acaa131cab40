import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { copyLarge, copyLargeValue } from "../../src/wire/copies.ts";

const LARGE = 1 << 19;

function bytes(length = LARGE): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length).map((_, i) => i * 7);
}

class Own extends Uint8Array<ArrayBuffer> {}

/** What arrives of the values, by a clone of these or by moving copies of them. */
function arrived(values: unknown[]): { cloned: unknown[]; copied: unknown[] } {
  const cloned = structuredClone(values);
  const copies = copyLarge(values);
  assert(copies !== undefined);
  assert(copies.buffers.length > 0);
  return { cloned, copied: structuredClone(copies.values, { transfer: copies.buffers }) };
}

const CASES: Record<string, () => unknown[]> = {
  "a buffer": () => [bytes().buffer],
  "a typed array": () => [bytes()],
  "one of each class": () => {
    const { buffer } = bytes();
    return [
      ...[Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array].map((View) =>
        new View(buffer)
      ),
      new Float32Array(buffer),
      new Float64Array(buffer),
      new BigInt64Array(buffer),
      new BigUint64Array(buffer),
    ];
  },
  "a part of a buffer": () => [bytes().subarray(3, 10)],
  "a subclass": () => [new Own(bytes().buffer)],
  "small values beside it": () => [1, "a", null, undefined, { a: 1, b: "c" }, [1, 2], bytes(), 2n],
};

for (const [name, make] of Object.entries(CASES)) {
  Deno.test(`copyLarge gives what a clone gives of ${name}, and leaves it as it is`, () => {
    const values = make();
    const { cloned, copied } = arrived(values);
    assertEquals(copied, cloned);
    const kinds = (all: unknown[]) => all.map((each) => Object.prototype.toString.call(each));
    assertEquals(kinds(copied), kinds(cloned));
    assertEquals(values, make());
  });
}

Deno.test("copyLarge keeps what is the same the same, and other things others", () => {
  const all = bytes();
  const { copied } = arrived([all, all, all.subarray(8), all.buffer, bytes()]);
  const [first, second, part, buffer, other] = copied as Uint8Array[];
  assertStrictEquals(second, first);
  assert(part !== first);
  assertEquals(part!.byteOffset, 8);
  assertStrictEquals(part!.buffer, first!.buffer);
  assertStrictEquals(buffer as unknown, first!.buffer);
  assert(other!.buffer !== first!.buffer);
});

Deno.test("copyLargeValue gives what a clone gives, and shows it to nothing that is patched", () => {
  const values = [bytes(), bytes().buffer, new Float32Array(bytes().buffer, 8, 5)];
  const clones = values.map((value) => structuredClone(value));
  let heard = 0;
  Object.defineProperty(Array.prototype, 0, { configurable: true, set: () => heard++ });
  let copies;
  try {
    copies = [copyLargeValue(values[0]), copyLargeValue(values[1]), copyLargeValue(values[2])];
  } finally {
    delete Array.prototype[0];
  }
  assertEquals(heard, 0);
  assertEquals(copies.map((each) => each!.value), clones);
  for (const [i, each] of copies.entries()) {
    const { value, buffer } = each!;
    assertStrictEquals(value instanceof ArrayBuffer ? value : (value as Uint8Array).buffer, buffer);
    assert(buffer !== (values[i] instanceof ArrayBuffer ? values[i] : (values[i] as Uint8Array).buffer));
  }
  assertEquals(copyLargeValue(bytes(1_000)), undefined);
  assertEquals(copyLargeValue({ large: bytes() }), undefined);
});

Deno.test("copyLarge leaves to a clone what only that can do, and what is not worth it", () => {
  const large = bytes();
  const gone = bytes();
  structuredClone(gone, { transfer: [gone.buffer] });
  const cases: Record<string, unknown[]> = {
    nothing: [],
    small: [bytes(1_000)],
    inside: [{ large }],
    "perhaps inside another": [large, { deep: { large } }],
    "in a map": [large, new Map([[1, large]])],
    "a view of it": [large, new DataView(large.buffer)],
    shared: [new Uint8Array(new SharedArrayBuffer(LARGE))],
    resizable: [new ArrayBuffer(LARGE, { maxByteLength: 2 * LARGE })],
    moved: [gone],
    proxy: [new Proxy(large, {})],
    impostor: [Object.create(Uint8Array.prototype)],
  };
  for (const [name, values] of Object.entries(cases)) assertEquals(copyLarge(values), undefined, name);
});
