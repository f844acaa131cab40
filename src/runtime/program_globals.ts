/**
 * What a thread shares with the whole program, where changing it would harm all others: refused, as
 * `node:worker_threads` refuse it, or as in a child process, where there is nothing to read.
 *
 * @module
 */
import type { Readable } from "node:stream";
import { need, ownErrors } from "./host.ts";

const { NotSupported } = ownErrors;

/** Has a thread leave the program's working directory, umask, signals and stdin alone. */
export function guardProgram(): void {
  const { umask } = Deno;
  replace(Deno, "chdir", () => {
    throw refusal("change the working directory");
  });
  replace(Deno, "umask", (mask?: number) => {
    if (mask !== undefined) throw refusal("change the umask");
    return umask();
  });
  replace(Deno, "addSignalListener", () => {
    throw refusal("listen to signals");
  });
  ignoreSignals();
  closeStdin();
}

/** What a worker of `node:worker_threads` may not do to its process either. */
const WHOLE = ["abort", "chdir", "setuid", "seteuid", "setgid", "setegid", "setgroups", "initgroups"];

/** The same for a Web Worker on Bun, as `node:worker_threads` refuse it there. */
export function guardProcess(): void {
  const process = need("node:process");
  for (const name of WHOLE) {
    replace(process, name, () => {
      throw unsupported(`process.${name}()`);
    });
  }
  const umask = process.umask.bind(process) as () => number;
  replace(process, "umask", (mask?: number) => {
    if (mask !== undefined) throw unsupported("Setting process.umask()");
    return umask();
  });
  // Bun takes 10 ms to define what is still to be made, but none to give it up.
  (process as { stdin: unknown }).stdin = undefined;
  emptyStdin();
}

function unsupported(what: string): Error {
  const error = new TypeError(`${what} is not supported in workers`);
  return Object.assign(error, { code: "ERR_WORKER_UNSUPPORTED_OPERATION" });
}

function refusal(what: string): Error {
  return new NotSupported!(
    `Cannot ${what} in a thread: that would be for the whole program; use isolation: "process"`,
  );
}

/**
 * Libraries listen to signals when they are loaded, to clean up at the end. They are not refused, and hear nothing: a
 * program that has nobody of its own listening ends on SIGTERM.
 */
function ignoreSignals(): void {
  const process = need("node:process");
  for (const name of ["on", "addListener", "once", "prependListener", "prependOnceListener"] as const) {
    const add = process[name] as (event: string | symbol, listener: () => void) => unknown;
    const { apply } = Reflect;
    replace(process, name, function (this: unknown, event: string | symbol, listener: () => void) {
      const ignored = typeof event === "string" && event[0] === "S" && event[1] === "I" && event[2] === "G";
      return ignored ? this : apply(add, this, [event, listener]);
    });
  }
}

/** A line that a task waits for when it is stopped would be lost to the program. */
function closeStdin(): void {
  const { stdin } = Deno;
  replace(stdin, "read", () => Promise.resolve(null));
  replace(stdin, "readSync", () => null);
  replace(stdin, "isTerminal", () => false);
  replace(stdin, "setRaw", () => {
    throw refusal("change the terminal");
  });
  Object.defineProperty(stdin, "readable", { configurable: true, get: () => ReadableStream.from([]) });
  emptyStdin();
}

function emptyStdin(): void {
  let stream: Readable | undefined;
  Object.defineProperty(need("node:process"), "stdin", {
    configurable: true,
    enumerable: true,
    get: () => stream ??= Object.assign(need("node:stream").Readable.from([]), { fd: 0, isTTY: false }),
  });
}

function replace(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true });
}
