/**
 * Values that the structured clone algorithm of the runtime refuses without saying where in a value they are, would
 * silently turn into something else, or take apart on one side and not put together on the other.
 *
 * This file also runs in workers beside code that may have patched the built-ins, so it takes what it needs when it is
 * loaded and calls no method of a value.
 *
 * @module
 */
import { kinds } from "../runtime/kinds.ts";
import {
  constructorOf,
  describeLate,
  describeLossy,
  isCloned,
  isGlobal,
  lossyInProcessOf,
  lossyOf,
} from "./lossy_classes.ts";

const {
  isAnyArrayBuffer,
  isArrayBuffer,
  isArgumentsObject,
  isBoxedPrimitive,
  isDataView,
  isDate,
  isGeneratorObject,
  isMap,
  isModuleNamespaceObject,
  isNativeError,
  isProxy,
  isRegExp,
  isSet,
} = kinds;
const prototypeOf = Object.getPrototypeOf;
const keysOf = Object.keys;
const namesOf = Object.getOwnPropertyNames;
const symbolsOf = Object.getOwnPropertySymbols;
const valuesOf = Object.values;
const hasOwn = Object.hasOwn;
const isArray = Array.isArray;
const isView = ArrayBuffer.isView;
const SetClass = Set;
const DOMExceptionClass = DOMException;
const ObjectPrototype = Object.prototype;
const ArrayPrototype = Array.prototype;
const uncurry = Function.prototype.bind.bind(Function.prototype.call) as <T, A extends unknown[], R>(
  method: (this: T, ...args: A) => R,
) => (self: T, ...args: A) => R;
const hasSeen = uncurry(Set.prototype.has);
const addSeen = uncurry(Set.prototype.add);
/** Whether a buffer was moved; throws for what has none of its own, which cannot be. */
const isDetached = getter<boolean>(ArrayBuffer.prototype, "detached");
const bufferOfArray = getter<object>(prototypeOf(Uint8Array.prototype), "buffer");
const bufferOfDataView = getter<object>(DataView.prototype, "buffer");
const eachOfSet = uncurry(Set.prototype.forEach);
const eachOfMap = uncurry(Map.prototype.forEach);

/**
 * Deno drops a message without a word when it cannot put it together again, which begins about 2 700 levels deep; what
 * is posted at 5 000 and deeper is an error (seen up to 2.9.6).
 */
const MAX_DEPTH = 1_000;
/** How many steps of the way to a value a message shows. */
const MAX_STEPS = 20;
/** Objects with no more values than this are looked at again as quickly as they are remembered. */
const FEW = 8;
/** Arrays of no more items than this are looked at as objects are, with their named properties. */
const SHORT = 1_000;

function getter<T>(prototype: object, name: string): (self: object) => T {
  return uncurry(Object.getOwnPropertyDescriptor(prototype, name)!.get!);
}

/** Where the worker is that a value goes to or comes from. */
export type Isolation = "thread" | "process";

const NONE: readonly object[] = [];

/** What is wrong with a value, and where in it. */
interface Problem {
  path: string;
  why: string;
}

const MOVED = "a buffer that was moved before, and is empty now; send it before, or a copy";

const TOO_DEEP: Problem = {
  path: "",
  why: "nested deeper than 1 000 levels, which might not arrive; send it as a flat list",
};

/** Says what is wrong with an object that is not plain. */
type Judge = (value: object, prototype: object, depth: number) => string | undefined;

/**
 * Throws for a value that would not arrive: one nested too deep for any thread to receive, one with a function, a
 * `Proxy`, a `URL`, `Headers` or their like in it, and one that is an instance of a class with methods or has one
 * directly inside.
 *
 * @returns The errors in it, as `errorsIn` finds them in its clone.
 * @throws {DOMException} `DataCloneError`, naming the value and where it is.
 */
export function refuseLossy(value: unknown, where: string, isolation: Isolation): readonly object[] {
  if (typeof value !== "object" || value === null) {
    refuse(problemOf(value), where);
    return NONE;
  }
  const judge = isolation === "thread" ? judgeForThread : judgeForProcess;
  const errors: object[] = [];
  const problem = search(value, 0, new SetClass(), (each, prototype, depth) => {
    if (isNativeError(each)) errors[errors.length] = each;
    return judge(each, prototype, depth);
  });
  refuse(problem, where);
  return errors;
}

