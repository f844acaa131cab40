/**
 * Where this runs, and what all of the house may ask of it. It lies at the bottom: nothing else of the package is
 * imported here.
 *
 * Modules of Node are asked for and not imported, since in a browser the import of one would be an error.
 *
 * @module
 */

interface Builtins {
  "node:async_hooks": typeof import("node:async_hooks");
  "node:child_process": typeof import("node:child_process");
  "node:console": typeof import("node:console");
  "node:fs": typeof import("node:fs");
  "node:inspector": typeof import("node:inspector");
  "node:module": typeof import("node:module");
  "node:os": typeof import("node:os");
  "node:process": typeof import("node:process");
  "node:stream": typeof import("node:stream");
  "node:sea": { isSea(): boolean };
  "node:sqlite": typeof import("node:sqlite");
  "node:timers": typeof import("node:timers");
  "node:url": typeof import("node:url");
  "node:util": typeof import("node:util");
  "node:util/types": typeof import("node:util/types");
  "node:v8": typeof import("node:v8");
  "node:worker_threads": typeof import("node:worker_threads");
}

type ErrorClass = new (message?: string) => Error;

interface Globals {
  Deno?: { version?: unknown; mainModule?: string; errors?: Record<string, ErrorClass> };
  process?: {
    platform: string;
    versions?: Record<string, string | undefined>;
    memoryUsage?(): { rss: number; heapUsed: number; external: number };
    getBuiltinModule?<K extends keyof Builtins>(name: K): Builtins[K] | undefined;
  };
  navigator?: { hardwareConcurrency?: number };
  location?: { href: string };
}

const { Deno, process, navigator, location } = globalThis as unknown as Globals;

/** What older versions of Node lack: `process.getBuiltinModule`, `Promise.withResolvers`. */
const NODE = [22, 3] as const;

const node = Deno?.version === undefined && process?.versions?.bun === undefined
  ? process?.versions?.node
  : undefined;
if (node !== undefined) {
  const [major = 0, minor = 0] = node.split(".").map(Number);
  if (major < NODE[0] || (major === NODE[0] && minor < NODE[1])) {
    throw new Error(`@cm/multiprocess needs Node ${NODE.join(".")} or later, and this is Node ${node}`);
  }
}

/** What Node has, and a test environment such as jsdom may not hand on: Jest's does not. */
const missing = ["MessageChannel", "MessagePort", "structuredClone", "TextDecoder", "TextEncoder"].filter((
  name,
) => !(name in globalThis));
if (node !== undefined && missing.length > 0) {
  throw new Error(
    `@cm/multiprocess needs the globals of Node, and here is no ${missing.join(", ")}: ` +
      `run this test in the environment "node" (/** @jest-environment node */, // @vitest-environment node)`,
  );
}

const builtinOf = process?.getBuiltinModule?.bind(process);

/** Where this runs. */
export const host: "deno" | "node" | "bun" | "browser" = Deno?.version !== undefined
  ? "deno"
  : builtinOf === undefined
  ? "browser"
  : process?.versions?.bun === undefined
  ? "node"
  : "bun";

/** A module of Node; undefined in a browser. */
export function builtin<K extends keyof Builtins>(name: K): Builtins[K] | undefined {
  return builtinOf?.(name);
}

/** A module of Node, where there is no browser. */
export function need<K extends keyof Builtins>(name: K): Builtins[K] {
  const module = builtin(name);
  if (module === undefined) throw new Error(`There is no ${name} here`);
  return module;
}

/** What is to become of this package where a program is bundled. */
export const EXTERNAL = 'of its bundle, as an "external" package';

/**
 * The file of that name beside the one that asks: TypeScript as in the repository, JavaScript where it was built.
 *
 * @param name The path without its extension.
 * @param asking The URL of the module that asks.
 */
export function sibling(name: string, asking: string): URL {
  // What a bundler has made CommonJS of.
  if (asking === undefined) {
    throw new Error(
      `@cm/multiprocess does not know where its files are: a bundler must leave it out ${EXTERNAL}`,
    );
  }
  return new URL(`${name}${/\.ts($|[?#])/.test(asking) ? ".ts" : ".js"}`, asking);
}

