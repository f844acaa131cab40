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
      if (polluted()) return true;
      const before = this.#before;
      const now = look();
      for (let i = 0; i < now.length; i++) if (now[i] !== before[i]) return true;
      return false;
    } catch {
      // A name that is gone.
      return true;
    }
  }
}
