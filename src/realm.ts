/**
 * Whether the language's own objects are still those of the start. A task that changed them has its outcome, but its
 * worker is no place for another: what the other awaits, or returns, could end up in the wrong hands.
 *
 * @module
 */

// Taken when this is loaded: a task may patch them.
const ObjectPrototype = Object.prototype;
const ArrayPrototype = Array.prototype;
const isExtensible = Object.isExtensible;

/**
 * The globals that the language itself and nearly all code lean on. Not those that tools replace for good reasons, such
 * as `console` and `fetch`: a worker is not given up for an instrumented `console`.
 */
function look(): unknown[] {
  return [
    Object,
    Object.keys,
    Object.defineProperty,
    Function.prototype.call,
    Function.prototype.apply,
    Array,
    Array.isArray,
    ArrayPrototype.push,
    ArrayPrototype[Symbol.iterator],
    String,
    Map,
    Map.prototype.get,
    Map.prototype.set,
    Set,
    WeakMap,
    Promise,
    Promise.prototype.then,
    Promise.prototype.constructor,
    Error,
    TypeError,
    Reflect,
    Reflect.apply,
    ArrayBuffer,
    Uint8Array,
    Int32Array,
    Atomics,
    Atomics.load,
    Atomics.compareExchange,
    MessagePort,
    MessagePort.prototype.postMessage,
    setTimeout,
    clearTimeout,
    queueMicrotask,
    structuredClone,
  ];
}

/** Whether `look`, whose order this follows, would give the same: not called, as it makes a list before every task. */
function unchanged(before: readonly unknown[]): boolean {
  let i = 0;
  return before[i++] === Object &&
    before[i++] === Object.keys &&
    before[i++] === Object.defineProperty &&
    before[i++] === Function.prototype.call &&
    before[i++] === Function.prototype.apply &&
    before[i++] === Array &&
    before[i++] === Array.isArray &&
    before[i++] === ArrayPrototype.push &&
    before[i++] === ArrayPrototype[Symbol.iterator] &&
    before[i++] === String &&
    before[i++] === Map &&
    before[i++] === Map.prototype.get &&
    before[i++] === Map.prototype.set &&
    before[i++] === Set &&
    before[i++] === WeakMap &&
    before[i++] === Promise &&
    before[i++] === Promise.prototype.then &&
    before[i++] === Promise.prototype.constructor &&
    before[i++] === Error &&
    before[i++] === TypeError &&
    before[i++] === Reflect &&
    before[i++] === Reflect.apply &&
    before[i++] === ArrayBuffer &&
    before[i++] === Uint8Array &&
    before[i++] === Int32Array &&
    before[i++] === Atomics &&
    before[i++] === Atomics.load &&
    before[i++] === Atomics.compareExchange &&
    before[i++] === MessagePort &&
    before[i++] === MessagePort.prototype.postMessage &&
    before[i++] === setTimeout &&
    before[i++] === clearTimeout &&
    before[i++] === queueMicrotask &&
    before[i++] === structuredClone;
}

/** Names that every object and array would seem to have, to the dismay of whoever looks for them. */
function polluted(): boolean {
  return "then" in ObjectPrototype || "value" in ObjectPrototype || "type" in ObjectPrototype ||
    "get" in ObjectPrototype || "set" in ObjectPrototype || "error" in ObjectPrototype ||
    "message" in ObjectPrototype || "length" in ObjectPrototype || "next" in ObjectPrototype ||
    "done" in ObjectPrototype || "seq" in ObjectPrototype || "args" in ObjectPrototype ||
    "load" in ObjectPrototype || "target" in ObjectPrototype || "then" in ArrayPrototype ||
    0 in ArrayPrototype || !isExtensible(ObjectPrototype);
}

/** The globals as they were when this was made. */
export class Realm {
  readonly #before: unknown[];

  constructor() {
    this.#before = look();
  }

  /** True if a task has changed what others count on. */
  get spoilt(): boolean {
    try {
      return polluted() || !unchanged(this.#before);
    } catch {
      // A name that is gone.
      return true;
    }
  }
}
