/**
 * The clock of a worker, as far as its messages tell. Clocks of two processes differ by what the time of day was set
 * in between, and by how long a message takes: the quickest message so far tells both, and no reading is ever earlier
 * than the truth, so that no task loses time it was given.
 */
export class RemoteClock {
  #behind = Infinity;

  /**
   * The moment `at` of the worker, by the clock here.
   *
   * @param now When the message arrived that tells of it.
   */
  read(at: number, now: number): number {
    this.#behind = Math.min(this.#behind, now - at);
    return at + this.#behind;
  }
}
