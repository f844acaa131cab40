/**
 * Which tasks were begun in a cell, where it outlives the cell: a file without a name, in which each worker writes down
 * what it begins, before it does, and that is read when the cell has died.
 *
 * It is the cell's standard input: of all open files that one alone can be written by every thread of a process, whatever
 * they may open (seen up to Deno 2.9.6). To write takes more than a microsecond: before tasks of which the last ones were
 * quick several are written down at once, of which a few may not have been begun when the cell dies.
 *
 * What a task that looks for the file writes there counts when its cell dies: others could be taken for begun, and where it
 * cuts it off, be run twice. One that closes it does so for its own worker, which can begin nothing any more, and says so.
 *
 * @module
 */
import { host, need } from "./host.ts";

/** How many of the last tasks of a worker are known: those whose outcomes may not have left the cell. */
const KEPT = 1 << 12;
/** The task's id, which attempt it is, and when it was begun. */
const NUMBERS = 3;
const BYTES = 8 * NUMBERS;
/** How many tasks are written down at once at most, and how long as many may have taken before, in milliseconds. */
const BLOCK = 8;
const QUICK_MS = 0.1;

/** A run that was begun. */
export interface Begun {
  readonly attempt: number;
  /** In milliseconds since the epoch. */
  readonly at: number;
}

/** The last run that was begun of each task, by its id. */
export type Claimed = ReadonlyMap<number, Begun>;

// Also for workers, which are in cells on Deno only: taken before a task can patch it.
const fs = host === "deno" ? need("node:fs") : undefined;
const write = fs?.writeSync;

/** A task that a worker is to run. */
interface Noted {
  readonly task: number;
  readonly attempt: number;
  noted: boolean;
  readonly next: Noted | undefined;
}

/** Writes something into the file that the cell is to take out before it begins anything: `take` does. */
export function put(file: number, text: string): void {
  write!(file, new TextEncoder().encode(text), undefined, undefined, 0);
}

/** In the cell: see `put`. */
export function take(): string {
  const bytes = contentsOf(0);
  fs!.ftruncateSync(0);
  return new TextDecoder().decode(bytes);
}

function contentsOf(file: number): Uint8Array<ArrayBuffer> {
  const { fstatSync, readSync } = fs!;
  const bytes = new Uint8Array(fstatSync(file).size);
  for (let at = 0; at < bytes.length;) {
    const count = readSync(file, bytes, at, bytes.length - at, at);
    if (count === 0) break;
    at += count;
  }
  return bytes;
}

/** A worker's part of the file. */
export class Claims {
  readonly #from: number;
  readonly #bytes = new Uint8Array(BYTES * BLOCK);
  readonly #numbers = new Float64Array(this.#bytes.buffer);
  #count = 0;
  /** When the last block began. */
  #since = 0;
  #lastLength = 0;

  /** @param region A number that no other worker has at the same time. */
  constructor(region: number) {
    this.#from = region * KEPT * BYTES;
  }

  /** Whether the file is still open in this thread. To write nothing takes a fifth of a microsecond. */
  readonly mayNote = (task: Noted): boolean => {
    if (task.noted) return true;
    try {
      write!(0, this.#bytes, 0, 0, this.#from);
      return true;
    } catch {
      return false;
    }
  };

  /** The worker begins the task. */
  readonly note = (task: Noted, at: number): void => {
    if (task.noted) return;
    const quick = at - this.#since < QUICK_MS / BLOCK * this.#lastLength;
    const place = this.#count % KEPT;
    const most = quick ? BLOCK : 1;
    let length = 0;
    for (let next: Noted | undefined = task; next !== undefined && length < most; next = next.next) {
      next.noted = true;
      this.#numbers[NUMBERS * length] = next.task;
      this.#numbers[NUMBERS * length + 1] = next.attempt;
      this.#numbers[NUMBERS * length + 2] = at;
      // The next block begins with the region.
      if (place + ++length === KEPT) break;
    }
    write!(0, this.#bytes, 0, length * BYTES, this.#from + place * BYTES);
    this.#count += length;
    this.#since = at;
    this.#lastLength = length;
  };
}

/** All that is in the file. */
export function readClaims(file: number): Claimed {
  const { buffer } = contentsOf(file);
  const numbers = new Float64Array(buffer, 0, Math.trunc(buffer.byteLength / BYTES) * NUMBERS);
  const claimed = new Map<number, Begun>();
  for (let i = 0; i < numbers.length; i += NUMBERS) {
    const [task, attempt, at] = [numbers[i]!, numbers[i + 1]!, numbers[i + 2]!];
    if (attempt > (claimed.get(task)?.attempt ?? 0)) claimed.set(task, { attempt, at });
  }
  return claimed;
}