function refuse(problem: Problem | undefined, where: string): void {
  if (problem === undefined) return;
  const { path, why } = problem;
  throw new DOMExceptionClass(`Cannot clone ${where}${path}: it is ${why}`, "DataCloneError");
}

/** The errors in a value, each as often as it is met. */
export function errorsIn(value: unknown): readonly object[] {
  if (typeof value !== "object" || value === null) return NONE;
  const errors: object[] = [];
  search(value, 0, new SetClass(), (each) => {
    if (isNativeError(each)) errors[errors.length] = each;
    return undefined;
  });
  return errors;
}

/** Whether a value is nested so deep that a message with it in it might never arrive. */
export function isTooDeep(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    search(value, 0, new SetClass(), () => undefined) !== undefined;
}

/**
 * Goes through a value in the order in which it is cloned, so that what is met twice counts as deep as it is there:
 * where it is met first.
 */
function search(value: object, depth: number, seen: Set<object>, judge: Judge): Problem | undefined {
  if (isProxy(value)) {
    return {
      path: "",
      why: `a Proxy, which cannot be cloned; send ${isArray(value) ? "[...it]" : "{ ...it }"}`,
    };
  }
  const prototype = prototypeOf(value);
  const plain = prototype === ObjectPrototype || prototype === ArrayPrototype || prototype === null;
  if (!plain) {
    const why = judge(value, prototype, depth);
    if (why !== undefined) return { path: "", why };
    if (isView(value) || isAnyArrayBuffer(value)) {
      return isMoved(value) ? { path: "", why: MOVED } : undefined;
    }
    if (isBoxedPrimitive(value)) return undefined;
  } else if (depth <= 1) {
    const why = describeExotic(value, prototype);
    if (why !== undefined) return { path: "", why };
  }
  if (hasSeen(seen, value)) return undefined;
  const inner = plain ? isArray(value) ? itemsOf(value) : valuesOf(value) : contentOf(value);
  const { length } = inner;
  let remembered = length > FEW || inner === NOTHING;
  if (remembered) addSeen(seen, value);
  for (let i = 0; i < length; i++) {
    const item = inner[i];
    if (typeof item !== "object" || item === null) {
      const problem = problemOf(item);
      if (problem === undefined) continue;
      problem.path = stepTo(value, i);
      return problem;
    }
    if (depth === MAX_DEPTH) return TOO_DEEP;
    if (!remembered) addSeen(seen, value);
    remembered = true;
    const problem = search(item, depth + 1, seen, judge);
    if (problem === undefined) continue;
    // The way to what is too deep would be as long.
    if (problem !== TOO_DEEP) problem.path = depth < MAX_STEPS ? stepTo(value, i) + problem.path : "…";
    return problem;
  }
  return undefined;
}

/** Says what is wrong with what is no object. */
function problemOf(value: unknown): Problem | undefined {
  if (typeof value === "function") {
    return {
      path: "",
      why: "a function, which cannot be cloned; send data, and have the task import what it calls",
    };
  }
  if (typeof value === "symbol") return { path: "", why: "a symbol, which cannot be cloned; send a string" };
  return undefined;
}

/** Whether the buffer, or that of the view, was moved. */
function isMoved(value: object): boolean {
  const buffer = !isView(value) ? value : isDataView(value) ? bufferOfDataView(value) : bufferOfArray(value);
  return isArrayBuffer(buffer) && isDetached(buffer);
}

const NOTHING: readonly unknown[] = [];

/**
 * The items of an array, and its named properties; nothing for a long one of primitives, which is quick to see, while
 * a list of their names takes longer than the clone. That leaves named properties of such an array unseen.
 */
function itemsOf(array: readonly unknown[]): readonly unknown[] {
  const { length } = array;
  if (length <= SHORT) return valuesOf(array);
  for (let i = 0; i < length; i++) {
    const item = array[i];
    // A hole: there may be far more of them than items.
    if (item === undefined ? !hasOwn(array, i) : !isPrimitive(item)) {
      return valuesOf(array);
    }
  }
  return NOTHING;
}

/** Whether it can be cloned for certain. */
function isPrimitive(item: unknown): boolean {
  return typeof item === "object" ? item === null : typeof item !== "function" && typeof item !== "symbol";
}

