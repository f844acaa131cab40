import type { InfoTask } from "./info_task.ts";
import type { CheckedPushOptions } from "./options.ts";
import type { Outcome } from "./outcome.ts";
import { HAS_CALLBACK } from "./protocol.ts";

/** A pushed task that has no outcome yet, and who is owed it. */
export class Pending {
  readonly task: InfoTask;
  readonly options: CheckedPushOptions | undefined;
  /** Fulfils the promise that `push` or `run` gave. */
  resolve: ((result: never) => void) | undefined;
  /** Rejects the promise that `run` gave; undefined for `push`, whose promise never rejects. */
  reject: ((error: Error) => void) | undefined;
  /** Removes the listener from the push's signal. */
  release: (() => void) | undefined;

  constructor(task: InfoTask, options: CheckedPushOptions | undefined) {
    this.task = task;
    this.options = options;
  }

  /** Whether nobody looks at more of the outcome than its value: then there need not be one. */
  wantsOnlyValue(callbacks: number): boolean {
    return this.reject !== undefined && this.options === undefined && (callbacks & HAS_CALLBACK) === 0;
  }

  /** Settles the promise. */
  settle(outcome: Outcome): void {
    if (this.reject === undefined) this.resolve!(outcome as never);
    else if (outcome.status === "ok") this.resolve!(outcome.value as never);
    else this.reject(outcome.error);
  }
}

const PAGE_BITS = 10;
const PAGE = 1 << PAGE_BITS;

/**
 * Pending tasks by id. Ids only grow, so pages of an array serve: no hashing, no rehashing pauses with a million
 * entries, and a page is given back when its last task is settled.
 */
export class PendingTable {
  #pages = new Map<number, { left: number; items: (Pending | undefined)[] }>();
  #size = 0;

  /** How many tasks have no outcome yet. */
  get size(): number {
    return this.#size;
  }

  set(id: number, pending: Pending): void {
    const index = id >> PAGE_BITS;
    let page = this.#pages.get(index);
    if (page === undefined) this.#pages.set(index, page = { left: 0, items: new Array(PAGE) });
    page.items[id & PAGE - 1] = pending;
    page.left++;
    this.#size++;
  }

  get(id: number): Pending | undefined {
    return this.#pages.get(id >> PAGE_BITS)?.items[id & PAGE - 1];
  }

  /** Removes and returns it: whoever gets it owes the outcome. */
  take(id: number): Pending | undefined {
    const index = id >> PAGE_BITS;
    const page = this.#pages.get(index);
    const pending = page?.items[id & PAGE - 1];
    if (page === undefined || pending === undefined) return undefined;
    page.items[id & PAGE - 1] = undefined;
    this.#size--;
    if (--page.left === 0) this.#pages.delete(index);
    return pending;
  }

  /** The ids of all, oldest first. */
  ids(): number[] {
    const ids: number[] = [];
    for (const [index, { items }] of this.#pages) {
      for (let i = 0; i < PAGE; i++) if (items[i] !== undefined) ids.push(index << PAGE_BITS | i);
    }
    return ids;
  }
}
