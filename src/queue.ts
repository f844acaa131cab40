import { BinaryHeap } from "@std/data-structures";

/** A task that waits, as the queue needs to know it. */
export interface Queued {
  readonly id: number;
  readonly priority: number;
  /** When it was pushed, in milliseconds. */
  readonly pushedAt: number;
  /** True for a task that was cancelled while it waited: it is dropped when its turn comes. */
  readonly cancelled: boolean;
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

/**
 * Waiting tasks: higher priority first, first in first out among equals, one level gained per second waited.
 *
 * Since all waiting tasks age at the same rate their order never changes, so a priority and the moment of the
 * push make one key. Tasks of priority 0 arrive in the order of their keys and stay in plain lists; only
 * others need a heap.
 */
export class TaskQueue<T extends Queued> {
  /** Taken back from workers: they come before all others of their kind. */
  #returned: T[] = [];
  #batches: (Batch<T> | T)[] = [];
  #head = 0;
  #urgent = new BinaryHeap<Keyed<T>>(byKey);
  #pushed = 0;
  #size = 0;
  /** The next task of priority 0, made already so that its key can be seen. */
  #next: T | undefined;

  /** How many tasks wait. */
  get size(): number {
    return this.#size;
  }

  push(task: T): void {
    this.#size++;
    if (task.priority === 0) this.#batches.push(task);
    else this.#urgent.push({ task, key: key(task), order: this.#pushed++ });
  }

  pushBatch(batch: Batch<T>): void {
    this.#size += batch.left;
    this.#batches.push(batch);
  }

  /** Puts tasks back at the front, in their order. */
  unshift(tasks: readonly T[]): void {
    this.#size += tasks.length;
    for (let i = tasks.length - 1; i >= 0; i--) this.#returned.push(tasks[i]!);
  }

  /** Counts a waiting task out that has become `cancelled`. */
  forget(): void {
    this.#size--;
  }

  /** The task that `shift` would take. */
  peek(): T | undefined {
    const returned = this.#peekReturned();
    if (returned !== undefined && this.#urgent.length === 0) return returned;
    const first = returned ?? this.#peekPlain();
    const urgent = this.#peekUrgent();
    if (first === undefined || urgent === undefined) return first ?? urgent;
    return key(urgent) > key(first) ? urgent : first;
  }

  /** Takes the next task. */
  shift(): T | undefined {
    const task = this.peek();
    if (task === undefined) return undefined;
    this.#size--;
    if (this.#next === task) this.#next = undefined;
    else if (this.#returned.at(-1) === task) this.#returned.pop();
    else this.#urgent.pop();
    return task;
  }

  #peekReturned(): T | undefined {
    const returned = this.#returned;
    while (returned.length > 0) {
      const last = returned[returned.length - 1]!;
      if (!last.cancelled) return last;
      returned.pop();
    }
    return undefined;
  }

  #peekUrgent(): T | undefined {
    const urgent = this.#urgent;
    while (urgent.peek()?.task.cancelled) urgent.pop();
    return urgent.peek()?.task;
  }

  #peekPlain(): T | undefined {
    for (;;) {
      if (this.#next !== undefined) {
        if (!this.#next.cancelled) return this.#next;
        this.#next = undefined;
      }
      const batch = this.#batches[this.#head];
      if (batch === undefined) return undefined;
      if (!("shift" in batch)) {
        this.#next = batch;
        this.#advance();
      } else if (batch.left > 0) {
        this.#next = batch.shift();
      } else {
        this.#advance();
      }
    }
  }

  #advance(): void {
    this.#batches[this.#head++] = undefined!;
    // Moving the rest only when it is the smaller half keeps this O(1) a task.
    if (2 * this.#head < this.#batches.length) return;
    this.#batches.splice(0, this.#head);
    this.#head = 0;
  }
}

function key(task: Queued): number {
  return task.priority - task.pushedAt * AGING;
}

/** A task with its place in the order. */
interface Keyed<T> {
  task: T;
  key: number;
  order: number;
}

/** The largest key first, first in first out among equals. */
function byKey(a: Keyed<unknown>, b: Keyed<unknown>): number {
  return b.key - a.key || a.order - b.order;
}
