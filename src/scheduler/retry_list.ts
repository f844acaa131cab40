import type { RetryData } from "../wire/protocol.ts";
import { retryAfter } from "./back_off.ts";
import type { Task } from "./scheduling.ts";
import { TaskHeap } from "./task_heap.ts";

/** Tasks that wait for their next attempt. */
export class RetryList<T extends Task> {
  /** Ordered by when they are due. */
  readonly #heap = new TaskHeap<T>();
  #size = 0;

  /** How many tasks wait. */
  get size(): number {
    return this.#size;
  }

  /** When the first of them is due; `Infinity` if there is none. */
  get dueAt(): number {
    return this.#heap.rank;
  }

  add(task: T, retry: RetryData, now: number): void {
    this.#heap.push(task, now + retryAfter(task, retry));
    this.#size++;
  }

  /** Counts out a waiting task that has become `cancelled`. What it holds is let go of soon. */
  forget(): void {
    this.#size--;
    if (2 * this.#size <= this.#heap.length) this.#heap.compact();
  }

  /** Takes a task whose time has come. */
  shift(now: number): T | undefined {
    if (this.dueAt > now) return undefined;
    const task = this.#heap.shift();
    if (task !== undefined) this.#size--;
    return task;
  }

  /** Takes all, whenever they are due. */
  drain(): T[] {
    const tasks: T[] = [];
    for (let task = this.shift(Infinity); task !== undefined; task = this.shift(Infinity)) tasks.push(task);
    return tasks;
  }
}
