/**
 * The clock of a worker, as far as what it tells shows.
 *
 * A thread or process reads the machine's clock when it starts, and counts on from there: those of two agree, unless the
 * clock was set between their starts. Whether that is so shows: what is told came before it was heard, and after what
 * had to come before it. Where they disagree, the quickest message so far tells how far they are apart and how long it
 * took, and no reading is earlier than the truth, so that no task loses time it was given.
 */
export class RemoteClock {
  /** By how much the worker's clock is behind ours, at most and at least. */
  #most = Infinity;
  #least = -Infinity;

  /**
   * Takes note of what a worker did from `began` to `ended`, by its own clock.
   *
   * @param earliest A moment by the clock here that came before.
   * @param now A moment by the clock here that came after.
   */
  note(earliest: number, began: number, ended: number, now: number): void {
    this.#least = Math.max(this.#least, earliest - began);
    this.#most = Math.min(this.#most, now - ended);
  }

  /** What has to be added to a moment of the worker to have it by the clock here. */
  get shift(): number {
    return this.#least <= 0 && this.#most >= 0 ? 0 : this.#most;
  }
}
