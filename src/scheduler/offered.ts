import type { Task } from "./scheduling.ts";

/** The tasks that a worker holds, in the order in which it runs them. */
export class Offered<T extends Task> {
  #tasks: T[];
  #head = 0;

  constructor(tasks: T[]) {
    this.#tasks = tasks;
  }

  get size(): number {
    return this.#tasks.length - this.#head;
  }

  first(): T | undefined {
    return this.#tasks[this.#head];
  }

  last(): T | undefined {
    return this.#tasks[this.#tasks.length - 1];
  }

  push(task: T): void {
    this.#tasks.push(task);
  }

  find(seq: number): T | undefined {
    const first = this.#tasks[this.#head];
    if (first === undefined || first.seq === seq) return first;
    for (let i = this.#head + 1; i < this.#tasks.length; i++) {
      if (this.#tasks[i]!.seq === seq) return this.#tasks[i];
    }
    return undefined;
  }

  take(seq: number): T | undefined {
    const first = this.#tasks[this.#head];
    if (first === undefined) return undefined;
    if (first.seq === seq) {
      this.#head++;
      if (2 * this.#head >= this.#tasks.length) {
        this.#tasks = this.#tasks.slice(this.#head);
        this.#head = 0;
      }
      return first;
    }
    const at = this.#tasks.findIndex((task, i) => i >= this.#head && task.seq === seq);
    return at < 0 ? undefined : this.#tasks.splice(at, 1)[0];
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.#head; i < this.#tasks.length; i++) yield this.#tasks[i]!;
  }

  seqs(): number[] {
    const seqs: number[] = [];
    for (let i = this.#head; i < this.#tasks.length; i++) seqs.push(this.#tasks[i]!.seq);
    return seqs;
  }

  /** The shortest limit of all tasks that may still begin: without the first, if that is running already. */
  shortest(running: boolean): number {
    let ms = Infinity;
    for (let i = this.#head + (running ? 1 : 0); i < this.#tasks.length; i++) {
      const task = this.#tasks[i]!;
      ms = Math.min(ms, task.timeout, task.softTimeout ?? Infinity);
    }
    return ms;
  }

  drain(): T[] {
    const tasks = this.#tasks.slice(this.#head);
    this.#tasks = [];
    this.#head = 0;
    return tasks;
  }
}
