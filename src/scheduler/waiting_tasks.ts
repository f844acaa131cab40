import { type Batch, isUrgent, rank, TaskQueue } from "./queue.ts";
import type { Task } from "./scheduling.ts";
import { TaskHeap } from "./task_heap.ts";

/** How many tasks one look for the next may set aside: it must not keep the dispatcher from its deadlines. */
const MAX_SET_ASIDE = 1_000;

/** Tasks of a module that not every worker may run now: they let others go first, and keep their rank. */
class Lane<T extends Task> {
  readonly #heap = new TaskHeap<T>();
  size = 0;

  push(task: T): void {
    this.#heap.push(task, rank(task));
    this.size++;
  }

  peek(): T | undefined {
    return this.#heap.peek();
  }

  shift(): T | undefined {
    const task = this.#heap.shift();
    if (task !== undefined) this.size--;
    return task;
  }

  /** Counts out a task that has been marked `cancelled`. */
  forget(): void {
    this.size--;
    if (2 * this.size <= this.#heap.length) this.#heap.compact();
  }
}

/**
 * The tasks that wait for a worker: in one queue, from which those are set aside that the worker which asks may not
 * run, by module. So a module that has to wait keeps no other waiting, and costs nothing while there is none.
 */
export class WaitingTasks<T extends Task> {
  #queue = new TaskQueue<T>();
  #lanes = new Map<number, Lane<T>>();
  #aside = 0;
  /** The last look set aside, or had settled, as many as it may: there may be more behind them that could be run. */
  unseen = false;

  /** How many tasks wait. */
  get size(): number {
    return this.#queue.size + this.#aside;
  }

  /** How many of them nobody has set aside. */
  get queued(): number {
    return this.#queue.size;
  }

  /** How many tasks are set aside, by module. */
  *aside(): Iterable<{ module: number; size: number }> {
    for (const [module, { size }] of this.#lanes) yield { module, size };
  }

  /** Whether there is one that is not to wait for a place. */
  get urgent(): boolean {
    const first = this.#queue.peek();
    if (first !== undefined && isUrgent(first)) return true;
    for (const lane of this.#lanes.values()) if (isUrgent(lane.peek()!)) return true;
    return false;
  }

  /** Takes all out, as they wait. */
  cut(): WaitingTasks<T> {
    const all = new WaitingTasks<T>();
    [all.#queue, this.#queue] = [this.#queue, all.#queue];
    [all.#lanes, this.#lanes] = [this.#lanes, all.#lanes];
    [all.#aside, this.#aside] = [this.#aside, all.#aside];
    return all;
  }

  push(task: T): void {
    this.#queue.push(task);
  }

  pushBatch(batch: Batch<T>): void {
    this.#queue.pushBatch(batch);
  }

  /** Puts a task back that had its turn: it comes in the order of its push. */
  pushBack(task: T): void {
    task.state = "queued";
    this.#queue.pushBack(task);
  }

  /** Counts out a waiting task that has been marked `cancelled`. What it holds is let go of soon. */
  forget(task: T): void {
    if (task.state !== "aside") return this.#queue.forget();
    this.#aside--;
    const lane = this.#lanes.get(task.module)!;
    lane.forget();
    if (lane.size === 0) this.#lanes.delete(task.module);
  }

  /** The next of the tasks for which `may` holds; those before it are set aside. */
  peek(may: (task: T) => boolean): T | undefined {
    const best = this.#aside === 0 ? undefined : this.#peekLanes(may);
    for (let moved = 0;; moved++) {
      const task = this.#queue.peek();
      if (task === undefined || (best !== undefined && isBefore(best, task))) return best;
      if (may(task)) return task;
      if (moved === MAX_SET_ASIDE) {
        this.unseen = true;
        return best;
      }
      this.#queue.shift();
      this.#setAside(task);
    }
  }

  /** Takes the task that `peek` gave. */
  take(task: T): void {
    if (task.state === "aside") this.#shiftLane(task.module);
    else this.#queue.shift();
  }

  /** The next task of all. */
  first(): T | undefined {
    return this.peek(ANY);
  }

  /** Takes the next task of all. */
  shift(): T | undefined {
    const task = this.first();
    if (task !== undefined) this.take(task);
    return task;
  }

  /** Takes the next task of those of the module that are set aside. */
  shiftAside(module: number): T | undefined {
    return this.#lanes.has(module) ? this.#shiftLane(module) : undefined;
  }

  #peekLanes(may: (task: T) => boolean): T | undefined {
    let best: T | undefined;
    for (const lane of this.#lanes.values()) {
      const task = lane.peek()!;
      if ((best === undefined || isBefore(task, best)) && may(task)) best = task;
    }
    return best;
  }

  #setAside(task: T): void {
    let lane = this.#lanes.get(task.module);
    if (lane === undefined) this.#lanes.set(task.module, lane = new Lane());
    task.state = "aside";
    this.#aside++;
    lane.push(task);
  }

  #shiftLane(module: number): T | undefined {
    const lane = this.#lanes.get(module)!;
    const task = lane.shift();
    this.#aside--;
    if (lane.size === 0) this.#lanes.delete(module);
    return task;
  }
}

const ANY = () => true;

function isBefore(a: Task, b: Task): boolean {
  const [rankA, rankB] = [rank(a), rank(b)];
  // Not by difference: that of two infinite ranks is no number.
  return rankA === rankB ? a.id < b.id : rankA < rankB;
}
