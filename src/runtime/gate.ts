/**
 * Keeps an interrupt out of calls in which it would get lost.
 *
 * An interrupt gets lost where it comes while a call into the runtime throws, or while native code runs JavaScript, and
 * Deno makes no second one (seen up to 2.9.6). So a thread is *inside* while it is in such a call, in a word that it
 * shares with whoever started it. Either it goes inside first, and is not interrupted there: it ends itself when it comes
 * out. Or it is interrupted first, and waits for that before it goes in.
 *
 * @module
 */

import { now } from "../wire/now.ts";

/** The word of the memory that `life.ts` describes. */
const GATE = 1;
const OUTSIDE = 0;
const INSIDE = 1;
const DOOMED = 2;

/** An interrupt that does not come within this was lost, in milliseconds. */
const LOST_MS = 50;

// Taken when this is loaded: a task may patch them.
const { compareExchange, exchange, load, notify, waitAsync } = Atomics;

/** The thread's side. */
export class Gate {
  readonly #words: Int32Array;
  readonly #end: () => void;
  readonly #isStopped: () => boolean;
  #depth = 0;

  /**
   * @param end Ends the thread.
   * @param isStopped Whether it is to end without being interrupted.
   */
  constructor(words: Int32Array, end: () => void, isStopped: () => boolean) {
    this.#words = words;
    this.#end = end;
    this.#isStopped = isStopped;
  }

  /** A call begins. */
  enter(): void {
    if (this.#depth++ > 0 || compareExchange(this.#words, GATE, OUTSIDE, INSIDE) !== DOOMED) return;
    // The interrupt is on its way, or got lost in another call.
    for (const since = now(); now() < since + LOST_MS;);
    this.#end();
  }

  /** It has ended. Here the thread ends if it is to. */
  leave(): void {
    this.#depth--;
    // Still inside: nor may an interrupt come while it ends itself.
    if (this.#isStopped() || load(this.#words, GATE) === DOOMED) return this.#end();
    if (this.#depth === 0 && compareExchange(this.#words, GATE, INSIDE, OUTSIDE) !== INSIDE) this.#end();
  }
}

/** The thread is about to be interrupted: resolves when it is outside, or after so many milliseconds. */
export async function outside(words: Int32Array, ms: number): Promise<void> {
  if (exchange(words, GATE, DOOMED) === INSIDE) await waitAsync(words, GATE, DOOMED, ms).value;
}

/** It has ended: nobody need wait for it to come outside. What was interrupted may still run, and is not to go in. */
export function opened(words: Int32Array): void {
  compareExchange(words, GATE, INSIDE, OUTSIDE);
  notify(words, GATE);
}
