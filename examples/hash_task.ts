/**
 * The task of `hash.ts`. It needs no callbacks of its own: `hash.ts` gives them with each push.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** What became of a file. */
export interface Hashed {
  /** The SHA-256 of its content, in hexadecimal. */
  hash: string;
  /** Its size. */
  bytes: number;
}

/** One for all tasks: a worker runs one at a time. */
const buffer = new Uint8Array(256 * 1_024);

/**
 * Hashes a file piece by piece, however large it is.
 *
 * A task may as well block its thread, with `readSync` here. But no thread can be stopped inside a read that hangs,
 * as on a dead network drive; one that awaits the read can.
 */
export async function runnable(path: string): Promise<Hashed> {
  const hash = createHash("sha256");
  let bytes = 0;
  using file = await Deno.open(path);
  for (let read; (read = await file.read(buffer)) !== null;) {
    hash.update(buffer.subarray(0, read));
    bytes += read;
  }
  return { hash: hash.digest("hex"), bytes };
}
