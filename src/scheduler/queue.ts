import { TaskHeap } from "./task_heap.ts";

/**
 * Whether nobody wants a task any more. `if-waiting`: it is still wanted if its worker had begun it, which shows when it
 * is taken back; it is not tried again.
 */
export type Cancelled = "no" | "if-waiting" | "yes";

/** A task that waits, as the queue needs to know it. */
export interface Queued {
  readonly id: number;
  readonly priority: number;
  /** When it was pushed, in milliseconds. */
  readonly pushedAt: number;
  /** One that was cancelled while it waited is dropped when its turn comes, if not before. */
  readonly cancelled: Cancelled;
  /** It has ended a worker: it waits a level longer, so that it keeps none from running that may be better. */
  readonly crashed: boolean;
}

/** Tasks that arrived together and are made one by one, so that a million waiting tasks are a few buffers. */
export interface Batch<T extends Queued> {
  /** How many tasks are left. */
  readonly left: number;
  /** Takes the first of them. */
  shift(): T;
}

/** How much a waiting task gains in a millisecond: one level of priority in a second. */
const AGING = 1 / 1_000;

/** The lower, the earlier its turn comes. Since all waiting tasks age at the same rate, it never changes. */
export function rank({ priority, pushedAt, crashed }: Queued): number {
  return pushedAt * AGING - priority + (crashed ? 1 : 0);
}

/** Whether the task waits for nothing, not even for a place: an outcome waits for what it finds out. */
export function isUrgent({ priority }: Queued): boolean {
  return priority === Infinity;
}

/**
 * Waiting tasks: higher priority first, first in first out among equals, one level gained per second waited.
 *
 * Tasks of priority 0 arrive in the order of their ranks and stay in a plain list; the heap is for others, and for
 * those that come a second time.
 */
export class TaskQueue<T extends Queued> {
  #list: (Batch<T> | T)[] = [];
  #head = 0;
  readonly #heap = new TaskHeap<T>();
  #size = 0;
  /** How many were cancelled since cancelled ones were last let go of. */
  #cancelled = 0;
  /** The next task of the list, already made so that its rank can be seen. */
  #next: T | undefined;

  /** How many tasks wait. */
  get size(): number {
    return this.#size;
  }

  push(task: T): void {
    this.#size++;
    if (task.priority === 0) this.#list.push(task);
    else this.#heap.push(task, rank(task));
  }

  pushBatch(batch: Batch<T>): void {
    this.#size += batch.left;
    this.#list.push(batch);
  }

  /** Puts back a task that had its turn: it comes in the order of its push. */
  pushBack(task: T): void {
    this.#size++;
    this.#heap.push(task, rank(task));
  }

  /** Counts out a waiting task that has become `cancelled`. What it holds is let go of soon. */
  forget(): void {
    this.#size--;
    if (2 * ++this.#cancelled >= this.#list.length - this.#head + this.#heap.length) this.#compact();
  }

  /** The task that `shift` would take. */
  peek(): T | undefined {
    const listed = this.#peekList();
    const heaped = this.#heap.peek();
    if (listed === undefined || heaped === undefined) return listed ?? heaped;
    const before = rank(heaped) - rank(listed) || heaped.id - listed.id;
    return before < 0 ? heaped : listed;
  }

  /** Takes the next task. */
  shift(): T | undefined {
    const task = this.peek();
    if (task === undefined) return undefined;
    this.#size--;
    if (this.#next === task) this.#next = undefined;
    else this.#heap.shift();
    return task;
  }

  #peekList(): T | undefined {
    for (;;) {
      if (this.#next !== undefined) {
        if (this.#next.cancelled === "no") return this.#next;
        this.#next = undefined;
      }
      const first = this.#list[this.#head];
      if (first === undefined) return undefined;
      if (!("shift" in first)) {
        this.#next = first;
        this.#advance();
      } else if (first.left > 0) {
        this.#next = first.shift();
      } else {
        this.#advance();
      }
    }
  }

  #advance(): void {
    this.#list[this.#head++] = undefined!;
    // Moving the rest only when it is the smaller half keeps this O(1) a task.
    if (2 * this.#head < this.#list.length) return;
    this.#list.splice(0, this.#head);
    this.#head = 0;
  }

  #compact(): void {
    this.#list = this.#list.slice(this.#head).filter((each) => "shift" in each || each.cancelled === "no");
    this.#head = 0;
    this.#heap.compact();
    this.#cancelled = 0;
    if (this.#next !== undefined && this.#next.cancelled !== "no") this.#next = undefined;
  }
}
