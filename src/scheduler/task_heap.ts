import { BinaryHeap } from "@std/data-structures";

/** A task as the heap needs to know it. */
interface Item {
  readonly id: number;
  /** One that was cancelled while it waited is dropped. */
  readonly cancelled: "no" | "if-waiting" | "yes";
}

interface Ranked<T> {
  task: T;
  rank: number;
}

/** Waiting tasks: the lowest rank first, and among equals the one that was pushed first. */
export class TaskHeap<T extends Item> {
  #heap = new BinaryHeap<Ranked<T>>(byRank);

  /** How many tasks it holds, cancelled ones included. */
  get length(): number {
    return this.#heap.length;
  }

  push(task: T, rank: number): void {
    this.#heap.push({ task, rank });
  }

  /** The task that `shift` would take. */
  peek(): T | undefined {
    return this.#first()?.task;
  }

  /** The rank of that task; `Infinity` if there is none. */
  get rank(): number {
    return this.#first()?.rank ?? Infinity;
  }

  /** Takes the first task. */
  shift(): T | undefined {
    const task = this.peek();
    if (task !== undefined) this.#heap.pop();
    return task;
  }

  /** Lets go of all that were cancelled. */
  compact(): void {
    const left = this.#heap.toArray().filter(({ task }) => task.cancelled === "no");
    this.#heap = new BinaryHeap<Ranked<T>>(byRank);
    for (const each of left) this.#heap.push(each);
  }

  #first(): Ranked<T> | undefined {
    for (;;) {
      const first = this.#heap.peek();
      if (first === undefined || first.task.cancelled === "no") return first;
      this.#heap.pop();
    }
  }
}

function byRank(a: Ranked<Item>, b: Ranked<Item>): number {
  // Not by difference: that of two infinite ranks is not a number.
  if (a.rank !== b.rank) return a.rank < b.rank ? -1 : 1;
  return a.task.id - b.task.id;
}
