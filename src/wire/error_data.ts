/**
 * Errors as plain data: `structuredClone` drops an error's subclass, its own properties and the `name` of built-in
 * subclasses, so errors are taken apart on one side and rebuilt on the other.
 *
 * @module
 */
import { ownErrors } from "../runtime/host.ts";
import { kinds } from "../runtime/kinds.ts";
import { isTooDeep } from "./lossy.ts";
import type { ErrorData } from "./protocol.ts";

// Also runs in workers: what a task may patch is taken before.
const { isNativeError } = kinds;
const clone = structuredClone;
const ownKeysOf = Reflect.ownKeys;
const stringOf = String;
const toJson = JSON.stringify;
const isArray = Array.isArray;
const sliceOf: (text: string, start: number, end: number) => string = Function.prototype.call.bind(
  String.prototype.slice,
);
const prototypeOf = Object.getPrototypeOf;
const create = Object.create;
const defineProperty = Object.defineProperty;
const propertyOf = Object.getOwnPropertyDescriptor;
const setPrototypeOf = Object.setPrototypeOf;
const startsWith: (text: string, start: string) => boolean = Function.prototype.call.bind(
  String.prototype.startsWith,
);
const ErrorClass = Error;
const AggregateErrorClass = AggregateError;
const DOMExceptionClass = DOMException;
/** What the names of classes of Deno begin with. */
const DENO = "Deno.errors.";

type ErrorClass = new (message?: string) => Error;

const BUILT_INS = create(null) as Record<string, ErrorClass>;
for (
  const Class of [
    Error,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
    AggregateError,
  ]
) {
  BUILT_INS[Class.name] = Class as ErrorClass;
}
const DENO_ERRORS = create(null) as Record<string, ErrorClass>;
for (const [name, Class] of Object.entries(ownErrors)) {
  DENO_ERRORS[name] = Class as ErrorClass;
}

const nameOfClass = new Map<unknown, string>();
for (const name of Object.keys(BUILT_INS)) nameOfClass.set(BUILT_INS[name]!.prototype, name);
for (const name of Object.keys(DENO_ERRORS)) {
  nameOfClass.set(DENO_ERRORS[name]!.prototype, DENO + name);
}
nameOfClass.set(DOMException.prototype, "DOMException");
const classNameOf = nameOfClass.get.bind(nameOfClass);

const MAX_DEPTH = 5;
/** How many properties of one error, and how many errors of an `AggregateError`, are carried. */
const MAX_EACH = 100;
/** How many errors are described for one that was thrown, with all that it has in it. */
const MAX_ERRORS = 200;

/** How many errors may still be described. */
interface Budget {
  left: number;
}

/** An error that is part of a value, without its `cause`, which is cloned as the rest of the value is. */
export function describeInnerError(error: unknown): ErrorData {
  return describeAny(error, 0, { left: MAX_ERRORS }, false);
}

/** Whether the clone of an error is all that the data say. */
export function isPlainError(data: ErrorData): boolean {
  return data.name === data.class && data.class in BUILT_INS && data.errors === undefined &&
    data.properties.length === 0;
}

/** What was thrown, as data. Never throws itself, whatever it is given. */
export function describeError(thrown: unknown): ErrorData {
  return describeAny(thrown, 0, { left: MAX_ERRORS });
}

function describeAny(thrown: unknown, depth: number, budget: Budget, withCause = true): ErrorData {
  budget.left--;
  try {
    const className = classOf(thrown);
    if (className !== undefined) return describe(thrown as Error, className, depth, budget, withCause);
  } catch {
    // An object that throws when it is looked at: described by what can be known of it.
  }
  return describeNonError(thrown);
}

/** The nearest built-in class of an error; undefined for anything else. */
function classOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  let prototype: unknown = prototypeOf(value);
  for (let i = 0; i < 100 && prototype !== null; i++) {
    const name = classNameOf(prototype);
    if (name !== undefined) return name;
    prototype = prototypeOf(prototype);
  }
  return isNativeError(value) ? foreignClassOf(value) : undefined;
}

/** The class of an error of another realm, such as a context of `node:vm`: its built-ins are none of ours. */
function foreignClassOf(error: Error): string {
  let prototype: unknown = prototypeOf(error);
  for (let i = 0; i < 100 && typeof prototype === "object" && prototype !== null; i++) {
    const name = text(() => (prototype as Error).name);
    if (name !== undefined && name in BUILT_INS) return name;
    prototype = prototypeOf(prototype);
  }
  return "Error";
}

function describe(
  error: Error,
  className: string,
  depth: number,
  budget: Budget,
  withCause: boolean,
): ErrorData {
  const data: ErrorData = {
    class: className,
    name: text(() => error.name) ?? "Error",
    message: text(() => error.message) ?? "",
    stack: text(() => error.stack),
    properties: [],
  };
  const keys = ownKeysOf(error);
  for (let i = 0; i < keys.length && data.properties.length < MAX_EACH; i++) {
    const key = keys[i]!;
    if (typeof key !== "string" || isCarriedApart(key, className) || (key === "cause" && !withCause)) {
      continue;
    }
    try {
      addProperty(data, key, (error as unknown as Record<string, unknown>)[key], depth, budget);
    } catch {
      // Cannot be read or cloned: the error arrives without it.
    }
  }
  if (className === "AggregateError") {
    try {
      data.errors = describeAll((error as AggregateError).errors, depth, budget);
    } catch {
      // As above.
    }
  }
  return data;
}

