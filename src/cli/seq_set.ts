/**
 * A set of whole numbers from 1 on that come nearly in order: what is there without a gap is one number, however much
 * it is, so that a log of millions of inputs is remembered in little.
 */
export class SeqSet implements Iterable<number> {
  /** All from 1 to this are in. */
  #upTo = 0;
  readonly #beyond = new Set<number>();

  add(seq: number): void {
    if (seq > this.#upTo) this.#beyond.add(seq);
    while (this.#beyond.delete(this.#upTo + 1)) this.#upTo++;
  }

  has(seq: number): boolean {
    return seq <= this.#upTo || this.#beyond.has(seq);
  }

  delete(seq: number): void {
    if (seq <= this.#upTo) {
      for (let each = seq + 1; each <= this.#upTo; each++) this.#beyond.add(each);
      this.#upTo = seq - 1;
    }
    this.#beyond.delete(seq);
  }

  *[Symbol.iterator](): IterableIterator<number> {
    for (let seq = 1; seq <= this.#upTo; seq++) yield seq;
    yield* this.#beyond;
  }
}
