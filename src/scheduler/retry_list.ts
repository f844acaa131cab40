import type { RetryData } from "../wire/protocol.ts";
import type { Task } from "./scheduling.ts";
import { TaskHeap } from "./task_heap.ts";

/** Tasks that wait for their next attempt. */
export class RetryList<T extends Task> {
  /** By when they are due. */
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
    this.#heap.push(task, now + backOff(task, retry));
    this.#size++;
  }

  /** Counts a waiting task out that has become `cancelled`. What it holds is let go of soon. */
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

/** The back-off of `retry` of `@std/async`: exponential, less a share that differs from task to task. */
function backOff(task: Task, { minTimeout, maxTimeout, multiplier, jitter }: RetryData): number {
  const ms = Math.min(maxTimeout, minTimeout * multiplier ** (task.attempts - 1));
  // By the task's id, not at random: the same history gives the same commands.
  return ms * (1 - jitter * spread(task.id + task.attempts * 0.618));
}

/** A number from 0 to 1 that looks random and is the same for the same input. */
function spread(n: number): number {
  const x = Math.sin(n * 12.9898) * 43758.5453;
  return x - Math.floor(x);
}
