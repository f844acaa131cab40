/**
 * Values that the structured clone algorithm of the runtime would silently turn into something else.
 *
 * @module
 */

const prototypeOf = Object.getPrototypeOf;
const keysOf = Object.keys;
const ObjectPrototype = Object.prototype;

/** What arrives as `{}` on Deno, or throws on another version of it; the field's word for each. */
const LOSSY: [Class: unknown, name: string, instead: string][] = [
  [URL.prototype, "URL", "pass its href"],
  [URLSearchParams.prototype, "URLSearchParams", "pass its string"],
  [Headers.prototype, "Headers", "pass [...headers]"],
  [Request.prototype, "Request", "pass its url, method, headers and body"],
  [Response.prototype, "Response", "pass its status, headers and body"],
  [FormData.prototype, "FormData", "pass [...formData]"],
  [Promise.prototype, "Promise", "await it"],
  [WeakMap.prototype, "WeakMap", "pass a Map"],
  [WeakSet.prototype, "WeakSet", "pass a Set"],
  [AbortSignal.prototype, "AbortSignal", "use this.signal in the task"],
];

/**
 * Throws for a value, or one directly inside it, that would arrive without what makes it useful: `URL`, `Headers`
 * and their like, and instances of classes with methods.
 *
 * @throws {DOMException} `DataCloneError`, naming the value and where it is.
 */
export function refuseLossy(value: unknown, where: string): void {
  refuse(value, where);
  if (typeof value !== "object" || value === null) return;
  const prototype = prototypeOf(value);
  if (prototype !== ObjectPrototype && prototype !== null && !Array.isArray(value)) return;
  const keys = keysOf(value);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    refuse(
      (value as Record<string, unknown>)[key],
      Array.isArray(value) ? `${where}[${key}]` : `${where}.${key}`,
    );
  }
}

function refuse(value: unknown, where: string): void {
  if (typeof value !== "object" || value === null) return;
  const prototype = prototypeOf(value);
  if (prototype === ObjectPrototype || prototype === null) return;
  for (let i = 0; i < LOSSY.length; i++) {
    const [lossy, name, instead] = LOSSY[i]!;
    if (isPrototypeOf(lossy as object, value)) {
      throw new DOMException(
        `Cannot clone ${where}: it is a ${name}, which would arrive as {}; ${instead}`,
        "DataCloneError",
      );
    }
  }
  const name = methodOwner(prototype);
  if (name !== undefined) {
    throw new DOMException(
      `Cannot clone ${where}: it is an instance of ${name}, which would arrive without its methods; pass a plain object`,
      "DataCloneError",
    );
  }
}

function isPrototypeOf(prototype: object, value: object): boolean {
  let each = prototypeOf(value);
  while (each !== null) {
    if (each === prototype) return true;
    each = prototypeOf(each);
  }
  return false;
}

/** The name of a class of the user's that the value is an instance of, if it has methods. */
function methodOwner(prototype: object): string | undefined {
  const constructor: unknown = Object.hasOwn(prototype, "constructor") ? prototype.constructor : undefined;
  // The platform's own classes are for the clone algorithm to judge.
  if (typeof constructor !== "function" || isGlobal(constructor)) return undefined;
  // A subclass of a built-in, such as an error, arrives as that; only a class of its own loses everything.
  const parent = prototypeOf(prototype);
  if (parent !== ObjectPrototype && parent !== null && methodOwner(parent) === undefined) return undefined;
  for (const key of Object.getOwnPropertyNames(prototype)) {
    if (key !== "constructor") return constructor.name || "a class";
  }
  return parent === ObjectPrototype || parent === null ? undefined : methodOwner(parent);
}

function isGlobal(constructor: { name?: unknown }): boolean {
  const { name } = constructor;
  return typeof name === "string" && (globalThis as unknown as Record<string, unknown>)[name] === constructor;
}
