import type { Task } from "./scheduling.ts";
import type { WaitingTasks } from "./waiting_tasks.ts";

/** How many are settled at once: it must not keep the dispatcher from its deadlines. */
const SLICE = 1_000;

/** Tasks that waited when all that waited was cancelled: settled in slices, as there may be a million of them. */
export class DoomedTasks<T extends Task> {
  readonly #all: WaitingTasks<T>[] = [];
  /** The last id that was cancelled this way: none that waits otherwise has one up to it. */
  #upTo = -Infinity;

  /** How many there are. */
  get size(): number {
    return this.#all.reduce((sum, { size }) => sum + size, 0);
  }

  /** @param upTo The id of the last that was pushed before. */
  add(tasks: WaitingTasks<T>, upTo: number): void {
    this.#all.push(tasks);
    this.#upTo = Math.max(this.#upTo, upTo);
  }

  /** Whether a task that waits is one of them. */
  has({ id }: T): boolean {
    return id <= this.#upTo;
  }

  /** Takes the next slice out. */
  take(): T[] {
    const slice: T[] = [];
    for (const tasks of this.#all) {
      while (slice.length < SLICE) {
        const task = tasks.shift();
        if (task === undefined) break;
        slice.push(task);
      }
    }
    return slice;
  }

  /** How many of those that were added have come to their end since this was asked last. */
  over(): number {
    let count = 0;
    while (this.#all[0]?.size === 0) {
      this.#all.shift();
      count++;
    }
    return count;
  }

  /** They are settled elsewhere. */
  clear(): void {
    this.#all.length = 0;
  }
}
