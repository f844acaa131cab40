import { kinds } from "./runtime/kinds.ts";

/** Where the table is: a registered symbol, so that all copies of this module in a thread share it. */
const TABLE = Symbol.for("@cm/multiprocess.transfer");

// Taken when this is loaded: in a worker a task may patch them.
const apply = Reflect.apply;
const { get, set } = WeakMap.prototype;

/** The buffers that are moved with a value that a task returns. In a worker made before any task is loaded. */
const table = tableOf(globalThis as { [TABLE]?: WeakMap<object, ArrayBuffer[]> });

function tableOf(scope: { [TABLE]?: WeakMap<object, ArrayBuffer[]> }): WeakMap<object, ArrayBuffer[]> {
  if (!Object.hasOwn(scope, TABLE)) Object.defineProperty(scope, TABLE, { value: new WeakMap() });
  return scope[TABLE]!;
}

/**
 * Has the buffers moved out of the worker when the task returns the value, where they would else be copied. Gives the
 * value itself, so that a task can be called, and tested, like any function.
 *
 * @example Usage
 * ```ts
 * import { transfer } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * export function runnable(size: number): Uint8Array {
 *   const pixels = new Uint8Array(size);
 *   return transfer(pixels, [pixels.buffer]);
 * }
 *
 * assertEquals(runnable(16), new Uint8Array(16));
 * ```
 *
 * @param value What the task returns, itself and not in something else.
 * @param buffers The buffers in it to move. They are unusable in the worker after the task has returned.
 * @returns The value.
 */
export function transfer<T>(value: T, buffers: ArrayBuffer[]): T {
  // No other value has any in it.
  if (typeof value === "object" && value !== null) apply(set, table, [value, buffers]);
  return value;
}

/** The buffers that were named for a value by {@linkcode transfer}; undefined where it was not. */
export function transferOf(value: unknown): ArrayBuffer[] | undefined {
  return typeof value === "object" && value !== null
    ? apply(get, table, [value]) as ArrayBuffer[] | undefined
    : undefined;
}

/**
 * Makes sure that a message with these arguments can be sent, without moving the buffers.
 *
 * @throws {DOMException} `DataCloneError`, where it cannot.
 */
export function checkTransfer(args: unknown[], buffers: ArrayBuffer[]): void {
  if (new Set(buffers).size < buffers.length) throw refused("a buffer is named twice in transfer");
  if (buffers.some((buffer) => buffer.detached)) throw refused("a buffer in transfer has been moved before");
  // A trial costs a copy of all buffers, so only arguments that are not known to be fine are tried.
  if (!args.every((arg) => isFine(arg, 0))) structuredClone(args);
}

function refused(why: string): DOMException {
  return new DOMException(`Cannot move the buffers: ${why}`, "DataCloneError");
}

function isFine(value: unknown, depth: number): boolean {
  if (typeof value === "function" || typeof value === "symbol") return false;
  if (typeof value !== "object" || value === null) return true;
  if (kinds.isProxy(value) || depth > 4) return false;
  if (kinds.isArrayBuffer(value)) return !(value as ArrayBuffer).detached;
  if (ArrayBuffer.isView(value)) return !(value.buffer as ArrayBuffer).detached;
  // For many items, a list of descriptors takes longer than the trial.
  if (Array.isArray(value) && value.length >= 1_000) return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return false;
  const properties = Object.values(Object.getOwnPropertyDescriptors(value));
  return properties.length < 1_000 &&
    properties.every((each) => "value" in each && isFine(each.value, depth + 1));
}