/** Carried by itself, not as a property. */
function isCarriedApart(key: string, className: string): boolean {
  return key === "name" || key === "message" || key === "stack" ||
    (key === "errors" && className === "AggregateError");
}

function describeAll(errors: unknown, depth: number, budget: Budget): ErrorData[] {
  const described: ErrorData[] = [];
  if (!isArray(errors)) return described;
  const { length } = errors;
  while (described.length < length) {
    const at = described.length;
    if (at === MAX_EACH || depth === MAX_DEPTH || budget.left <= 0) {
      described[at] = note(`More errors, which were not carried over: ${length - at}`);
      break;
    }
    described[at] = describeAny(errors[at], depth + 1, budget);
  }
  return described;
}

/** Stands for what is left out. */
function note(message: string): ErrorData {
  return { class: "Error", name: "Error", message, stack: undefined, properties: [] };
}

function addProperty(data: ErrorData, key: string, value: unknown, depth: number, budget: Budget): void {
  const { properties } = data;
  if (typeof value === "object" && value !== null && classOf(value) !== undefined) {
    const described = depth === MAX_DEPTH || budget.left <= 0
      ? note(`An error that was not carried over, with what caused it: ${headOf(value as Error)}`)
      : describeAny(value, depth + 1, budget);
    properties[properties.length] = [key, described, true];
  } else {
    properties[properties.length] = [key, cloned(value), false];
  }
}

/** Name and message, as a stack begins with them. */
function headOf(error: Error): string {
  return `${text(() => error.name) ?? "Error"}: ${text(() => error.message) ?? ""}`;
}

function cloned(value: unknown): unknown {
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError("Cannot be cloned");
  if (typeof value !== "object" || value === null) return value;
  // The clone, which no getter can make another the next time it is read.
  const copy = clone(value);
  if (isTooDeep(copy)) throw new RangeError("Nested too deep");
  return copy;
}

function describeNonError(thrown: unknown): ErrorData {
  const data = note(`The task threw ${nameOf(thrown)}, which is not an error`);
  try {
    data.properties[0] = ["cause", cloned(thrown), false];
  } catch {
    // Cannot be cloned: the message alone tells.
  }
  return data;
}

function nameOf(thrown: unknown): string {
  try {
    switch (typeof thrown) {
      case "string":
        return `the string ${toJson(thrown.length > 200 ? sliceOf(thrown, 0, 200) + "…" : thrown)}`;
      case "object":
        return thrown === null ? "null" : "an object";
      case "function":
        return "a function";
      case "symbol":
        return `the symbol ${stringOf(thrown)}`;
      default:
        return stringOf(thrown);
    }
  } catch {
    return "something";
  }
}

function text(read: () => unknown): string | undefined {
  try {
    const value = read();
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The error that the data describe: the same class of the built-ins, name, message, stack and properties. */
export function rebuildError(data: ErrorData): Error {
  const error = construct(data);
  hide(error, "stack", data.stack ?? `${data.name}: ${data.message}`);
  dress(error, data);
  return error;
}

/** Gives the clone of an error, in place, what `structuredClone` has dropped: all else refers to it already. */
export function restoreError(error: object, data: ErrorData): void {
  const prototype = prototypeOfClass(data.class);
  if (prototype !== undefined && classOf(error) !== data.class) {
    setPrototypeOf(error, prototype);
    // Getters of its class would look for them elsewhere.
    if (data.class === "DOMException") {
      hide(error, "message", data.message);
      hide(error, "code", new DOMExceptionClass("", data.name).code);
    }
  }
  if (data.errors !== undefined) hide(error, "errors", rebuildAll(data.errors));
  dress(error, data);
}

function dress(error: object, { name, properties }: ErrorData): void {
  if (text(() => (error as Error).name) !== name) hide(error, "name", name);
  for (let i = 0; i < properties.length; i++) {
    const [key, value, isError] = properties[i]!;
    const property = isError ? rebuildError(value as ErrorData) : value;
    // What each error of a runtime has is none of its own: `line`, `column` and `sourceURL` on Bun.
    const hidden = key === "cause" || propertyOf(error, key)?.enumerable === false;
    defineProperty(error, key, { value: property, configurable: true, enumerable: !hidden, writable: true });
  }
}

function prototypeOfClass(name: string): object | undefined {
  return name === "DOMException" ? DOMExceptionClass.prototype : classNamed(name)?.prototype;
}

function classNamed(name: string): ErrorClass | undefined {
  return startsWith(name, DENO) ? DENO_ERRORS[sliceOf(name, DENO.length, name.length)] : BUILT_INS[name];
}

function construct({ class: name, message, errors, ...data }: ErrorData): Error {
  if (name === "DOMException") return new DOMExceptionClass(message, data.name);
  if (name === "AggregateError") return new AggregateErrorClass(rebuildAll(errors ?? []), message);
  return new (classNamed(name) ?? ErrorClass)(message);
}

function rebuildAll(errors: readonly ErrorData[]): Error[] {
  const rebuilt: Error[] = [];
  for (let i = 0; i < errors.length; i++) rebuilt[i] = rebuildError(errors[i]!);
  return rebuilt;
}

function hide(error: object, key: string, value: unknown): void {
  defineProperty(error, key, { value, configurable: true, enumerable: false, writable: true });
}
