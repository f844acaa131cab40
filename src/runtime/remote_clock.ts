/**
 * The clock of a worker in another process, as far as its messages tell.
 *
 * Both clocks are the machine's, so they agree, unless it was set between the starts of the two processes. Whether that
 * is so shows: what a message tells of came before the message, and after what had to come before it. Where they
 * disagree, the quickest message so far tells how far they are apart and how long it took, and no reading is earlier
 * than the truth, so that no task loses time it was given.
 */
export class RemoteClock {
  /** By how much the worker's clock is behind ours, at most and at least. */
  #most = Infinity;
  #least = -Infinity;

  /**
   * The moment `at` of the worker, by the clock here.
   *
   * @param earliest A moment by the clock here that came before.
   * @param now When the message arrived that tells of it.
   */
  read(at: number, earliest: number, now: number): number {
    this.#most = Math.min(this.#most, now - at);
    this.#least = Math.max(this.#least, earliest - at);
    return this.#least <= 0 && this.#most >= 0 ? at : at + this.#most;
  }
}
