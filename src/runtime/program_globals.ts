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
  const { Readable } = need("node:stream");
  replace(stdin, "read", () => Promise.resolve(null));
  replace(stdin, "readSync", () => null);
  replace(stdin, "isTerminal", () => false);
  replace(stdin, "setRaw", () => {
    throw refusal("change the terminal");
  });
  Object.defineProperty(stdin, "readable", { configurable: true, get: () => ReadableStream.from([]) });
  let stream: Readable | undefined;
  Object.defineProperty(need("node:process"), "stdin", {
    configurable: true,
    enumerable: true,
    get: () => stream ??= Object.assign(Readable.from([]), { fd: 0, isTTY: false }),
  });
}

function replace(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true });
}
