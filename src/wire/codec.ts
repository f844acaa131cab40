/**
 * Small plain values as compact bytes.
 *
 * Messages between threads cost several microseconds each and Deno's `structuredClone` more than that, so the
 * values most tasks take and return (numbers, short strings, small plain objects and arrays) travel as bytes in
 * one buffer a batch, or through shared memory. Whatever is not small and plain is left to the structured clone
 * algorithm: {@linkcode encode} says so by returning `false`.
 *
 * This file also runs in workers beside code that may have patched the built-ins, so it takes what it needs when
 * it is loaded and calls no method of a value.
 *
 * @module
 */
import { kinds } from "../runtime/kinds.ts";

const { isModuleNamespaceObject, isProxy } = kinds;
const isArray = Array.isArray;
const prototypeOf = Object.getPrototypeOf;
const keysOf = Object.keys;
const hasOwn = Object.hasOwn;
const is = Object.is;
const apply = Reflect.apply;
const charCodeAt: (text: string, index: number) => number = Function.prototype.call.bind(
  String.prototype.charCodeAt,
);
const fromCharCode = String.fromCharCode;
const ObjectPrototype = Object.prototype;
const ArrayPrototype = Array.prototype;

const Tag = {
  Undefined: 0,
  Null: 1,
  True: 2,
  False: 3,
  Int: 4,
  Float: 5,
  Latin: 6,
  Wide: 7,
  Array: 8,
  Object: 9,
} as const;

/** The most bytes one encoded value takes. */
export const MAX_BYTES = 2048;
/** The most characters of a string that is copied one by one; longer ones are quicker as a message. */
const MAX_CHARS = 512;
const MAX_ITEMS = 256;
const MAX_OBJECTS = 24;
const MAX_DEPTH = 8;

/** A growing buffer with a position, read and written as bytes and as 32-bit words. */
export class ByteBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  words: Int32Array<ArrayBuffer>;
  /** The next byte to read or to write. */
  at = 0;

  constructor(from: number | ArrayBuffer) {
    const buffer = typeof from === "number" ? new ArrayBuffer(from) : from;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
  }
}

const float = new Float64Array(1);
const floatWords = new Int32Array(float.buffer);
const floatBytes = new Uint8Array(float.buffer);

/** Writes a number into two words. */
export function putFloat(words: Int32Array, at: number, value: number): void {
  float[0] = value;
  words[at] = floatWords[0]!;
  words[at + 1] = floatWords[1]!;
}

/** Reads a number from two words. */
export function getFloat(words: Int32Array, at: number): number {
  floatWords[0] = words[at]!;
  floatWords[1] = words[at + 1]!;
  return float[0]!;
}

const seen: unknown[] = new Array(MAX_OBJECTS).fill(undefined);
let objects = 0;
/** True while a value is written: what a getter in it wants to have written then is left to a clone. */
let busy = false;

type Write<T> = (to: ByteBuffer, value: T, end: number, depth: number) => boolean;

/**
 * Appends the value to the buffer, which must have {@linkcode MAX_BYTES} of room, and moves its position.
 * Returns false, with the position unmoved, for a value that is not small and plain, or that throws when read.
 */
export function encode(to: ByteBuffer, value: unknown): boolean {
  return attempt(to, value, write);
}

/** Like {@linkcode encode}, for a list of our own: only its items are looked at. */
export function encodeList(to: ByteBuffer, items: readonly unknown[]): boolean {
  return items.length <= MAX_ITEMS && attempt(to, items, writeItems);
}

function attempt<T>(to: ByteBuffer, value: T, write: Write<T>): boolean {
  if (busy) return false;
  const start = to.at;
  busy = true;
  objects = 0;
  try {
    if (write(to, value, start + MAX_BYTES - 16, 0)) return true;
  } catch {
    // A getter threw: the structured clone algorithm meets it again and reports it.
  } finally {
    busy = false;
    for (let i = 0; i < objects; i++) seen[i] = undefined;
  }
  to.at = start;
  return false;
}

function write(to: ByteBuffer, value: unknown, end: number, depth: number): boolean {
  if (to.at >= end) return false;
  const bytes = to.bytes;
  switch (typeof value) {
    case "undefined":
      bytes[to.at++] = Tag.Undefined;
      return true;
    case "boolean":
      bytes[to.at++] = value ? Tag.True : Tag.False;
      return true;
    case "number":
      writeNumber(to, value);
      return true;
    case "string":
      return writeString(to, value, end);
    case "object":
      if (value === null) {
        bytes[to.at++] = Tag.Null;
        return true;
      }
      return depth < MAX_DEPTH && isNew(value) && !isProxy(value) && writeObject(to, value, end, depth + 1);
    default:
      return false;
  }
}

function writeNumber(to: ByteBuffer, value: number): void {
  const bytes = to.bytes;
  let at = to.at;
  const int = value | 0;
  if (is(int, value)) {
    bytes[at++] = Tag.Int;
    bytes[at++] = int;
    bytes[at++] = int >> 8;
    bytes[at++] = int >> 16;
    bytes[at++] = int >> 24;
  } else {
    bytes[at++] = Tag.Float;
    float[0] = value;
    for (let i = 0; i < 8; i++) bytes[at++] = floatBytes[i]!;
  }
  to.at = at;
}

