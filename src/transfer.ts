import { types } from "node:util";

/** Marks a value to be moved; a registered symbol, so that it works across copies of this module. */
const MARK = Symbol.for("@cm/multiprocess.transfer");

// Taken when this is loaded: in a worker a task may patch it.
const hasOwn = Object.hasOwn;

/** A value and the buffers in it that are moved. */
interface Transfer {
  readonly [MARK]: true;
  readonly value: unknown;
  readonly buffers: ArrayBuffer[];
}

/**
 * Returned from a task, moves the buffers out of the worker where they would else be copied.
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
 * assertEquals(typeof runnable(16), "object");
 * ```
 *
 * @param value What the task returns.
 * @param buffers The buffers in it to move. They are unusable in the worker afterwards.
 * @returns A value to return from `runnable`, typed as the value it stands for.
 */
export function transfer<T>(value: T, buffers: ArrayBuffer[]): T {
  return { [MARK]: true, value, buffers } as Transfer as unknown as T;
}

/** What was marked by {@linkcode transfer}; undefined for any other value. */
export function transferOf(value: unknown): { value: unknown; buffers: ArrayBuffer[] } | undefined {
  // Its own: a task may have given one to all objects.
  return typeof value === "object" && value !== null && hasOwn(value, MARK)
    ? value as unknown as Transfer
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
  // A trial costs a copy of all buffers, so it is made only for what is not known to be fine.
  if (!args.every((arg) => isFine(arg, 0))) structuredClone(args);
}

function refused(why: string): DOMException {
  return new DOMException(`Cannot move the buffers: ${why}`, "DataCloneError");
}

function isFine(value: unknown, depth: number): boolean {
  if (typeof value === "function" || typeof value === "symbol") return false;
  if (typeof value !== "object" || value === null) return true;
  if (types.isProxy(value) || depth > 4) return false;
  if (value instanceof ArrayBuffer) return !value.detached;
  if (ArrayBuffer.isView(value)) return !(value.buffer as ArrayBuffer).detached;
  // Of many items a list of descriptors takes longer than the trial.
  if (Array.isArray(value) && value.length >= 1_000) return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return false;
  const properties = Object.values(Object.getOwnPropertyDescriptors(value));
  return properties.length < 1_000 &&
    properties.every((each) => "value" in each && isFine(each.value, depth + 1));
}
