/**
 * Classes of the platform whose instances would not arrive as what they are. Like `lossy.ts`, this runs beside code that
 * may have patched the built-ins.
 *
 * @module
 */
const prototypeOf = Object.getPrototypeOf;
const hasOwn = Object.hasOwn;

interface Lossy {
  /** With its article. */
  name: string;
  /** What becomes of it. */
  becomes: string;
  /** What to do instead, whether it is an argument, a result or progress. */
  instead: string;
}

const ARRIVES_EMPTY = "would arrive as {}";
const NOT_CLONED = "cannot be cloned";

/** What arrives as `{}` on Deno, or throws on another version of it. */
const LOSSY = table([
  [URL, "send its href"],
  [URLSearchParams, "send its string"],
  [Promise, "await it"],
  [WeakMap, "send a Map"],
  [WeakSet, "send a Set"],
  [AbortSignal, "a task has a signal of its own, in its context"],
], ARRIVES_EMPTY);
table(
  [
    [MessagePort, "a task tells by progress() what it has to tell"],
    [WeakRef, "send what it refers to"],
  ],
  NOT_CLONED,
  LOSSY,
);

/**
 * The same by name: Node loads 40 ms worth of code at the mention of one of these, and 2 ms at that of a stream, on each
 * thread (seen up to 26).
 */
const LATE = new Map([
  ["Headers", [ARRIVES_EMPTY, "send [...headers]"]],
  ["Request", [ARRIVES_EMPTY, "send its url, method, headers and body"]],
  ["Response", [ARRIVES_EMPTY, "send its status, headers and body"]],
  ["FormData", [ARRIVES_EMPTY, "send [...formData]"]],
  ["CryptoKey", [ARRIVES_EMPTY, "send what crypto.subtle.exportKey makes of it"]],
  ["ReadableStream", [NOT_CLONED, "send what it gives"]],
  ["WritableStream", [NOT_CLONED, "have the task return what it has to write"]],
  ["TransformStream", [NOT_CLONED, "send what it is given"]],
]);

/** What only threads can be sent. */
const LOSSY_IN_PROCESS = table([
  [Blob, "send its bytes"],
  [File, "send its name and bytes"],
], "would arrive as {} in a process");
table(
  [[WebAssembly.Module, "send its bytes"], [globalThis.SharedArrayBuffer, "send a copy of its bytes"]],
  "cannot be sent to or from a process",
  LOSSY_IN_PROCESS,
);

function table(
  classes: [Class: { name: string; prototype: object } | undefined, instead: string][],
  becomes: string,
  into = new Map<object, Lossy>(),
): Map<object, Lossy> {
  for (const [Class, instead] of classes) {
    if (Class === undefined) continue;
    const name = `${Class.name.startsWith("A") ? "an" : "a"} ${Class.name}`;
    into.set(Class.prototype, { name, becomes, instead });
  }
  return into;
}

/** What arrives as what it is, beside what the language itself knows. */
const CLONED = new Set<object>([DOMException, Blob, File].map(({ prototype }) => prototype));
/** Whether instances of the class with this prototype, not of one below it, arrive. */
export const isCloned = CLONED.has.bind(CLONED);

/** What becomes of instances of the class with this prototype, if it is not what they are. */
export const lossyOf = LOSSY.get.bind(LOSSY);
const lateOf = LATE.get.bind(LATE);
/** The same on the way to or from a process, of classes that threads can be sent. */
export const lossyInProcessOf = LOSSY_IN_PROCESS.get.bind(LOSSY_IN_PROCESS);

/** Says what would become of an instance, by the tables of the classes. */
export function describeLossy(
  prototype: object,
  lossyOf: (prototype: object) => Lossy | undefined,
): string | undefined {
  for (let each: object | null = prototype; each !== null; each = prototypeOf(each)) {
    const lossy = lossyOf(each!);
    if (lossy === undefined) continue;
    const { name, becomes, instead } = lossy;
    return `${name}, which ${becomes}; ${instead}`;
  }
  return undefined;
}

/** The same of what is found by name. */
export function describeLate(prototype: object): string | undefined {
  for (let each: object | null = prototype; each !== null; each = prototypeOf(each)) {
    const constructor = constructorOf(each!);
    const late = constructor && lateOf(constructor.name);
    if (late !== undefined && isGlobal(constructor!)) {
      return `a ${constructor!.name}, which ${late[0]}; ${late[1]}`;
    }
  }
  return undefined;
}

/** The class of which it is the prototype. */
export function constructorOf(prototype: object): { name: string } | undefined {
  const constructor: unknown = hasOwn(prototype, "constructor") ? prototype.constructor : undefined;
  return typeof constructor === "function" ? constructor : undefined;
}

/** Whether it is what its name stands for. */
export function isGlobal(constructor: { name?: unknown }): boolean {
  const { name } = constructor;
  return typeof name === "string" && (globalThis as unknown as Record<string, unknown>)[name] === constructor;
}
