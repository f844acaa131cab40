/**
 * What Deno loads only when it is first used: the `node:` built-ins, and parts of some others.
 *
 * Code that is interrupted while it loads one of them takes the whole process along: Deno takes for granted that a
 * built-in module can be evaluated (`ext_script.rs:116`, seen up to 2.9.6). So a thread that may be interrupted should
 * have nothing left to load. `DENO_LOG_LAZY_LOAD=1` shows what Deno loads, and when: `lazy_esm` is what matters here.
 *
 * @module
 */
import { host, need } from "./host.ts";

const builtinModules = host === "deno" ? need("node:module").builtinModules : [];

// Taken when this is loaded: a task may patch them.
const propertyOf = Object.getOwnPropertyDescriptor;
const namesOf = Object.getOwnPropertyNames;
const ObjectPrototype = Object.prototype;
const runtime = host === "deno" ? Deno : undefined;
const nameCount = namesOf(ObjectPrototype).length;
/** `Deno.env` and its `get`, which built-ins call while they are loaded. */
let environment: { get?: unknown } | undefined;
let getVariable: unknown;

/** The globals are as tasks are to find them. */
export function noteGlobals(): void {
  environment = runtime?.env;
  getVariable = environment?.get;
}

/**
 * Whether the globals are as the built-ins need them while they are loaded: a sandbox may have taken `Deno` away, or its
 * `env`, or given names to all objects. Then they fail, and leave rejections that nobody handles besides, which would be
 * the end of the worker (seen up to 2.9.6).
 */
export function isWhole(): boolean {
  return propertyOf(globalThis, "Deno")?.value === runtime &&
    (runtime === undefined || propertyOf(runtime, "env")?.value === environment) &&
    (environment === undefined || propertyOf(environment, "get")?.value === getVariable) &&
    namesOf(ObjectPrototype).length === nameCount;
}

const getter = (name: string) => propertyOf(globalThis, name)?.get;

/**
 * Reading one of these loads what is behind it. Taken when this is loaded: a task may patch them. On Node that would load
 * it at once.
 */
const GLOBALS = host === "deno"
  ? ["WebSocket", "WebSocketStream", "createImageBitmap", "OffscreenCanvas", "GPU"].map(getter)
  : [];

/** What is loaded not with its module, but when it is first called. */
const CALLS: [module: string, call: (module: Record<string, unknown>) => void][] = [
  ["stream", ({ Readable }) => void (Readable as Streams).from([])],
  // An async generator function that is never begun; an iterable would be read.
  ["stream", ({ Duplex }) => void (Duplex as Streams).from({ readable: undefined, writable: undefined })],
  ["crypto", ({ createHash }) => void (createHash as (name: string) => unknown)("sha256")],
  ["path", ({ matchesGlob }) => {
    // What it loads reads the environment. Refused, it throws, and leaves a rejection that nobody handles besides (seen
    // up to 2.9.6), which would be the end of the worker.
    if (mayReadEnvironment()) (matchesGlob as (path: string, glob: string) => unknown)("a", "a");
  }],
];

/** Taken when this is loaded: a task may patch it. */
const query = host === "deno" ? Deno.permissions.querySync.bind(Deno.permissions) : undefined;
/** Whether all of it can be read. */
function mayReadEnvironment(): boolean {
  const status = query?.({ name: "env" });
  return status?.state === "granted" && !status.partial;
}

type Streams = { from(source: unknown): unknown };

/** How many steps it takes to load everything. */
export const BUILTINS = builtinModules.length + GLOBALS.length + CALLS.length;

/** Takes one of them: each takes up to 5 ms of CPU, most far less, and all together 30 to 50 (Deno 2.9.6). */
export async function loadBuiltin(step: number): Promise<void> {
  if (!isWhole()) return;
  try {
    if (step < builtinModules.length) {
      await import(specifierOf(builtinModules[step]!));
    } else if (step < builtinModules.length + GLOBALS.length) {
      GLOBALS[step - builtinModules.length]?.call(globalThis);
    } else {
      const [name, call] = CALLS[step - builtinModules.length - GLOBALS.length]!;
      call(await import(specifierOf(name)));
    }
  } catch {
    // This version of Deno lacks it, or may not load it: then a task cannot, either.
  }
}

function specifierOf(name: string): string {
  return name.startsWith("node:") ? name : `node:${name}`;
}
