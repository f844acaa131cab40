/**
 * Checks options where they come in: an error names the option, what it must be, and what was received.
 *
 * @module
 */
import { MAX_DELAY } from "../info_task.ts";
import { isAbortSignal, isUrl, kinds } from "../runtime/kinds.ts";
import { show } from "../util/show.ts";

/** Checks a value: throws the fitting error if it is not what it must be. */
export type Check = (value: unknown, what: string) => void;

export const integer = (min: number, infinite = false): Check => (value, what) => {
  number(value, what);
  if (infinite && value === Infinity) return;
  if (!Number.isSafeInteger(value) || value as number < min) {
    throw new RangeError(
      `${what} must be an integer of at least ${min}${infinite ? ", or Infinity" : ""}, received ${value}`,
    );
  }
};

export const milliseconds = (infinite: boolean): Check => (value, what) => {
  number(value, what);
  const ms = value as number;
  if (infinite && ms === Infinity) return;
  if (!(ms >= 0 && ms <= MAX_DELAY)) {
    throw new RangeError(
      `${what} must be at least 0 and less than 2^31 milliseconds${
        infinite ? ", or Infinity" : ""
      }, received ${ms}`,
    );
  }
};

export const positive: Check = (value, what) => {
  number(value, what);
  if (!(value as number > 0 && value as number < Infinity)) {
    throw new RangeError(`${what} must be a finite number above 0, received ${value}`);
  }
};

export const finite: Check = (value, what) => {
  number(value, what);
  if (!Number.isFinite(value)) throw new RangeError(`${what} must be a finite number, received ${value}`);
};

export const callable: Check = (value, what) => {
  if (typeof value !== "function") throw new TypeError(`${what} must be a function, received ${show(value)}`);
};

export const text: Check = (value, what) => {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, received ${show(value)}`);
};

export const boolean: Check = (value, what) => {
  if (typeof value !== "boolean") throw new TypeError(`${what} must be a boolean, received ${show(value)}`);
};

export const specifier: Check = (value, what) => {
  if (typeof value !== "string" && !isUrl(value)) {
    throw new TypeError(`${what} must be a string or a URL, received ${show(value)}`);
  }
};

export const oneOf = (...values: string[]): Check => (value, what) => {
  text(value, what);
  if (!values.includes(value as string)) {
    throw new RangeError(`${what} must be one of ${values.map(show).join(", ")}, received ${show(value)}`);
  }
};

export const signal: Check = (value, what) => {
  if (!isAbortSignal(value)) {
    throw new TypeError(`${what} must be an AbortSignal, received ${show(value)}`);
  }
};

export const buffers: Check = (value, what) => {
  if (!Array.isArray(value)) {
    throw new TypeError(`${what} must be an array of ArrayBuffers, received ${show(value)}`);
  }
  for (const [i, item] of value.entries()) {
    if (kinds.isArrayBuffer(item)) continue;
    const hint = ArrayBuffer.isView(item) ? `a ${item.constructor.name}; name its .buffer` : show(item);
    throw new TypeError(`${what} must be an array of ArrayBuffers, received as item ${i + 1} ${hint}`);
  }
};

function number(value: unknown, what: string): void {
  if (typeof value !== "number") throw new TypeError(`${what} must be a number, received ${show(value)}`);
}

/** Two versions of a package, or one from two registries, have a class each: what an error says of a task of the other. */
export function copyHint(value: unknown): string {
  return (value as object | undefined)?.constructor?.name === "InfoTask"
    ? "; it is an InfoTask of another copy of this package"
    : "";
}

/** Whether it may be options: an object or a module, but no array, no date, nothing else of a kind of its own. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null &&
    ["[object Object]", "[object Module]"].includes(Object.prototype.toString.call(value));
}

/**
 * The own properties that are set, each checked; an unknown one is refused by name. What comes out inherits nothing:
 * an option that is not set must not be found on `Object.prototype` by whoever reads it.
 *
 * @param hints Of names that are no option here, where what is meant is to be found.
 */
export function read<T extends object>(
  options: unknown,
  checks: Record<keyof T & string, Check>,
  what: string,
  whole = `${what}: the options`,
  hints: Readonly<Record<string, string>> = {},
): Partial<T> {
  if (!isRecord(options)) throw new TypeError(`${whole} must be a plain object, received ${show(options)}`);
  const result: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(checks, key)) {
      const known = Object.keys(checks).join(", ");
      const hint = Object.hasOwn(hints, key) ? `: ${hints[key]}` : "";
      throw new TypeError(`${what}: unknown option ${JSON.stringify(key)}${hint}; known are ${known}`);
    }
    const value = options[key];
    if (value === undefined) continue;
    checks[key as keyof T & string](value, `${what}: "${key}"`);
    result[key] = value;
  }
  return result as Partial<T>;
}
