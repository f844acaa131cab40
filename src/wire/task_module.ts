/**
 * What a task module has to offer: read in the worker, which runs `runnable`, and in the entry, which calls back.
 *
 * @module
 */
import type { TaskContext } from "../context.ts";
import { HAS_CALLBACK, HAS_ERROR_CALLBACK, type ModuleData } from "./protocol.ts";

// Also runs in workers: what a task may patch is taken before.
const apply = Reflect.apply;
const defineProperty = Object.defineProperty;
const hasOwn = Object.hasOwn;
const sourceOf = Function.prototype.toString;
const startsWith = String.prototype.startsWith;

type AnyFunction = (...args: unknown[]) => unknown;

/** Something that can be run, and may want to be called back. */
export interface Target {
  run(context: TaskContext, args: unknown[]): unknown;
  callback: AnyFunction | undefined;
  errorCallback: AnyFunction | undefined;
}

/** What a worker has to know of the module of that number. */
export function moduleData(module: number, specifier: string): ModuleData {
  return { module, specifier, ...splitSpecifier(specifier) };
}

/** The URL of the module and the name of the export, where the specifier's fragment names one. */
export function splitSpecifier(specifier: string): { url: string; exported: string | undefined } {
  const hash = specifier.indexOf("#");
  if (hash < 0) return { url: specifier, exported: undefined };
  return { url: specifier.slice(0, hash), exported: decode(specifier.slice(hash + 1)) || undefined };
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    // No module has an export of this name: loading it tells so.
    return fragment;
  }
}

/**
 * Finds what to run in an imported module.
 *
 * @throws {TypeError} If there is nothing to run; the message tells what is there instead.
 */
export function findTarget(namespace: Record<string, unknown>, exported: string | undefined): Target {
  if (exported !== undefined) {
    const holder = exported in namespace ? namespace : moduleExports(namespace);
    if (holder === undefined || (holder !== namespace && !hasOwn(holder, exported))) {
      throw new TypeError(`it has no export named "${exported}"`);
    }
    return targetOf(holder[exported], `its export "${exported}"`);
  }
  if ("runnable" in namespace) return objectTarget(namespace, "it", false);
  if ("default" in namespace) {
    const whole = moduleExports(namespace);
    const compiled = whole !== undefined && hasOwn(whole, "__esModule") && hasOwn(whole, "default");
    return targetOf(compiled ? whole.default : namespace.default, "its default export");
  }
  throw new TypeError('it exports neither "runnable" nor a default');
}

/**
 * What may be the `module.exports` of a CommonJS module, which is the default export of its namespace. Of their names the
 * namespace has those that can be read off the text (of `lodash`: none), and what a compiler made of `export default` is
 * `default` among them (Node and Deno; Bun takes it for the default export).
 */
function moduleExports({ default: value }: Record<string, unknown>): Record<string, unknown> | undefined {
  return (typeof value === "object" && value !== null) || typeof value === "function"
    ? value as Record<string, unknown>
    : undefined;
}

/** Which callbacks the target has, as bits. */
export function callbackBits(target: Target): number {
  return (target.callback ? HAS_CALLBACK : 0) | (target.errorCallback ? HAS_ERROR_CALLBACK : 0);
}

function targetOf(value: unknown, what: string): Target {
  if (typeof value === "function") {
    const prototype: unknown = value.prototype;
    const hasRunnable = typeof prototype === "object" && prototype !== null && "runnable" in prototype;
    if (!hasRunnable && apply(startsWith, apply(sourceOf, value, []), ["class"])) {
      throw new TypeError(`${what} is a class without a method "runnable"; a field does not count`);
    }
    return hasRunnable
      ? classTarget(
        value as unknown as new () => Record<string, unknown>,
        prototype as Record<string, unknown>,
        what,
      )
      : {
        run: (context, args) => apply(value, context, args),
        callback: undefined,
        errorCallback: undefined,
      };
  }
  if (typeof value === "object" && value !== null) {
    return objectTarget(value as Record<string, unknown>, what, true);
  }
  throw new TypeError(`${what} is ${describe(value)}, not a function, an object or a class`);
}

function objectTarget(object: Record<string, unknown>, what: string, contextual: boolean): Target {
  const runnable = method(object, "runnable", what);
  if (runnable === undefined) throw new TypeError(`${what} has no "runnable"`);
  const callback = method(object, "callback", what);
  const errorCallback = method(object, "errorCallback", what);
  return {
    run(context, args) {
      if (!contextual) return apply(runnable, context, args);
      setContext(object, context);
      return apply(runnable, object, args);
    },
    callback: callback && ((...args) => apply(callback, contextual ? object : undefined, args)),
    errorCallback: errorCallback &&
      ((...args) => apply(errorCallback, contextual ? object : undefined, args)),
  };
}

function classTarget(
  Class: new () => Record<string, unknown>,
  prototype: Record<string, unknown>,
  what: string,
): Target {
  const runnable = method(prototype, "runnable", what)!;
  const callback = method(prototype, "callback", what);
  const errorCallback = method(prototype, "errorCallback", what);
  return {
    run(context, args) {
      const instance = new Class();
      setContext(instance, context);
      return apply(runnable, instance, args);
    },
    callback: callback && ((...args) => apply(callback, new Class(), args)),
    errorCallback: errorCallback && ((...args) => apply(errorCallback, new Class(), args)),
  };
}

function method(object: Record<string, unknown>, name: string, what: string): AnyFunction | undefined {
  const value = object[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "function") return value as AnyFunction;
  throw new TypeError(
    `"${name}" of ${what === "it" ? "the module" : what} is ${describe(value)}, not a function`,
  );
}

function setContext(object: object, context: TaskContext): void {
  try {
    defineProperty(object, "context", { value: context, configurable: true, writable: true });
  } catch {
    // A frozen object runs without it.
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  const type = typeof value;
  return `${type === "object" ? "an" : "a"} ${type}`;
}
