/**
 * Errors as plain data: `structuredClone` drops an error's subclass, its own properties and the `name` of built-in
 * subclasses, so errors are taken apart on one side and rebuilt on the other.
 *
 * @module
 */
import type { ErrorData } from "./protocol.ts";

// Also runs in workers: what a task may patch is taken before.
const clone = structuredClone;
const keysOf = Reflect.ownKeys;
const stringOf = String;
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

/** Carried by themselves, not as properties. */
const OWN = ["name", "message", "stack", "errors"];
const MAX_DEPTH = 5;

/** What was thrown, as data. Never throws itself, whatever it is given. */
export function describeError(thrown: unknown, depth = 0): ErrorData {
  try {
    const className = classOf(thrown);
    if (className !== undefined) return describe(thrown as Error, className, depth);
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
  return undefined;
}

function describe(error: Error, className: string, depth: number): ErrorData {
  const data: ErrorData = {
    class: className,
    name: text(() => error.name) ?? "Error",
    message: text(() => error.message) ?? "",
    stack: text(() => error.stack),
    properties: [],
  };
  const keys = keysOf(error);
  for (let i = 0; i < keys.length && data.properties.length < 100; i++) {
    const key = keys[i]!;
    if (typeof key !== "string" || OWN.includes(key)) continue;
    try {
      addProperty(data, key, (error as unknown as Record<string, unknown>)[key], depth);
    } catch {
      // Cannot be read or cloned: the error arrives without it.
    }
  }
  try {
    const errors = (error as AggregateError).errors;
    if (className === "AggregateError" && Array.isArray(errors) && depth < MAX_DEPTH) {
      data.errors = errors.slice(0, 100).map((each) => describeError(each, depth + 1));
    }
  } catch {
    // As above.
  }
  return data;
}

function addProperty(data: ErrorData, key: string, value: unknown, depth: number): void {
  if (typeof value === "object" && value !== null && classOf(value) !== undefined) {
    if (depth < MAX_DEPTH) data.properties.push([key, describeError(value, depth + 1), true]);
  } else {
    data.properties.push([key, typeof value === "object" ? clone(value) : primitive(value), false]);
  }
}

function primitive(value: unknown): unknown {
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError("Cannot be cloned");
  return value;
}

function describeNonError(thrown: unknown): ErrorData {
  const data: ErrorData = {
    class: "Error",
    name: "Error",
    message: `The task threw ${nameOf(thrown)}, which is not an error`,
    stack: undefined,
    properties: [],
  };
  try {
    data.properties.push(["cause", typeof thrown === "object" ? clone(thrown) : primitive(thrown), false]);
  } catch {
    // Cannot be cloned: the message alone tells.
  }
  return data;
}

function nameOf(thrown: unknown): string {
  try {
    switch (typeof thrown) {
      case "string":
        return `the string ${JSON.stringify(thrown.length > 200 ? thrown.slice(0, 200) + "…" : thrown)}`;
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