function writeString(to: ByteBuffer, value: string, end: number): boolean {
  const length = value.length;
  if (length > MAX_CHARS || to.at + 3 + length > end) return false;
  const bytes = to.bytes;
  const start = to.at;
  let at = start;
  bytes[at++] = Tag.Latin;
  bytes[at++] = length;
  bytes[at++] = length >> 8;
  let any = 0;
  for (let i = 0; i < length; i++) {
    const code = charCodeAt(value, i);
    any |= code;
    bytes[at++] = code;
  }
  if (any > 0xff) {
    if (start + 3 + 2 * length > end) return false;
    bytes[start] = Tag.Wide;
    at = start + 3;
    for (let i = 0; i < length; i++) {
      const code = charCodeAt(value, i);
      bytes[at++] = code;
      bytes[at++] = code >> 8;
    }
  }
  to.at = at;
  return true;
}

function writeObject(to: ByteBuffer, value: object, end: number, depth: number): boolean {
  // First what is quick to see: a list of the keys of a large buffer takes many times longer than its clone.
  const prototype = prototypeOf(value);
  if (prototype === ArrayPrototype) {
    if (!isArray(value)) return false;
    const { length } = value;
    if (length > MAX_ITEMS) return false;
    const keys = keysOf(value);
    // Named properties come last, and holes make the counts differ.
    if (keys.length !== length || (length > 0 && keys[length - 1] !== `${length - 1}`)) return false;
    return writeItems(to, value, end, depth);
  }
  if (prototype !== ObjectPrototype && (prototype !== null || isModuleNamespaceObject(value))) return false;
  if (isArray(value)) return false;
  const keys = keysOf(value);
  const count = keys.length;
  if (count > MAX_ITEMS) return false;
  // An `arguments` object looks plain, but cannot be cloned.
  if ((count === 0 || keys[0] === "0") && hasOwn(value, "callee")) return false;
  writeHead(to, Tag.Object, count);
  for (let i = 0; i < count; i++) {
    const key = keys[i]!;
    if (key === "__proto__" || !writeString(to, key, end)) return false;
    if (!write(to, (value as Record<string, unknown>)[key], end, depth)) return false;
  }
  return true;
}

function writeItems(to: ByteBuffer, items: readonly unknown[], end: number, depth: number): boolean {
  const count = items.length;
  writeHead(to, Tag.Array, count);
  for (let i = 0; i < count; i++) {
    if (!write(to, items[i], end, depth)) return false;
  }
  return true;
}

function writeHead(to: ByteBuffer, tag: number, count: number): void {
  to.bytes[to.at++] = tag;
  to.bytes[to.at++] = count;
  to.bytes[to.at++] = count >> 8;
}

/** False for an object met before: shared references and cycles keep their identity only in a clone. */
function isNew(value: object): boolean {
  if (objects === MAX_OBJECTS) return false;
  for (let i = 0; i < objects; i++) if (seen[i] === value) return false;
  seen[objects++] = value;
  return true;
}

/** Reads the value at the buffer's position and moves the position behind it. */
export function decode(from: ByteBuffer): unknown {
  const bytes = from.bytes;
  switch (bytes[from.at++]) {
    case Tag.Undefined:
      return undefined;
    case Tag.Null:
      return null;
    case Tag.True:
      return true;
    case Tag.False:
      return false;
    case Tag.Int: {
      const at = from.at;
      from.at = at + 4;
      return bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24;
    }
    case Tag.Float: {
      const at = from.at;
      for (let i = 0; i < 8; i++) floatBytes[i] = bytes[at + i]!;
      from.at = at + 8;
      return float[0];
    }
    case Tag.Latin:
      return readString(from, 1);
    case Tag.Wide:
      return readString(from, 2);
    case Tag.Array: {
      const count = readCount(from);
      const array = new Array(count);
      for (let i = 0; i < count; i++) array[i] = decode(from);
      return array;
    }
    case Tag.Object: {
      const count = readCount(from);
      const object: Record<string, unknown> = {};
      for (let i = 0; i < count; i++) {
        const key = decode(from) as string;
        object[key] = decode(from);
      }
      return object;
    }
    default:
      throw new RangeError(`Cannot decode a value: unknown tag at byte ${from.at - 1}`);
  }
}

function readCount(from: ByteBuffer): number {
  const bytes = from.bytes;
  return bytes[from.at++]! | bytes[from.at++]! << 8;
}

function readString(from: ByteBuffer, width: 1 | 2): string {
  const bytes = from.bytes;
  const length = readCount(from);
  const codes: number[] = new Array(length);
  let at = from.at;
  for (let i = 0; i < length; i++) {
    codes[i] = width === 1 ? bytes[at]! : bytes[at]! | bytes[at + 1]! << 8;
    at += width;
  }
  from.at = at;
  return apply(fromCharCode, undefined, codes);
}
