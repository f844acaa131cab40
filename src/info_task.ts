import { resolve, toFileUrl } from "@std/path";
import type { TaskContext } from "./context.ts";
import { inlineHint, inlineSpecifier } from "./inline_function.ts";
import { base, isWindows } from "./runtime/host.ts";
import { isUrl } from "./runtime/kinds.ts";
import { show } from "./util/show.ts";
import { isInline } from "./util/specifier.ts";

/** The type of the function that runs in the worker, from the type of a task's module or export. */
export type RunnableOf<M> = M extends { runnable: infer F extends (...args: never[]) => unknown } ? F
  : M extends abstract new (...args: never[]) => { runnable: infer F extends (...args: never[]) => unknown }
    ? F
  : M extends (...args: never[]) => unknown ? M
  : M extends { default: infer D } ? RunnableOf<D>
  : never;

/** The arguments of a task. `unknown[]` where the task names no type. */
export type ArgsOf<M> = unknown extends M ? unknown[] : Parameters<RunnableOf<M>>;

/**
 * The value of a task: what its `runnable` returns, awaited, or for a generator what it returns in the end.
 * `unknown` where the task names no type.
 */
export type ResultOf<M> = unknown extends M ? unknown
  : ReturnType<RunnableOf<M>> extends infer R
    ? R extends Generator<unknown, infer T, never> | AsyncGenerator<unknown, infer T, never> ? T : Awaited<R>
  : never;

/** What a task reports as progress: what its generator yields, `unknown` where it is none. */
export type YieldOf<M> = unknown extends M ? unknown
  : ReturnType<RunnableOf<M>> extends
    Generator<infer Y, unknown, never> | AsyncGenerator<infer Y, unknown, never> ? Y
  : unknown;

/** What a task reports as progress, of the type of the task itself. */
export type ProgressOf<T> = T extends InfoTask<infer M> ? YieldOf<M> : unknown;

/** The type of a task's value, from the type of the task itself. */
export type ValueOf<T> = T extends InfoTask<infer M> ? ResultOf<M> : unknown;

/** The largest delay of a timer, 2³¹ − 1 ms: about 24.8 days. */
export const MAX_DELAY = 2 ** 31 - 1;

declare const TYPE: unique symbol;

const NO_ARGS: readonly unknown[] = Object.freeze([]);

/** Longer specifiers are resolved each time. */
const MAX_KEPT = 1_024;

const SCHEMES = ["file:", "https:", "http:", "npm:", "jsr:", "node:", "data:"];

/** Many tasks share one module: parsing the same URL again would cost more than pushing the task. */
const resolved = new Map<string, string>();

/**
 * A task: what to run, for how long at most, with which arguments.
 *
 * Name the type of the module, or of the export, to have arguments and result checked:
 * `InfoTask<typeof import("./demo.ts")>`.
 *
 * @example Usage
 * ```ts
 * import { InfoTask } from "@cm/multiprocess";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const task = new InfoTask("file:///demo.ts#Demo", 1_000, { test: 1 });
 * assertEquals(task.specifier, "file:///demo.ts#Demo");
 * assertEquals(task.timeout, 1_000);
 * assertEquals(task.args, [{ test: 1 }]);
 *
 * assertThrows(() => new InfoTask("lodash", 1_000), TypeError, "import.meta.resolve");
 * assertThrows(() => new InfoTask("file:///demo.ts", 0), RangeError, "time limit");
 * ```
 *
 * @typeParam M The type of the task's module or export.
 */
export class InfoTask<M = unknown> {
  /** The absolute URL of the module, with the fragment that names its export. */
  readonly specifier: string;
  /** The time limit in milliseconds; `Infinity` for none. */
  readonly timeout: number;
  /** The arguments for `runnable`. */
  readonly args: readonly unknown[];
  /** Only a type, from which `push` knows the type of the value. */
  declare readonly [TYPE]: M;

  /**
   * Creates a task. Nothing is loaded yet.
   *
   * @param specifier An absolute URL (`file:`, `https:`, `npm:`, `jsr:`, `node:`, `data:`), usually from
   * `import.meta.resolve()`, or a path that begins with `/`, `./` or `../`, resolved against the working
   * directory. A fragment names an export.
   * @param timeout The time limit in milliseconds, more than 0 and less than 2³¹, or `Infinity` for none. It
   * counts from the start of the run.
   * @param args The arguments for `runnable`. They must be cloneable.
   * @throws {TypeError} If the specifier or the time limit has the wrong type, or the specifier is bare.
   * @throws {RangeError} If the time limit is out of range.
   */
  constructor(specifier: string | URL, timeout: number, ...args: ArgsOf<NoInfer<M>>) {
    this.specifier = (typeof specifier === "string" ? resolved.get(specifier) : undefined) ??
      resolveSpecifier(specifier);
    checkTimeout(timeout);
    this.timeout = timeout;
    this.args = args.length === 0 ? NO_ARGS : args;
  }

