import { nextTurn } from "../runtime/host.ts";
import { kinds } from "../runtime/kinds.ts";
import { ByteBuffer, decode } from "../wire/codec.ts";
import type { ToEntry } from "../wire/protocol.ts";
import { OutcomeRecord } from "../wire/records.ts";

/** How long outcomes are handled at a stretch before timers and requests have their turn, in milliseconds. */
export const SLICE_MS = 4;

/** How many callbacks are left to microtasks before those have their turn: they count for the slice. */
const MAX_LEFT = 8;

/** After how many handled messages the rest is moved up. */
const MOVE_UP = 1_024;

/**
 * Hears that a task returned a small plain value.
 *
 * @returns True if a callback is left to a microtask.
 */
export type OnValue = (
  id: number,
  worker: number,
  attempts: number,
  callbacks: number,
  waitedMs: number,
  ranMs: number,
  value: unknown,
) => boolean | undefined;

/** A message of its own: an outcome that came with others is one too. */
export type Message = Exclude<ToEntry, ArrayBuffer | { type: "outcomes" }>;

/** What comes from another thread may be of another realm than this code: see `isUrl` in `kinds.ts`. */
const isRecords = (message: ToEntry): message is ArrayBuffer => kinds.isArrayBuffer(message);

/**
 * Handles the dispatcher's messages in slices: Deno delivers all messages that have come before it turns to timers and
 * requests again, and callbacks run while messages are handled, or in microtasks right after.
 */
export class Inbox {
  readonly #value: OnValue;
  readonly #handle: (message: Message) => boolean;
  readonly #emptied: () => void;
  #backlog: (ArrayBuffer | Message)[] = [];
  /** How many of the backlog are handled. */
  #head = 0;
  /** How far the first message of the rest is read. */
  #reading: { buffer: ByteBuffer; at: number } | undefined;
  /** It goes on by itself. */
  #paused = false;
  #sliceStart = 0;
  #sliceEnd = 0;
  /** Callbacks that were left to microtasks. */
  #left = 0;
  #closed = false;

  /**
   * @param value Takes a small plain value.
   * @param handle Takes a message; true if it left a callback to a microtask.
   * @param emptied Called when all that has come was handled.
   */
  constructor(value: OnValue, handle: (message: Message) => boolean, emptied: () => void = () => {}) {
    this.#value = value;
    this.#handle = handle;
    this.#emptied = emptied;
  }

  /** A message has come. */
  take(message: ToEntry): void {
    if (isRecords(message) || message.type !== "outcomes") this.#backlog.push(message);
    else for (const outcome of message.outcomes) this.#backlog.push({ type: "outcome", outcome });
    if (this.#paused) return;
    const now = performance.now();
    if (now - this.#sliceEnd > 1) this.#sliceStart = now;
    this.#drain();
  }

  /** Nothing is handled any more: all is settled. */
  close(): void {
    this.#closed = true;
  }

  #drain(): void {
    this.#left = 0;
    while (this.#head < this.#backlog.length && !this.#closed && !this.#mustYield()) {
      if (this.#receive(this.#backlog[this.#head]!)) this.#head++;
    }
    if (this.#closed || this.#head === this.#backlog.length) {
      this.#backlog = [];
      this.#head = 0;
    } else if (this.#head >= MOVE_UP) {
      this.#backlog = this.#backlog.slice(this.#head);
      this.#head = 0;
    }
    this.#sliceEnd = performance.now();
    this.#paused = this.#backlog.length > 0;
    if (!this.#paused) return this.#emptied();
    if (!this.#sliceOver()) return queueMicrotask(() => this.#drain());
    nextTurn(() => {
      this.#sliceStart = performance.now();
      this.#drain();
    });
  }

  #mustYield(): boolean {
    return this.#left >= MAX_LEFT || this.#sliceOver();
  }

  #sliceOver(): boolean {
    return performance.now() - this.#sliceStart >= SLICE_MS;
  }

  /** Handles a message, or as much of it as there is time for: false if there is more. */
  #receive(message: ArrayBuffer | Message): boolean {
    if (!isRecords(message)) {
      if (this.#handle(message)) this.#left++;
      return true;
    }
    this.#reading ??= { buffer: new ByteBuffer(message), at: 0 };
    if (!this.#read(this.#reading)) return false;
    this.#reading = undefined;
    return true;
  }

  #read(reading: { buffer: ByteBuffer; at: number }): boolean {
    const { buffer } = reading;
    const { words } = buffer;
    const { length } = words;
    for (let count = 1; reading.at < length; count++) {
      const { at } = reading;
      buffer.at = 4 * (at + OutcomeRecord.header);
      const value = decode(buffer);
      reading.at += words[at]!;
      const left = this.#value(
        OutcomeRecord.id(words, at),
        OutcomeRecord.worker(words, at),
        OutcomeRecord.attempts(words, at),
        OutcomeRecord.callbacks(words, at),
        OutcomeRecord.waitedMs(words, at),
        OutcomeRecord.ranMs(words, at),
        value,
      );
      if (left) this.#left++;
      if (count % 8 === 0 && this.#mustYield()) return reading.at >= length;
    }
    return true;
  }
}
