/**
 * Errors as plain data: `structuredClone` drops an error's subclass, its own properties and the `name` of built-in
 * subclasses, so errors are taken apart on one side and rebuilt on the other.
 *
 * @module
 */
import { types } from "node:util";
import { isTooDeep } from "./lossy.ts";
import type { ErrorData } from "./protocol.ts";

// Also runs in workers: what a task may patch is taken before.
const { isNativeError } = types;
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
for (const [name, Class] of Object.entries(globalThis.Deno?.errors ?? {})) {
  DENO_ERRORS[name] = Class as ErrorClass;
}

const nameOfClass = new Map<unknown, string>();
for (const name of Object.keys(BUILT_INS)) nameOfClass.set(BUILT_INS[name]!.prototype, name);
for (const name of Object.keys(DENO_ERRORS)) {
  nameOfClass.set(DENO_ERRORS[name]!.prototype, `Deno.errors.${name}`);
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

/** What was thrown, as data. Never throws itself, whatever it is given. */
export function describeError(thrown: unknown): ErrorData {
  return describeAny(thrown, 0, { left: MAX_ERRORS });
}

function describeAny(thrown: unknown, depth: number, budget: Budget): ErrorData {
  budget.left--;
  try {
    const className = classOf(thrown);
    if (className !== undefined) return describe(thrown as Error, className, depth, budget);
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

function describe(error: Error, className: string, depth: number, budget: Budget): ErrorData {
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
    if (typeof key !== "string" || isCarriedApart(key, className)) continue;
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
  if (error.name !== data.name) hide(error, "name", data.name);
  hide(error, "stack", data.stack ?? `${data.name}: ${data.message}`);
  for (const [key, value, isError] of data.properties) {
    const property = isError ? rebuildError(value as ErrorData) : value;
    if (key === "cause") hide(error, key, property);
    else {defineProperty(error, key, {
        value: property,
        configurable: true,
        enumerable: true,
        writable: true,
      });}
  }
  return error;
}

function construct(data: ErrorData): Error {
  if (data.class === "DOMException") return new DOMException(data.message, data.name);
  if (data.class === "AggregateError") {
    return new AggregateError((data.errors ?? []).map(rebuildError), data.message);
  }
  const Class = data.class.startsWith("Deno.errors.")
    ? DENO_ERRORS[data.class.slice("Deno.errors.".length)]
    : BUILT_INS[data.class];
  return new (Class ?? Error)(data.message);
}

function hide(error: Error, key: string, value: unknown): void {
  defineProperty(error, key, { value, configurable: true, enumerable: false, writable: true });
}
