/**
 * Starts Web Workers, and knows where their modules are: beside this one, or in it. A package that is one file has them in
 * itself, so that no bundler need know of them.
 *
 * @module
 */
import { host, need, sibling } from "./host.ts";

/** The code of the modules that workers are started with, by name. */
const sources: Record<string, string> = {};

/** Has the modules be part of this program. */
export function embed(modules: Record<string, string>): void {
  Object.assign(sources, modules);
}

/**
 * Starts a module in a worker.
 *
 * @param file Its name, without its extension.
 * @param name Shown by debuggers.
 * @param died Called when it cannot be started, throws, or cannot read a message.
 * @param more Options that only some runtimes have.
 */
export function startWebWorker(
  file: string,
  name: string,
  died: (error: unknown) => void,
  more: object = {},
): Worker {
  const url = urlOf(file);
  const worker = new Worker(trusted(url), { type: "module", name, ...more });
  worker.onerror = (event) => {
    // Else it would end the process.
    event.preventDefault();
    died(event.error ?? new Error(event.message || `${file} could not be loaded${hintOf(url)}`));
  };
  worker.onmessageerror = () => died(new Error("A message could not be read"));
  return worker;
}

/** What a Web Worker is on Bun. */
export type BunWorker = Worker & { ref(): void; unref(): void };

/** The same on Bun, where it has the environment of the program, and its arguments, unless it is given others. */
export function startBunWorker(
  file: string,
  name: string,
  died: (error: unknown) => void,
  { env, argv }: { env?: Record<string, string> | undefined; argv?: readonly string[] | undefined },
): BunWorker {
  return startWebWorker(file, name, died, {
    // That of `node:worker_threads`, which is not loaded for it.
    env: env ?? Symbol.for("nodejs.worker_threads.SHARE_ENV"),
    argv: argv ?? need("node:process").argv.slice(2),
  }) as BunWorker;
}

/** Calls back with its code when a worker of Bun has ended. */
export function onExit(worker: BunWorker, ended: (code: number) => void): void {
  worker.addEventListener("close", (event) => ended((event as Event & { code: number }).code));
}

function hintOf(url: URL | string): string {
  if (host !== "browser") return "";
  const source = typeof url === "string" ? "blob:" : "'self'";
  return `: does the page's Content-Security-Policy allow worker-src ${source}?`;
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): {
    createScriptURL(url: string): string;
  };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;

/** The URL as a page takes it that has said `require-trusted-types-for 'script'`. */
function trusted(url: URL | string): URL | string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  if (trustedTypes === undefined) return url;
  try {
    policy ??= trustedTypes.createPolicy("multiprocess", { createScriptURL: (url) => url });
    return policy.createScriptURL(String(url));
  } catch {
    // Not allowed by `trusted-types`, or another copy of this package has made it: then the page says what it lacks.
    return url;
  }
}

/** URLs of code that is in this program: one each, for as long as it runs. */
const blobs = new Map<string, string>();

/** Where modules are that are part of this program, for a thread of which they are not; undefined where there are none. */
export function placesOf(files: readonly string[]): Record<string, string> | undefined {
  const own = files.filter((file) => sources[file] !== undefined);
  return own.length === 0
    ? undefined
    : Object.fromEntries(own.map((file) => [file, blobOf(file, sources[file]!)]));
}

/** Takes over where another thread has them. */
export function knowPlaces(places: Record<string, string> | undefined): void {
  for (const [file, url] of Object.entries(places ?? {})) blobs.set(file, url);
}

function urlOf(file: string): URL | string {
  const known = blobs.get(file);
  if (known !== undefined) return known;
  const code = sources[file];
  if (code !== undefined) return blobOf(file, code);
  const url = sibling(`./${file}`, import.meta.url);
  // A worker's own URL must be of the page's origin; what it imports need not be.
  if (host !== "browser" || url.origin === location.origin) return url;
  return blobOf(file, `import ${JSON.stringify(url.href)};`);
}

function blobOf(file: string, code: string): string {
  const known = blobs.get(file);
  if (known !== undefined) return known;
  const blob = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  blobs.set(file, blob);
  return blob;
}