/** What the clone of an object of some class has in it. */
function contentOf(value: object): readonly unknown[] {
  const content: unknown[] = [];
  let i = 0;
  if (isMap(value)) {
    eachOfMap(value, (each, key) => {
      content[i++] = key;
      content[i++] = each;
    });
  } else if (isSet(value)) {
    eachOfSet(value, (each) => content[i++] = each);
  } else if (isNativeError(value)) {
    if (hasOwn(value, "cause")) content[0] = value.cause;
  } else if (!isDate(value) && !isRegExp(value) && !isCloned(prototypeOf(value))) {
    return isArray(value) ? itemsOf(value) : valuesOf(value);
  }
  return content;
}

/** How a reader would get from an object to what is the i-th in it. */
function stepTo(value: object, i: number): string {
  if (isMap(value)) return i % 2 === 0 ? `.keys()[${i / 2}]` : `.values()[${(i - 1) / 2}]`;
  if (isSet(value)) return `.values()[${i}]`;
  if (isNativeError(value)) return ".cause";
  const key = keysOf(value)[i];
  return isArray(value) ? `[${key}]` : `.${key}`;
}

function judgeForThread(value: object, prototype: object, depth: number): string | undefined {
  const why = describeLossy(prototype, lossyOf);
  if (why !== undefined) return why;
  if (isGeneratorObject(value)) return "a generator, which cannot be cloned; send [...it]";
  // Of what the algorithm knows it makes the same again, also of a subclass and of that of another realm.
  return isKnown(value)
    ? undefined
    : describeLate(prototype) ?? describeHollow(value, prototype) ?? describeInstance(prototype, depth);
}

function judgeForProcess(value: object, prototype: object, depth: number): string | undefined {
  return describeLossy(prototype, lossyInProcessOf) ?? judgeForThread(value, prototype, depth) ??
    describeHidden(value, prototype);
}

/** Whether the clone algorithm makes more of it than of a plain object. */
function isKnown(value: object): boolean {
  return isMap(value) || isSet(value) || isDate(value) || isRegExp(value) || isNativeError(value) ||
    isArray(value) ||
    isView(value) || isAnyArrayBuffer(value) || isBoxedPrimitive(value);
}

/** What looks plain, and is not. */
function describeExotic(value: object, prototype: object | null): string | undefined {
  if (prototype === null && isModuleNamespaceObject(value)) {
    return "a module, which cannot be cloned; send { ...it }";
  }
  if (isArgumentsObject(value)) return "an arguments object, which cannot be cloned; send [...it]";
  return undefined;
}

/** An object of the platform whose content is not in properties, such as an `Event` or an `ImageData`. */
function describeHollow(value: object, prototype: object): string | undefined {
  const constructor = constructorOf(prototype);
  if (constructor === undefined || !isGlobal(constructor) || isCloned(prototype)) return undefined;
  if (keysOf(value).length > 0) return undefined;
  return `an instance of ${constructor.name}, which would not arrive as one; send what you need of it`;
}

function describeInstance(prototype: object, depth: number): string | undefined {
  // Deeper inside, instances have always been taken as the data they are.
  const name = depth > 1 ? undefined : methodOwner(prototype);
  return name === undefined
    ? undefined
    : `an instance of ${name}, which would arrive without its methods; send a plain object`;
}

/** An instance that is found deep inside and has all it knows in places that only a thread could be sent. */
function describeHidden(value: object, prototype: object): string | undefined {
  if (isKnown(value) || symbolsOf(value).length === 0 || keysOf(value).length > 0) return undefined;
  const name = methodOwner(prototype);
  return name && `an instance of ${name}, which would arrive as {} in a process; send what you need of it`;
}

/** The name of a class of the user's that the value is an instance of, if it has methods. */
function methodOwner(prototype: object): string | undefined {
  const constructor = constructorOf(prototype);
  // The platform's own classes are for the clone algorithm to judge.
  if (constructor === undefined || isGlobal(constructor) || isForeign(prototype)) return undefined;
  // A subclass of a built-in, such as an error, arrives as that; only a class of its own loses everything.
  const parent = prototypeOf(prototype);
  if (parent !== ObjectPrototype && parent !== null && methodOwner(parent) === undefined) return undefined;
  const names = namesOf(prototype);
  for (let i = 0; i < names.length; i++) if (names[i] !== "constructor") return constructor.name || "a class";
  return parent === ObjectPrototype || parent === null ? undefined : methodOwner(parent);
}

/** Whether it is `Object.prototype` of another realm, such as a context of `node:vm`. */
function isForeign(prototype: object): boolean {
  return prototypeOf(prototype) === null && hasOwn(prototype, "isPrototypeOf");
}
