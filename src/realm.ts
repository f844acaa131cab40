/**
 * Whether the globals that tasks count on are still those of the start: a task that changed them has its outcome,
 * but the worker is no place for another.
 *
 * @module
 */

// Taken when this is loaded: a task may patch them.
const ObjectPrototype = Object.prototype;
const ArrayPrototype = Array.prototype;
const isExtensible = Object.isExtensible;

/** What must stay the same. Names, not a loop over names: this is run after every task. */
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
    Date,
    Date.now,
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
    JSON.parse,
    JSON.stringify,
    Math.random,
    ArrayBuffer,
    Uint8Array,
    Int32Array,
    Atomics,
    Atomics.load,
    Atomics.compareExchange,
    TextEncoder,
    URL,
    AbortController,
    MessagePort,
    MessagePort.prototype.postMessage,
    structuredClone,
    queueMicrotask,
    setTimeout,
    performance,
    performance.now,
    console,
    Deno,
    Deno.exit,
  ];
}

/** Names that every object and array would seem to have, to the dismay of whoever looks for them. */
function polluted(): boolean {
  return "then" in ObjectPrototype || "value" in ObjectPrototype || "type" in ObjectPrototype ||
    "get" in ObjectPrototype || "set" in ObjectPrototype || "error" in ObjectPrototype ||
    "message" in ObjectPrototype || "length" in ObjectPrototype || "next" in ObjectPrototype ||
    "done" in ObjectPrototype || "seq" in ObjectPrototype || "args" in ObjectPrototype ||
    "load" in ObjectPrototype || "transfer" in ObjectPrototype || "then" in ArrayPrototype ||
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
