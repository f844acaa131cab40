/** So many are left alone before one is used again: what is in them may not have left the cell. */
const LEFT_ALONE = 32;

/** Which part of the claims of a cell (`runtime/claims.ts`) each worker writes. */
export class Regions {
  readonly #taken = new Map<number, number>();
  readonly #free: number[] = [];
  #count = 0;

  /** The part of a new worker: that which has been free for longest. */
  take(worker: number): number {
    const region = this.#free.length > LEFT_ALONE ? this.#free.shift()! : this.#count++;
    this.#taken.set(worker, region);
    return region;
  }

  /** The worker has ended. */
  give(worker: number): void {
    const region = this.#taken.get(worker);
    if (region === undefined) return;
    this.#taken.delete(worker);
    this.#free.push(region);
  }
}
