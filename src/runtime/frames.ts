/**
 * Messages between processes over a socket: records as the bytes that they are, all else as bytes of the structured clone.
 *
 * @module
 */
import { decodeMessage, encodeMessage } from "./process_message.ts";

/** A frame begins with its length in bytes, and what it holds. */
const HEAD = 8;
const RECORDS = 0;
const MESSAGE = 1;

/** Read at once at most. */
const CHUNK = 1 << 16;
/** Frames that are smaller are written together. */
const SMALL = 1 << 14;

/** A message that is records, or anything that can be cloned. */
type Framed = ArrayBuffer | object;

/** One end of the socket. */
export class Frames<In extends Framed, Out extends Framed> {
  readonly #socket: Deno.UnixConn;
  readonly #take: (message: In) => void;
  #waiting: Uint8Array[] = [];
  #writing = false;
  #closed = false;
  /** Resolves when the other end is closed, and all that it has said was taken in. */
  readonly ended: Promise<void>;

  constructor(socket: Deno.UnixConn, take: (message: In) => void) {
    this.#socket = socket;
    this.#take = take;
    this.ended = this.#read();
  }

  /**
   * Sends a message, as it is now.
   *
   * @throws {DOMException} `DataCloneError`, if it cannot be cloned.
   */
  post(message: Out): void {
    const records = message instanceof ArrayBuffer;
    const bytes = records ? new Uint8Array(message) : encodeMessage(message as never);
    if (this.#closed) return;
    const head = new Uint8Array(HEAD);
    const words = new Uint32Array(head.buffer);
    words[0] = bytes.length;
    words[1] = records ? RECORDS : MESSAGE;
    this.#waiting.push(head, bytes);
    if (!this.#writing) void this.#write();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#socket.close();
    } catch {
      // The other end was quicker.
    }
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#waiting.length > 0 && !this.#closed) {
        const bytes = this.#next();
        for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
      }
    } catch {
      // The other end is gone, as its reader will tell.
      this.#closed = true;
    }
    this.#writing = false;
  }

  /** What is to be written next: small frames together. */
  #next(): Uint8Array {
    const waiting = this.#waiting;
    let count = 0;
    let size = 0;
    while (count < waiting.length && (count === 0 || size + waiting[count]!.length <= SMALL)) {
      size += waiting[count++]!.length;
    }
    if (count === 1) return waiting.shift()!;
    const bytes = new Uint8Array(size);
    let at = 0;
    for (let i = 0; i < count; i++) {
      bytes.set(waiting[i]!, at);
      at += waiting[i]!.length;
    }
    waiting.splice(0, count);
    return bytes;
  }

  async #read(): Promise<void> {
    const chunk = new Uint8Array(CHUNK);
    let end = 0;
    try {
      for (;;) {
        const count = await this.#socket.read(chunk.subarray(end));
        if (count === null) break;
        end += count;
        let at = 0;
        while (end - at >= HEAD) {
          const head = new DataView(chunk.buffer, at, HEAD);
          const length = head.getUint32(0, true);
          const kind = head.getUint32(4, true);
          at += HEAD;
          const bytes = new Uint8Array(length);
          const here = Math.min(length, end - at);
          if (here < length && length + HEAD <= CHUNK) {
            at -= HEAD;
            break;
          }
          bytes.set(chunk.subarray(at, at + here));
          at += here;
          for (let have = here; have < length;) {
            const more = await this.#socket.read(bytes.subarray(have));
            if (more === null) return;
            have += more;
          }
          this.#take((kind === RECORDS ? bytes.buffer : decodeMessage(bytes)) as In);
        }
        chunk.copyWithin(0, at, end);
        end -= at;
      }
    } catch (error) {
      // It was closed here, or the other end was killed.
      if (
        !(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.ConnectionReset ||
          error instanceof Deno.errors.Interrupted)
      ) throw error;
    } finally {
      this.close();
    }
  }
}
