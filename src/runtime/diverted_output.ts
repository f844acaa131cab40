/**
 * Has what code prints in this thread go elsewhere: by `console`, by `Deno.stdout` and `Deno.stderr`, and by
 * `process.stdout` and `process.stderr`. What writes to a descriptor by itself (native code, a child process, `node:fs`)
 * goes where it always does.
 *
 * @module
 */
import { Console } from "node:console";
import process from "node:process";
import { Writable } from "node:stream";
import { host } from "./host.ts";

type Stream = "stdout" | "stderr";

/** @param print Takes what is printed; false if it is to be printed as ever. */
export function divertOutput(print: (stream: Stream, text: string) => boolean): void {
  const sinks = { stdout: divert("stdout", print), stderr: divert("stderr", print) };
  const { log: _, ...own } = console;
  const diverted = new Console({ ...sinks, colorMode: false }) as unknown as Record<string, unknown>;
  for (const name of ["log", ...Object.keys(own)]) {
    const method = diverted[name];
    if (typeof method !== "function") continue;
    const value = method.bind(diverted);
    Object.defineProperty(console, name, { value, configurable: true, enumerable: true, writable: true });
  }
}

/** Diverts one stream, and gives one for `console` to write to. */
function divert(name: Stream, print: (stream: Stream, text: string) => boolean): Writable {
  const stream = host === "deno" ? Deno[name] : undefined;
  const pass = stream === undefined
    ? process[name].write.bind(process[name])
    : writeAll.bind(undefined, stream.writeSync.bind(stream));
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const put = (data: string | Uint8Array): void => {
    const text = typeof data === "string" ? data : decoder.decode(data, { stream: true });
    if (print(name, text)) return;
    pass(typeof data === "string" ? encoder.encode(data) : data);
  };
  const write = (data: Uint8Array): number => {
    put(data);
    return data.length;
  };
  const define = (object: object, key: string, value: unknown) =>
    Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true });
  if (stream !== undefined) {
    define(stream, "writeSync", write);
    define(stream, "write", (data: Uint8Array) => Promise.resolve(write(data)));
    define(stream, "writable", new WritableStream<Uint8Array>({ write: (data) => void put(data) }));
  }
  define(process[name], "write", (data: string | Uint8Array, ...rest: unknown[]) => {
    put(data);
    const done = rest.find((each) => typeof each === "function") as (() => void) | undefined;
    if (done !== undefined) queueMicrotask(done);
    return true;
  });
  return new Writable({
    decodeStrings: false,
    write: (data: string | Uint8Array, _encoding: unknown, done: () => void) => {
      put(data);
      done();
    },
  });
}

function writeAll(writeSync: (bytes: Uint8Array) => number, bytes: Uint8Array): void {
  while (bytes.length > 0) bytes = bytes.subarray(writeSync(bytes));
}
