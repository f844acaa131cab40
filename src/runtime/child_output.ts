/**
 * What child processes print, on its way to where this process prints.
 *
 * A terminal and a file take what is written at once as a whole: there a child writes by itself, and sees the terminal
 * that it writes to. A pipe takes 4 KiB as a whole, so that longer lines of children that write to it are torn by those
 * of others: there all that they write goes through here, and leaves in whole lines.
 *
 * @module
 */
import { fstatSync, write } from "node:fs";
import { host } from "./host.ts";

/** A line is passed on in parts when it is longer than this, in bytes: what is held takes memory. */
const MAX_HELD = 1 << 20;
/** What a child wrote without ending the line is passed on when it writes no more for so long, in milliseconds. */
const SILENCE_MS = 1_000;
/** A pipe that was full is tried again after so long, in milliseconds. */
const FULL_MS = 5;
const NEWLINE = 10;
const LINE_END = new Uint8Array([NEWLINE]);

/** Writes bytes, or the first of them, and gives how many. */
export type Write = (bytes: Uint8Array) => Promise<number>;

/** What a child prints: the end of a pipe. */
export interface Output extends AsyncIterable<Uint8Array> {
  destroy(): unknown;
}

/** Where children print; each writes its lines in order, and none into the line of another. */
export class Lines {
  readonly #write: Write;
  #last = Promise.resolve();
  /** Whose line is not at its end. */
  #open: symbol | undefined;

  constructor(write: Write) {
    this.#write = write;
  }

  /**
   * Passes on what a child prints, until all that could write there have ended; after its own end those that it has
   * left behind, until they pause.
   *
   * @param exited Resolves when the child has ended.
   */
  async relay(output: Output, exited: Promise<void>): Promise<void> {
    const child = Symbol();
    let held: Uint8Array[] = [];
    let size = 0;
    let gone = false;
    let passing = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const pass = async (more: Uint8Array) => {
      const bytes = joined([...held, more]);
      held = [];
      size = 0;
      passing = true;
      if (bytes.length > 0) await this.#put(child, bytes);
      passing = false;
    };
    const listen = () => {
      clearTimeout(timer);
      if (size > 0 || gone) timer = setTimeout(pause, SILENCE_MS);
    };
    const pause = () => {
      if (gone) output.destroy();
      void pass(NOTHING);
    };
    void exited.then(() => {
      gone = true;
      if (!passing) listen();
    });
    try {
      for await (const chunk of output) {
        clearTimeout(timer);
        const end = chunk.lastIndexOf(NEWLINE) + 1;
        // A child that prints faster than can be written has to wait.
        if (end > 0) await pass(chunk.subarray(0, end));
        if (end < chunk.length) {
          held.push(chunk.slice(end));
          size += chunk.length - end;
        }
        if (size > MAX_HELD) await pass(NOTHING);
        listen();
      }
    } catch {
      // The pipe broke along with the child.
    }
    clearTimeout(timer);
    gone = false;
    await pass(NOTHING);
  }

  #put(child: symbol, bytes: Uint8Array): Promise<void> {
    return this.#last = this.#last.then(async () => {
      const apart = this.#open !== undefined && this.#open !== child;
      this.#open = bytes[bytes.length - 1] === NEWLINE ? undefined : child;
      try {
        if (apart) await this.#write(LINE_END);
        for (let at = 0; at < bytes.length;) at += await this.#write(bytes.subarray(at));
      } catch {
        // Nobody reads it any more.
      }
    });
  }
}

const NOTHING = new Uint8Array(0);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Whether what children write there has to go through here. */
function isPipe(descriptor: number): boolean {
  try {
    const stat = fstatSync(descriptor);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    // It is closed.
    return false;
  }
}

/** A way out of this process: `stdio` is what a child is to be given. */
export interface Outlet {
  readonly stdio: "inherit" | "pipe";
  readonly lines: Lines;
}

let outlets: readonly [Outlet, Outlet] | undefined;

/** Standard output and standard error of this process. */
export function ownOutlets(): readonly [Outlet, Outlet] {
  const outlet = (descriptor: number, write: Write): Outlet => ({
    stdio: isPipe(descriptor) ? "pipe" : "inherit",
    lines: new Lines(write),
  });
  return outlets ??= [
    outlet(1, host === "deno" ? (bytes) => Deno.stdout.write(bytes) : (bytes) => writeTo(1, bytes)),
    outlet(2, host === "deno" ? (bytes) => Deno.stderr.write(bytes) : (bytes) => writeTo(2, bytes)),
  ];
}

/** Not by `process.stdout`, which in a thread needs the main thread for it: that may be blocked. */
function writeTo(descriptor: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, (error, written) => {
      if (error === null) return resolve(written);
      // It is a pipe that does not block, and is full.
      if (error.code === "EAGAIN") setTimeout(() => resolve(0), FULL_MS);
      else reject(error);
    });
  });
}
