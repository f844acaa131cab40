/**
 * Kinds of objects, whatever their prototypes say: as `node:util` tells them, in a browser by what only an object of
 * the kind can do. What a browser cannot tell is taken for none: a `Proxy` there is what it shows.
 *
 * Bun takes some 3 ms to load `node:util`, on each thread (seen up to 1.4.5): there that waits until somebody asks.
 *
 * @module
 */
import { builtin, host, need } from "./host.ts";

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

/** See the module's description. */
export const kinds: Pick<typeof import("node:util").types, Kind> = host === "bun"
  ? onceAsked()
  : builtin("node:util")?.types ?? byBrand();

/** What `node:util` tells, once it is loaded. */
let told: typeof kinds | undefined;

/** Loads what tells them, if it is not there: in a worker a task may patch it. */
export function loadKinds(): void {
  if (host === "bun") told ??= { ...need("node:util").types };
}

function onceAsked(): typeof kinds {
  const names: Kind[] = [
    "isAnyArrayBuffer",
    "isArgumentsObject",
    "isArrayBuffer",
    "isBoxedPrimitive",
    "isDataView",
    "isDate",
    "isGeneratorObject",
    "isMap",
    "isModuleNamespaceObject",
    "isNativeError",
    "isProxy",
    "isRegExp",
    "isSet",
    "isTypedArray",
  ];
  const ask = (name: Kind) => (value: unknown) => {
    loadKinds();
    return told![name](value);
  };
  return Object.fromEntries(names.map((name) => [name, ask(name)])) as unknown as typeof kinds;
}

function byBrand(): typeof kinds {
  const apply = Reflect.apply;
  const tagOf = Object.prototype.toString;
  const tagged = (tag: string) => (value: unknown) => apply(tagOf, value, []) === `[object ${tag}]`;
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
