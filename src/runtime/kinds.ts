/**
 * Kinds of objects, whatever their prototypes say: as `node:util/types` tells them, in a browser by what only an object of
 * the kind can do. What a browser cannot tell is taken for none: a `Proxy` there is what it shows.
 *
 * @module
 */
import { builtin } from "./host.ts";

type Kind =
  | "isAnyArrayBuffer"
  | "isArgumentsObject"
  | "isArrayBuffer"
  | "isBoxedPrimitive"
  | "isDataView"
  | "isDate"
  | "isGeneratorObject"
  | "isMap"
  | "isModuleNamespaceObject"
  | "isNativeError"
  | "isProxy"
  | "isRegExp"
  | "isSet"
  | "isTypedArray";

// Also runs in workers: what a task may patch is taken before.
const { apply } = Reflect;
const tagOf = Object.prototype.toString;

const isTagged = (value: unknown, tag: string) => apply(tagOf, value, []) === `[object ${tag}]`;

/** Whether it is a URL, also of another realm: what tests run in (jsdom, `node:vm`) has globals of its own. */
export function isUrl(value: unknown): value is URL {
  return isTagged(value, "URL") && typeof (value as URL).href === "string";
}

/** Whether it is the signal of an `AbortController`, also of another realm. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return isTagged(value, "AbortSignal") && typeof (value as AbortSignal).addEventListener === "function";
}

/** See the module's description. */
export const kinds: Pick<typeof import("node:util/types"), Kind> = builtin("node:util/types") ?? byBrand();

function byBrand(): typeof kinds {
  const tagged = (tag: string) => (value: unknown) => isTagged(value, tag);
  /** Whether the method, which looks for what only an object of its kind has, can be called on the value. */
  const passes = (method: (...args: never[]) => unknown) => (value: unknown) => {
    try {
      apply(method, value, []);
      return true;
    } catch {
      return false;
    }
  };
  const getter = (prototype: object, name: string) => Object.getOwnPropertyDescriptor(prototype, name)!.get!;
  const isArrayBuffer = passes(getter(ArrayBuffer.prototype, "byteLength"));
  const isSharedArrayBuffer = typeof SharedArrayBuffer === "undefined"
    ? () => false
    : passes(getter(SharedArrayBuffer.prototype, "byteLength"));
  const isDataView = passes(getter(DataView.prototype, "byteLength"));
  const boxes = [Number, String, Boolean, BigInt, Symbol].map(({ prototype }) => passes(prototype.valueOf));
  const { isError } = Error as { isError?: (value: unknown) => boolean };
  const byName: Record<Kind, (value: unknown) => boolean> = {
    isAnyArrayBuffer: (value) => isArrayBuffer(value) || isSharedArrayBuffer(value),
    isArgumentsObject: tagged("Arguments"),
    isArrayBuffer,
    isBoxedPrimitive: (value) => typeof value === "object" && boxes.some((is) => is(value)),
    isDataView,
    isDate: passes(Date.prototype.getTime),
    isGeneratorObject: (value) => tagged("Generator")(value) || tagged("AsyncGenerator")(value),
    isMap: passes(getter(Map.prototype, "size")),
    isModuleNamespaceObject: tagged("Module"),
    isNativeError: isError ?? ((value) => value instanceof Error),
    isProxy: () => false,
    isRegExp: passes(getter(RegExp.prototype, "source")),
    isSet: passes(getter(Set.prototype, "size")),
    isTypedArray: (value) => ArrayBuffer.isView(value) && !isDataView(value),
  };
  return byName as typeof kinds;
}
