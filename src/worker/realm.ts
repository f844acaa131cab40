/**
 * Whether the language's own objects are still those of the start. A task that changed them has its outcome, but its
 * worker is no place for another: what the other awaits, or returns, could end up in the wrong hands.
 *
 * What a module changes while it is *loaded* is meant for all its tasks, and is no reason to give up the worker: from
 * then on it runs those of that module only.
 *
 * @module
 */

// Taken when this is loaded: a task may patch them.
const ObjectPrototype = Object.prototype;
const ArrayPrototype = Array.prototype;
const FunctionPrototype = Function.prototype;
const isExtensible = Object.isExtensible;
const prototypeOf = Object.getPrototypeOf;
const namesOf = Object.getOwnPropertyNames;
const ArrayIteratorPrototype: Iterator<unknown> = prototypeOf([][Symbol.iterator]());
const GeneratorPrototype: Generator = prototypeOf(prototypeOf((function* () {})()));
const AsyncGeneratorPrototype: AsyncGenerator = prototypeOf(prototypeOf((async function* () {})()));

/**
 * The globals that the language itself and nearly all code lean on. Not those that tools replace for good reasons, such
 * as `console` and `fetch`: a worker is not given up for an instrumented `console`. See also `StackHook`.
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
    ArrayIteratorPrototype.next,
    GeneratorPrototype.next,
    AsyncGeneratorPrototype.next,
    String,
    Map,
    Map.prototype.get,
    Map.prototype.set,
    Set,
    WeakMap,
    Promise,
    Promise.prototype.then,
    Promise.prototype.constructor,
    Promise[Symbol.species],
    Error,
    TypeError,
    DOMException,
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

/** What `look` looks at, in its order. */
const NAMES = [
  "Object",
  "Object.keys",
  "Object.defineProperty",
  "Function.prototype.call",
  "Function.prototype.apply",
  "Array",
  "Array.isArray",
  "Array.prototype.push",
  "Array.prototype[Symbol.iterator]",
  "next() of array iterators",
  "next() of generators",
  "next() of async generators",
  "String",
  "Map",
  "Map.prototype.get",
  "Map.prototype.set",
  "Set",
  "WeakMap",
  "Promise",
  "Promise.prototype.then",
  "Promise.prototype.constructor",
  "Promise[Symbol.species]",
  "Error",
  "TypeError",
  "DOMException",
  "Reflect",
  "Reflect.apply",
  "ArrayBuffer",
  "Uint8Array",
  "Int32Array",
  "Atomics",
  "Atomics.load",
  "Atomics.compareExchange",
  "MessagePort",
  "MessagePort.prototype.postMessage",
  "setTimeout",
  "clearTimeout",
  "queueMicrotask",
  "structuredClone",
];

/**
 * The name of the first that `look`, whose order this follows, would give otherwise: not called, as it makes a list
 * before every task.
 */
function changed(before: readonly unknown[]): string | undefined {
  let i = 0;
  try {
    return before[i++] === Object &&
        before[i++] === Object.keys &&
        before[i++] === Object.defineProperty &&
        before[i++] === Function.prototype.call &&
        before[i++] === Function.prototype.apply &&
        before[i++] === Array &&
        before[i++] === Array.isArray &&
        before[i++] === ArrayPrototype.push &&
        before[i++] === ArrayPrototype[Symbol.iterator] &&
        before[i++] === ArrayIteratorPrototype.next &&
        before[i++] === GeneratorPrototype.next &&
        before[i++] === AsyncGeneratorPrototype.next &&
        before[i++] === String &&
        before[i++] === Map &&
        before[i++] === Map.prototype.get &&
        before[i++] === Map.prototype.set &&
        before[i++] === Set &&
        before[i++] === WeakMap &&
        before[i++] === Promise &&
        before[i++] === Promise.prototype.then &&
        before[i++] === Promise.prototype.constructor &&
        before[i++] === Promise[Symbol.species] &&
        before[i++] === Error &&
        before[i++] === TypeError &&
        before[i++] === DOMException &&
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
        before[i++] === structuredClone
      ? undefined
      : NAMES[i - 1];
  } catch {
    // It is gone, or is not to be read.
    return NAMES[i - 1];
  }
}

/** Names that every object, array or function would seem to have, to the dismay of whoever looks for them. */
function polluted(): boolean {
  return "then" in ObjectPrototype || "value" in ObjectPrototype || "type" in ObjectPrototype ||
    "get" in ObjectPrototype || "set" in ObjectPrototype || "error" in ObjectPrototype ||
    "message" in ObjectPrototype || "length" in ObjectPrototype || "next" in ObjectPrototype ||
    "done" in ObjectPrototype || "seq" in ObjectPrototype || "args" in ObjectPrototype ||
    "load" in ObjectPrototype || "target" in ObjectPrototype || "runnable" in ObjectPrototype ||
    "then" in ArrayPrototype || 0 in ArrayPrototype || "prototype" in FunctionPrototype ||
    !isExtensible(ObjectPrototype);
}

/** How many names these prototypes have, and how many of them can be given more. */
function pollution(): number {
  return 4 *
      (namesOf(ObjectPrototype).length + namesOf(ArrayPrototype).length + namesOf(FunctionPrototype).length) +
    (isExtensible(ObjectPrototype) ? 1 : 0) + (isExtensible(ArrayPrototype) ? 1 : 0) +
    (isExtensible(FunctionPrototype) ? 1 : 0);
}

const PROTOTYPES = "Object.prototype, Array.prototype or Function.prototype";

/** The globals as they are to be. */
export class Realm {
  #before = look();
  /** Of prototypes that were polluted when the globals were accepted. */
  #pollution: number | undefined;

  /**
   * The globals are to be as they are now: a module was loaded, or the initializer has run.
   *
   * @returns What has changed; undefined for nothing.
   */
  accept(): string | undefined {
    let changed: string | undefined;
    try {
      const after = look();
      for (let i = 0; i < after.length; i++) {
        if (after[i] !== this.#before[i]) changed ??= NAMES[i];
      }
      const before = this.#pollution;
      const now = polluted() ? pollution() : undefined;
      if (now !== before) changed ??= PROTOTYPES;
      this.#before = after;
      this.#pollution = now;
    } catch {
      // Something is gone, or a proxy is among the prototypes: `spoilt` will tell.
    }
    return changed;
  }

  /** What a task has changed of that which others count on; undefined for nothing. */
  get spoilt(): string | undefined {
    try {
      if (!polluted() || pollution() === this.#pollution) return changed(this.#before);
    } catch {
      // A proxy is among the prototypes now.
    }
    return PROTOTYPES;
  }
}
