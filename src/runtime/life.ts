/**
 * How far a thread is, in a word that it shares with whoever started it. The next word is that of `gate.ts`.
 *
 * Before any of these, with 0 there, ending a thread interrupts nothing: it ends when its code next waits for something.
 *
 * @module
 */

const WORDS = 2;

/** The memory of both words. */
export function createLife(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
}

/** Both words; of its own where nobody shares them: many pages have no shared memory. */
export function openLife(life: SharedArrayBuffer | undefined): Int32Array {
  return life === undefined ? new Int32Array(WORDS) : new Int32Array(life);
}

/** It can be interrupted, but has not loaded all that no interrupt should find it loading: see `builtins.ts`. */
export const UNSETTLED = 1;
/** It may be interrupted at any time. */
const SETTLED = 2;

// Taken when this is loaded: a task may patch them.
const { store, notify } = Atomics;

/** It may be, or has ended: who waits for that is told. */
export function settled(life: Int32Array): void {
  store(life, 0, SETTLED);
  notify(life, 0);
}
