/**
 * The memory that a thread worker shares with the dispatcher: who may run a task, and what came of it.
 *
 * **Claims.** Every task that a worker holds has a number, and a slot by that number. The dispatcher *offers* it
 * there. Then either the worker *claims* it, just before it runs it, or the dispatcher *takes it back*; both
 * compare-and-swap the slot from the same value, so exactly one of them gets it. The value holds the number, so
 * a slot that was used again is never mistaken.
 *
 * **Results.** Before it claims the next task the worker writes the result of the last into a ring, so that no
 * later hang or crash can take it along: the memory outlives the thread. The dispatcher reads it when it looks at the
 * worker, which it does every few milliseconds while tasks wait there; when a worker says so, because it has nothing
 * more to do (then all rings at once: the others need not say so); and once more when the worker has ended.
 *
 * @module
 */
import type { Running } from "../wire/protocol.ts";

// This file also runs in workers: it takes what it needs before a task can patch it.
const load = Atomics.load;
const store = Atomics.store;
const compareExchange = Atomics.compareExchange;

/** Slots of a worker; the numbers of the tasks it holds lie within fewer than this. */
export const SLOTS = 512;
/** The most words that `read` gives at once. */
export const RING_WORDS = 1 << 14;
/** Ring words in use at which a worker should tell the dispatcher, whatever the time. */
const RING_FULL = RING_WORDS >> 1;

const OFFERED = 1;
const LOADING = 2;
const RUNNING = 3;
/** Slot value: the task's number, which callbacks its module has (2 bits and one that says they are known), phase. */
const SEQ_SHIFT = 5;
const KNOWN = 4;
/** Numbers wrap long after no slot can remember them. */
const SEQ_MASK = 0x3ffffff;

const WRITTEN = SLOTS;
const READ = SLOTS + 1;
/** Not 0 once the worker is to end, whatever it is doing. */
const STOPPED = SLOTS + 2;
const RING = SLOTS + 3;

/** Memory for a new worker. */
export function createMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(8 * SLOTS + 4 * (RING + RING_WORDS));
}

/** One side's view of the shared memory. */
export class SharedSeat {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  /** Worker: where the next record goes, and up to where the dispatcher is known to have read. */
  #written = 0;
  #known = 0;
  /** Dispatcher: up to where it has read. */
  #read = 0;

  constructor(memory: SharedArrayBuffer = createMemory()) {
    this.memory = memory;
    this.#times = new Float64Array(memory, 0, SLOTS);
    this.#words = new Int32Array(memory, 8 * SLOTS, RING + RING_WORDS);
  }

  /** Dispatcher: the worker may run this task. */
  offer(seq: number): void {
    store(this.#words, seq % SLOTS, value(seq, OFFERED));
  }

  /** Dispatcher: true if the worker had not claimed the task, and now never will. */
  takeBack(seq: number): boolean {
    const offered = value(seq, OFFERED);
    return compareExchange(this.#words, seq % SLOTS, offered, 0) === offered;
  }

  /** Dispatcher: what the worker does with this task; undefined if it has not claimed it. */
  look(seq: number): Running | undefined {
    const slot = seq % SLOTS;
    for (;;) {
      const word = load(this.#words, slot);
      const phase = word & 3;
      if (word >>> SEQ_SHIFT !== (seq & SEQ_MASK) || phase < LOADING) return undefined;
      const since = this.#times[slot]!;
      // The time is written before the phase: unchanged means that both belong together.
      if (load(this.#words, slot) !== word) continue;
      const callbacks = word & KNOWN ? word >> 3 & 3 : undefined;
      return { seq, since, loading: phase === LOADING, callbacks };
    }
  }

  /** Worker: whether it may claim the task, the message of which may still be on its way. */
  isOffered(seq: number): boolean {
    return load(this.#words, seq % SLOTS) === value(seq, OFFERED);
  }

  /** Worker: true if the task is the worker's to run. It has until now not been begun. */
  claim(seq: number, loading: boolean, callbacks: number, now: number): boolean {
    const slot = seq % SLOTS;
    const offered = value(seq, OFFERED);
    if (load(this.#words, slot) !== offered) return false;
    this.#times[slot] = now;
    const claimed = loading ? value(seq, LOADING) : value(seq, RUNNING, callbacks);
    return compareExchange(this.#words, slot, offered, claimed) === offered;
  }

  /** Worker: a task that was loading runs now. */
  run(seq: number, callbacks: number, now: number): void {
    const slot = seq % SLOTS;
    // The dispatcher must not read the new time with the old phase: it reads the phase again after the time.
    store(this.#words, slot, value(seq, OFFERED) ^ OFFERED);
    this.#times[slot] = now;
    store(this.#words, slot, value(seq, RUNNING, callbacks));
  }

  /** Worker: appends a record to the ring; false if there is no room. */
  write(record: Int32Array, length: number): boolean {
    const words = this.#words;
    const written = this.#written;
    if (this.#used() + length > RING_WORDS && this.#refresh() + length > RING_WORDS) return false;
    for (let i = 0; i < length; i++) words[RING + (written + i & RING_WORDS - 1)] = record[i]!;
    this.#written = written + length | 0;
    store(words, WRITTEN, this.#written);
    return true;
  }

  /** Worker: whether the dispatcher should read soon. */
  get crowded(): boolean {
    return this.#used() > RING_FULL && this.#refresh() > RING_FULL;
  }

  /** Worker: whether there is something that the dispatcher has not read. */
  get unread(): boolean {
    return this.#refresh() > 0;
  }

  /** Ring words in use, at most. */
  #used(): number {
    return this.#written - this.#known | 0;
  }

  /** Finds out how far the dispatcher has read. Returns the ring words in use. */
  #refresh(): number {
    this.#known = load(this.#words, READ);
    return this.#used();
  }

  /** Dispatcher: the worker is to end at its next stop point, see `stop_points.ts`. */
  stop(): void {
    store(this.#words, STOPPED, 1);
  }

  /** Worker: whether it is to end. */
  get stopped(): boolean {
    return load(this.#words, STOPPED) !== 0;
  }

  /** Dispatcher: takes all records out, and gives their length in words. There must be room for `RING_WORDS`. */
  read(into: Int32Array): number {
    const words = this.#words;
    const read = this.#read;
    const length = load(words, WRITTEN) - read | 0;
    if (length === 0) return 0;
    for (let i = 0; i < length; i++) into[i] = words[RING + (read + i & RING_WORDS - 1)]!;
    this.#read = read + length | 0;
    store(words, READ, this.#read);
    return length;
  }
}

function value(seq: number, phase: number, callbacks?: number): number {
  const known = callbacks === undefined ? 0 : KNOWN | callbacks << 3;
  return (seq & SEQ_MASK) << SEQ_SHIFT | known | phase;
}
