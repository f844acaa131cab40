/**
 * Large buffers among values that are copied: copied here, once, and moved from here on.
 *
 * A clone copies them into its message and, at the other end, out of it again, in memory that is new each time. From a
 * MiB on, a value there and back takes two thirds of that this way, of the time and of the CPU (Deno 2.9.6).
 *
 * @module
 */
import { kinds } from "../runtime/kinds.ts";

/** Smaller buffers are cloned as quickly. */
const LEAST_BYTES = 1 << 18;
/** An object with more properties is not looked at: it might hold one of the buffers too. */
const MAX_KEYS = 64;

// This file also runs in workers: it takes what it needs before a task can patch it.
const apply = Reflect.apply;
const keysOf = Object.keys;
const prototypeOf = Object.getPrototypeOf;
const ObjectPrototype = Object.prototype;
const ArrayPrototype = Array.prototype;
const { isArrayBuffer, isProxy, isTypedArray } = kinds;
const Bytes = Uint8Array;
const { get, set } = Map.prototype;
const Seen = Map;
const views = prototypeOf(Uint8Array.prototype);
const tagOf = getter(views, Symbol.toStringTag)!;
const bufferOf = getter(views, "buffer")!;
const offsetOf = getter(views, "byteOffset")!;
const lengthOf = getter(views, "length")!;
const sizeOf = getter(ArrayBuffer.prototype, "byteLength")!;
/** Absent in older browsers, and so are the buffers. */
const resizable = getter(ArrayBuffer.prototype, "resizable");

type View = new (buffer: ArrayBuffer, offset: number, length: number) => object;

/** The classes of typed arrays by name. Without a prototype: see above. */
const classes: Record<string, View> = Object.create(null);
for (
  const name of [
    "Int8Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "Int16Array",
    "Uint16Array",
    "Int32Array",
    "Uint32Array",
    "Float16Array",
    "Float32Array",
    "Float64Array",
    "BigInt64Array",
    "BigUint64Array",
  ]
) classes[name] = (globalThis as unknown as Record<string, View>)[name]!;

/** Values with buffers that are nobody else's. */
export interface Copies {
  readonly values: unknown[];
  /** Those in the values, to be moved with them. */
  readonly buffers: ArrayBuffer[];
}

/**
 * The values as a clone would have them, with their large buffers and typed arrays copied; undefined where there are
 * none, or where only a clone can tell what else refers to them.
 */
export function copyLarge(values: readonly unknown[]): Copies | undefined {
  let any = false;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (isLarge(value)) any = true;
    else if (!isFlat(value)) return undefined;
  }
  if (!any) return undefined;
  const copies: Copies = { values: [], buffers: [] };
  const seen = new Seen<object, object>();
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    copies.values[i] = isLarge(value) ? copy(value, seen, copies.buffers) : value;
  }
  return copies;
}

function isLarge(value: unknown): value is ArrayBuffer | Uint8Array {
  const buffer = isTypedArray(value) ? apply(bufferOf, value, []) : value;
  // Not what is shared, and not what can grow: a clone of it can too.
  return isArrayBuffer(buffer) && apply(sizeOf, buffer, []) >= LEAST_BYTES &&
    !(resizable !== undefined && apply(resizable, buffer, []));
}

function copy(value: ArrayBuffer | Uint8Array, seen: Map<object, object>, buffers: ArrayBuffer[]): object {
  const known = apply(get, seen, [value]);
  if (known !== undefined) return known;
  let made: object;
  if (isTypedArray(value)) {
    made = sameView(value, copy(apply(bufferOf, value, []), seen, buffers) as ArrayBuffer);
  } else {
    const buffer = copyBuffer(value as ArrayBuffer);
    buffers.push(buffer);
    made = buffer;
  }
  apply(set, seen, [value, made]);
  return made;
}

/** The same for a value alone, in a worker: it is put into no list, where what a task has patched could find it. */
export function copyLargeValue(value: unknown): { value: object; buffer: ArrayBuffer } | undefined {
  if (!isLarge(value)) return undefined;
  const view = isTypedArray(value);
  const buffer = copyBuffer(view ? apply(bufferOf, value, []) : value as ArrayBuffer);
  return { value: view ? sameView(value, buffer) : buffer, buffer };
}

function copyBuffer(buffer: ArrayBuffer): ArrayBuffer {
  return apply(bufferOf, new Bytes(new Bytes(buffer)), []);
}

function sameView(view: Uint8Array, buffer: ArrayBuffer): object {
  const View = classes[apply(tagOf, view, [])]!;
  return new View(buffer, apply(offsetOf, view, []), apply(lengthOf, view, []));
}

/** Whether the value surely refers to no buffer: to nothing, or to nothing but what refers to nothing. */
function isFlat(value: unknown): boolean {
  if (!isObject(value)) return true;
  if (isProxy(value)) return false;
  const prototype = prototypeOf(value);
  if (prototype !== ObjectPrototype && prototype !== ArrayPrototype && prototype !== null) return false;
  const keys = keysOf(value);
  if (keys.length > MAX_KEYS) return false;
  for (let i = 0; i < keys.length; i++) {
    if (isObject((value as Record<string, unknown>)[keys[i]!])) return false;
  }
  return true;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function getter(prototype: object, name: string | symbol): (() => never) | undefined {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as (() => never) | undefined;
}
