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
/** So many bytes of records, or as many other messages as would be, are a backlog. */
const BACKLOG = 1 << 16;
/** A record has at least so many bytes. */
const RECORD = 40;

/** A message that is records, or anything that can be cloned. */
type Framed = ArrayBuffer | object;

interface Part {
  readonly bytes: Uint8Array;
  /** What it counts for in the backlog: about as much as the records that it holds. */
  readonly weight: number;
}

/** One end of the socket. */
export class Frames<In extends Framed, Out extends Framed> {
  readonly #socket: Promise<Deno.UnixConn>;
  readonly #take: (message: In) => void;
  readonly #backlog: ((long: boolean) => void) | undefined;
  #waiting: Part[] = [];
  /** How many of them have been written. */
  #first = 0;
  #weight = 0;
  #long = false;
  #writing = false;
  #closed = false;
  /** Resolves when the other end is closed, and all that it has said was taken in. */
  readonly ended: Promise<void>;

  /**
   * @param socket Rejects if there will be none: then all that was to be sent is lost, as with a socket that is closed.
   * @param backlog Told when messages wait because the other end takes them in more slowly than they come, and when no more.
   */
  constructor(
    socket: Promise<Deno.UnixConn>,
    take: (message: In) => void,
    backlog?: (long: boolean) => void,
  ) {
    this.#socket = socket;
    this.#take = take;
    this.#backlog = backlog;
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
    const weight = records ? bytes.length : RECORD;
    this.#waiting.push({ bytes: head, weight: 0 }, { bytes, weight });
    this.#weight += weight;
    if (!this.#writing) void this.#write();
    if (this.#weight > BACKLOG) this.#tell(true);
  }

  #tell(long: boolean): void {
    if (this.#long === long) return;
    this.#long = long;
    this.#backlog?.(long);
  }

  async close(): Promise<void> {
    this.#closed = true;
    try {
      (await this.#socket).close();
    } catch {
      // The other end was quicker, or there is none.
    }
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      const socket = await this.#socket;
      while (this.#first < this.#waiting.length && !this.#closed) {
        const bytes = this.#next();
        for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
        if (this.#weight <= BACKLOG / 2) this.#tell(false);
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
    const first = this.#first;
    let end = first;
    let size = 0;
    while (end < waiting.length && (end === first || size + waiting[end]!.bytes.length <= SMALL)) {
      this.#weight -= waiting[end]!.weight;
      size += waiting[end++]!.bytes.length;
    }
    const parts = waiting.slice(first, end);
    this.#first = end;
    // To move the rest up takes as long as it is: not each time.
    if (2 * end >= waiting.length) {
      this.#waiting = waiting.slice(end);
      this.#first = 0;
    }
    if (parts.length === 1) return parts[0]!.bytes;
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      bytes.set(part.bytes, at);
      at += part.bytes.length;
    }
    return bytes;
  }

  async #read(): Promise<void> {
    const chunk = new Uint8Array(CHUNK);
    let end = 0;
    const socket = await this.#socket.catch(() => undefined);
    if (socket === undefined) return void (this.#closed = true);
    try {
      for (;;) {
        const count = await socket.read(chunk.subarray(end));
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
            const more = await socket.read(bytes.subarray(have));
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
      await this.close();
    }
  }
}
