/**
 * Which of the places of the pool each busy worker has: 1 to its size, no two the same.
 *
 * A worker that was stopped, or has time to let go of its task, keeps its own as long as it is there and there is another
 * for who takes over. Then the one that was stopped first hands its slot on: a task is not to wait for it.
 */
export class Slots {
  readonly #slots = new Map<number, number>();
  readonly #holders = new Map<number, number>();
  /** Workers that run nothing that counts, and hold a slot; the first has done so the longest. */
  readonly #lingering = new Set<number>();

  /**
   * A worker begins to be busy.
   *
   * @param last The slot that it had before, which it gets again if that is free.
   */
  take(worker: number, last: number, size: number): number {
    let slot = last >= 1 && last <= size && !this.#holders.has(last) ? last : 0;
    for (let i = 1; slot === 0 && i <= size; i++) if (!this.#holders.has(i)) slot = i;
    if (slot === 0) slot = this.#handedOn(size);
    this.#slots.set(worker, slot);
    this.#holders.set(slot, worker);
    return slot;
  }

  /** A worker is to end, or to let go of its task. */
  linger(worker: number): void {
    if (this.#slots.has(worker)) this.#lingering.add(worker);
  }

  /** A worker has nothing more to do, or has ended. */
  release(worker: number): void {
    const slot = this.#slots.get(worker);
    if (slot === undefined) return;
    this.#slots.delete(worker);
    this.#holders.delete(slot);
    this.#lingering.delete(worker);
  }

  #handedOn(size: number): number {
    for (const worker of this.#lingering) {
      const slot = this.#slots.get(worker)!;
      if (slot > size) continue;
      this.release(worker);
      return slot;
    }
    // What finds out about a module waits for no place, and has none.
    let slot = size + 1;
    while (this.#holders.has(slot)) slot++;
    return slot;
  }
}
