/**
 * Records: tasks and outcomes as words in one buffer, many in a message.
 *
 * A record begins with its length in 32-bit words, itself included; encoded values (`codec.ts`) end it.
 *
 * @module
 */
import { ByteBuffer, encode, encodeList, getFloat, MAX_BYTES, putFloat } from "./codec.ts";

/** Room that every record must have. */
const MAX_RECORD = MAX_BYTES + 64;

const INITIAL_BYTES = 1 << 14;

/** A buffer of records that grows while they are written, and is then sent whole. */
export class RecordWriter {
  #buffer: ByteBuffer;
  #words: number;
  #count = 0;
  /** Changes when anything else than a value is done: a getter in the value must not have done that meanwhile. */
  #turn = 0;
  readonly #lead: number;

  /** @param lead Words before the first record, for whoever sends the buffer. */
  constructor(lead = 0) {
    this.#lead = this.#words = lead;
    this.#buffer = new ByteBuffer(INITIAL_BYTES);
  }

  /** How many records are in it. */
  get count(): number {
    return this.#count;
  }

  /** Begins a record of that many header words and returns where they go; the length is filled in by `end`. */
  begin(header: number): number {
    const needed = 4 * this.#words + MAX_RECORD;
    if (needed > this.#buffer.bytes.length) this.#grow(needed);
    this.#turn++;
    this.#buffer.at = 4 * (this.#words + header);
    return this.#words;
  }

  get words(): Int32Array {
    return this.#buffer.words;
  }

  /**
   * Appends a value to the record begun; false if it is not small and plain, or if a getter in it used this writer:
   * then the record is dropped.
   */
  value(value: unknown): boolean {
    const turn = this.#turn;
    return encode(this.#buffer, value) && turn === this.#turn;
  }

  /** Appends a list, of which only the items are looked at; false as for `value`. */
  list(items: readonly unknown[]): boolean {
    const turn = this.#turn;
    return encodeList(this.#buffer, items) && turn === this.#turn;
  }

  /** Appends words that were encoded elsewhere. */
  copy(from: Int32Array, start: number, end: number): void {
    let at = this.#buffer.at >> 2;
    const needed = 4 * (at + end - start);
    if (needed > this.#buffer.bytes.length) this.#grow(needed);
    const words = this.#buffer.words;
    for (let i = start; i < end; i++) words[at++] = from[i]!;
    this.#buffer.at = 4 * at;
  }

  /** Ends the record begun. */
  end(): void {
    const end = this.#buffer.at + 3 >> 2;
    this.#buffer.words[this.#words] = end - this.#words;
    this.#words = end;
    this.#count++;
  }

  /** Forgets all records, to write over them. */
  reset(): void {
    this.#turn++;
    this.#words = this.#lead;
    this.#count = 0;
  }

  /** Takes all records out, as a buffer of just their size, to be moved. */
  take(): ArrayBuffer {
    const taken = this.#buffer.bytes.buffer.slice(0, 4 * this.#words);
    this.reset();
    return taken;
  }

  #grow(needed: number): void {
    const old = this.#buffer;
    this.#buffer = new ByteBuffer(Math.max(needed, 2 * old.bytes.length) + 3 & ~3);
    this.#buffer.bytes.set(old.bytes);
    this.#buffer.at = old.at;
  }
}

/** What a batch of tasks begins with: how many there are, and when the first was pushed (2 words). */
export const BatchHead = {
  words: 3,
  put(words: Int32Array, count: number, at: number): void {
    words[0] = count;
    putFloat(words, 1, at);
  },
  count: (words: Int32Array): number => words[0]!,
  at: (words: Int32Array): number => getFloat(words, 1),
} as const;

// The id of a task takes two words: more than 2 ** 31 are pushed in less than an hour.

/** A task, entry to dispatcher: length, id (2 words), module, timeout (2 words), arguments. */
export const TaskRecord = {
  header: 6,
  put(words: Int32Array, at: number, id: number, module: number, timeout: number): void {
    putFloat(words, at + 1, id);
    words[at + 3] = module;
    putFloat(words, at + 4, timeout);
  },
  id: (words: Int32Array, at: number): number => getFloat(words, at + 1),
  module: (words: Int32Array, at: number): number => words[at + 3]!,
  timeout: (words: Int32Array, at: number): number => getFloat(words, at + 4),
} as const;

/** A run, dispatcher to worker: length, number on the worker, id (2 words), attempt, module, arguments. */
export const RunRecord = {
  header: 7,
  put(
    words: Int32Array,
    at: number,
    seq: number,
    id: number,
    attempt: number,
    module: number,
    slot: number,
  ): void {
    words[at + 1] = seq;
    putFloat(words, at + 2, id);
    words[at + 4] = attempt;
    words[at + 5] = module;
    words[at + 6] = slot;
  },
  seq: (words: Int32Array, at: number): number => words[at + 1]!,
  id: (words: Int32Array, at: number): number => getFloat(words, at + 2),
  attempt: (words: Int32Array, at: number): number => words[at + 4]!,
  module: (words: Int32Array, at: number): number => words[at + 5]!,
  slot: (words: Int32Array, at: number): number => words[at + 6]!,
} as const;

/** Writes a run of a task, whose record is at that place among these words. */
export function writeRun(
  runs: RecordWriter,
  words: Int32Array,
  at: number,
  seq: number,
  attempt: number,
  slot: number,
): void {
  const to = runs.begin(RunRecord.header);
  const id = TaskRecord.id(words, at);
  RunRecord.put(runs.words, to, seq, id, attempt, TaskRecord.module(words, at), slot);
  runs.copy(words, at + TaskRecord.header, at + words[at]!);
  runs.end();
}

/** The end of a run, worker to dispatcher: length, number, callbacks, start and end (2 words each), value. */
export const ResultRecord = {
  header: 7,
  put(
    words: Int32Array,
    at: number,
    seq: number,
    callbacks: number,
    startedAt: number,
    endedAt: number,
  ): void {
    words[at + 1] = seq;
    words[at + 2] = callbacks;
    putFloat(words, at + 3, startedAt);
    putFloat(words, at + 5, endedAt);
  },
  seq: (words: Int32Array, at: number): number => words[at + 1]!,
  callbacks: (words: Int32Array, at: number): number => words[at + 2]!,
  startedAt: (words: Int32Array, at: number): number => getFloat(words, at + 3),
  endedAt: (words: Int32Array, at: number): number => getFloat(words, at + 5),
} as const;

/** An outcome with a value, dispatcher to entry: length, id (2 words), worker, attempts, callbacks, two durations, value. */
export const OutcomeRecord = {
  header: 10,
  put(
    words: Int32Array,
    at: number,
    id: number,
    worker: number,
    attempts: number,
    callbacks: number,
    waitedMs: number,
    ranMs: number,
  ): void {
    putFloat(words, at + 1, id);
    words[at + 3] = worker;
    words[at + 4] = attempts;
    words[at + 5] = callbacks;
    putFloat(words, at + 6, waitedMs);
    putFloat(words, at + 8, ranMs);
  },
  id: (words: Int32Array, at: number): number => getFloat(words, at + 1),
  worker: (words: Int32Array, at: number): number => words[at + 3]!,
  setWorker(words: Int32Array, at: number, worker: number): void {
    words[at + 3] = worker;
  },
  attempts: (words: Int32Array, at: number): number => words[at + 4]!,
  callbacks: (words: Int32Array, at: number): number => words[at + 5]!,
  waitedMs: (words: Int32Array, at: number): number => getFloat(words, at + 6),
  ranMs: (words: Int32Array, at: number): number => getFloat(words, at + 8),
} as const;