  /**
   * Creates a task from a function. Its source runs in the worker, where it sees the globals, its arguments and `this`,
   * the task's context, but nothing that it closes over here: no variables, imports or types that exist at run time. What
   * it needs it is given as arguments, or imports itself, by an absolute specifier: `await import("npm:…")`. A name that
   * is not there is a `ReferenceError`, which says so.
   *
   * May be async, a generator, or an arrow function. A worker loads the same function once, however many tasks run it.
   *
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * await using mp = new MultiProcess(2);
   * mp.start();
   *
   * const fib = (n: number): number => n < 2 ? n : fib(n - 1) + fib(n - 2);
   * assertEquals(await mp.run(InfoTask.inline(fib, 1_000, 20)), 6_765);
   * ```
   *
   * @param runnable What to run.
   * @param timeout The time limit in milliseconds, as for `new InfoTask`.
   * @param args The arguments for `runnable`. They must be cloneable.
   * @returns The task.
   * @throws {TypeError} If `runnable` is no function, or one that its source alone does not make: native, bound, a class,
   * a method, or one that uses `import.meta`.
   * @throws {RangeError} If the time limit is out of range.
   */
  static inline<A extends unknown[], R>(
    runnable: (this: TaskContext, ...args: A) => R,
    timeout: number,
    ...args: A
  ): InfoTask<(...args: A) => R> {
    return new InfoTask<(...args: A) => R>(inlineSpecifier(runnable), timeout, ...args as never);
  }
}

/**
 * Throws the fitting error for what is no time limit.
 *
 * @param what What an error says that it is about.
 */
export function checkTimeout(timeout: unknown, what = "Cannot create a task: the time limit"): void {
  if (typeof timeout !== "number") {
    throw new TypeError(`${what} must be a number of milliseconds, received ${show(timeout)}`);
  }
  if (!(timeout > 0) || (timeout > MAX_DELAY && timeout !== Infinity)) {
    throw new RangeError(
      `${what} must be more than 0 and less than 2^31 ms, or Infinity, received ${timeout}`,
    );
  }
}

/**
 * The absolute URL of a module, with its fragment.
 *
 * @param what How an error message names the specifier.
 * @throws {TypeError} If it cannot be one.
 */
export function resolveSpecifier(specifier: unknown, what = "Cannot create a task: the specifier"): string {
  if (isUrl(specifier)) return check(specifier, specifier.href, what);
  if (typeof specifier !== "string") {
    throw new TypeError(
      `${what} must be a string or a URL, received ${show(specifier)}${inlineHint(specifier)}`,
    );
  }
  if (isInline(specifier)) return specifier;
  if (/^(\.{0,2}[\\/]|[a-zA-Z]:[\\/])/.test(specifier)) {
    // A folder's name may have one in it, too.
    const hash = specifier.search(/#[^\\/]*$/);
    const path = hash < 0 ? specifier : specifier.slice(0, hash);
    const url = base === undefined ? toFileUrl(resolve(path)) : new URL(path, base);
    if (hash >= 0) url.hash = specifier.slice(hash);
    const href = check(url, specifier, what);
    // All other paths depend on the working directory; on Windows these do too.
    return specifier.startsWith("/") && !isWindows ? keep(specifier, href) : href;
  }
  return keep(specifier, check(URL.parse(specifier), specifier, what));
}

function keep(specifier: string, href: string): string {
  // A long one (a module in a data: URL) costs more in memory than it saves in time.
  if (specifier.length > MAX_KEPT) return href;
  if (resolved.size >= 1_000) resolved.clear();
  resolved.set(specifier, href);
  return href;
}

/** The URL as a string, if it can be that of a task module. */
function check(url: URL | null, specifier: string, what: string): string {
  const shown = JSON.stringify(specifier);
  if (url === null) {
    const example = JSON.stringify(
      specifier === "" ? "./task.ts" : /\.\w+(#|$)/.test(specifier) ? `./${specifier}` : specifier,
    );
    throw new TypeError(
      `${what} ${shown} is neither an absolute URL nor a path that begins with "/", "." or ".."; use import.meta.resolve(${example})`,
    );
  }
  if (!SCHEMES.includes(url.protocol)) {
    throw new TypeError(
      `${what} ${shown} has the scheme "${url.protocol}", which is none of ${SCHEMES.join(" ")}`,
    );
  }
  try {
    decodeURIComponent(url.hash);
  } catch {
    throw new TypeError(`${what} ${shown} has a malformed fragment: a "%" in it must be written "%25"`);
  }
  return url.href;
}