/**
 * How long a thread that is to end should have for it, before it is stopped, in milliseconds. Deno can take the process
 * along when it interrupts a thread; elsewhere a thread can be stopped at any time.
 */
export const killGrace: number = host === "deno" ? 300 : 0;

/**
 * Whether a thread that starts workers is kept by that for so long that no other work should wait for it. Node and Bun take
 * less than a millisecond, and leave nothing to the main thread.
 */
export const startsBlock: boolean = host === "deno";

/**
 * Whether a worker that is started sleeps for most of that time, and its core is free for others: on Deno, where another
 * worker starts it. See `bridge.ts`.
 */
export const startsSleep: boolean = host === "deno";

/**
 * Whether the workers of `node:worker_threads` are what to start threads with. Bun has them, too, but takes six times as long
 * to start one as a Web Worker, which can be interrupted there as well, and tells of its end (1.4.5).
 */
export const hasNodeWorkers: boolean = host === "deno" || host === "node";

/** Whether paths are those of Windows. */
export const isWindows: boolean = process?.platform === "win32";

/** Whether each thread has a priority of its own. */
export const isLinux: boolean = process?.platform === "linux";

/** What relative paths are resolved against; undefined for the working directory. */
export const base: string | undefined = host === "browser" ? location?.href : undefined;

/**
 * What to import for a module's URL. Bun takes a `data:` module for a file where there is a dot in it: its default export is
 * a text then (seen up to 1.4.5).
 */
export const importable: (url: string) => string = host === "bun" ? withoutDots : (url) => url;

function withoutDots(url: string): string {
  const [, type, text] = /^data:([^,]*),([^]*)$/.exec(url) ?? [];
  if (type === undefined || type.endsWith(";base64")) return url;
  const bytes = new TextEncoder().encode(decodeURIComponent(text!));
  return `data:${type};base64,${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}

/**
 * Whether threads can share memory: in a browser the page must be isolated from those of other origins. One that is has no
 * shared memory in WebKitGTK (seen with 2.50.6).
 */
export const sharesMemory: boolean = host !== "browser" ||
  ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true &&
    "SharedArrayBuffer" in globalThis);

/** How many threads can run at the same moment. */
export function cores(): number {
  return navigator?.hardwareConcurrency ?? builtin("node:os")?.availableParallelism() ?? 1;
}

/** The program's main module, where that is known. */
export function mainModule(): string | undefined {
  try {
    return Deno?.mainModule;
  } catch {
    // Older versions of Deno want permission to read it.
    return undefined;
  }
}

/** The runtime's own classes of errors, by name. */
export const ownErrors: Readonly<Record<string, ErrorClass>> = Deno?.errors ?? {};

let statistics: (() => { heap_size_limit: number }) | undefined;

/**
 * How large the heap of this thread may become, in bytes; `Infinity` where that is not known. A worker asks before a task may
 * have patched what tells; few ask at all, and `node:v8` takes Node and Bun a millisecond or two.
 */
export function heapLimit(): number {
  statistics ??= builtin("node:v8")?.getHeapStatistics;
  return statistics?.().heap_size_limit ?? Infinity;
}

const memoryUsage = process?.memoryUsage?.bind(process);

/** How many bytes of memory the whole process takes, or this thread with its buffers; 0 where that is not known. */
export function memoryUsed(of: "process" | "thread"): number {
  const usage = memoryUsage?.();
  if (usage === undefined) return 0;
  return of === "process" ? usage.rss : usage.heapUsed + usage.external;
}

/** Calls back in the next turn of the event loop. */
export const nextTurn: (callback: () => void) => void = host === "browser"
  ? turnByMessage()
  : need("node:timers").setImmediate;

/** A message to oneself: the shortest way round the event loop of a browser. */
function turnByMessage(): (callback: () => void) => void {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return (callback) => {
    waiting.push(callback);
    port2.postMessage(0);
  };
}
