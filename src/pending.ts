import type { InfoTask } from "./info_task.ts";
import type { CheckedPushOptions } from "./options.ts";
import type { Outcome } from "./outcome.ts";
import { HAS_CALLBACK } from "./protocol.ts";

/** Fulfils the promise that `push` or `run` gave. */
export type Resolve = (result: never) => void;

/** What a push has given beyond its task. */
export interface Extras {
  readonly options: CheckedPushOptions;
  /** Removes the listener from the push's signal. */
  release: (() => void) | undefined;
}

/** A pushed task that has no outcome yet, and what is owed to who pushed it. */
export class Pending {
  readonly task: InfoTask;
  readonly extras: Extras | undefined;
  readonly #resolve: Resolve;
  /** Pushed by `run`, which gives the value and not the outcome. */
  readonly #value: boolean;

  constructor(task: InfoTask, extras: Extras | undefined, resolve: Resolve, value: boolean) {
    this.task = task;
    this.extras = extras;
    this.#resolve = resolve;
    this.#value = value;
  }

  /** Whether nobody looks at more of the outcome than its value: then there need not be one. */
  wantsOnlyValue(callbacks: number): boolean {
    return this.#value && this.extras === undefined && (callbacks & HAS_CALLBACK) === 0;
  }

  /** Settles the promise of a task that returned and of which nobody wants more. */
  fulfil(value: unknown): void {
    this.#resolve(value as never);
  }

  /** Settles the promise. */
  settle(outcome: Outcome): void {
    if (!this.#value) this.#resolve(outcome as never);
    else if (outcome.status === "ok") this.#resolve(outcome.value as never);
    // The function that rejects would be kept for each waiting task, and hardly ever called.
    else this.#resolve(Promise.reject(outcome.error) as never);
  }
}

const PAGE_BITS = 10;
const PAGE = 1 << PAGE_BITS;

/** Columns, by the last bits of the id. */
class Page {
  left = 0;
  readonly tasks: (InfoTask | undefined)[] = new Array(PAGE);
  readonly resolves: (Resolve | undefined)[] = new Array(PAGE);
  readonly values = new Uint8Array(PAGE);
  /** Made with the first that has any. */
  extras: (Extras | undefined)[] | undefined;
}

/**
 * Pending tasks by id. Ids only grow, so pages of arrays serve: no hashing, no rehashing pauses with a million entries,
 * and a page is given back when its last task is settled. What waits is held in columns, not as an object each: with
 * many tasks waiting, most of the pushing thread's time goes into copying what survives.
 */
export class PendingTable {
  readonly #pages = new Map<number, Page>();
  #size = 0;
  /** The page that was used last, by `set`: ids come in their order. */
  #lastIndex = -1;
  #last: Page | undefined;

  /** How many tasks have no outcome yet. */
  get size(): number {
    return this.#size;
  }

  /** @param value True for `run`, which gives the value and not the outcome. */
  set(id: number, task: InfoTask, extras: Extras | undefined, resolve: Resolve, value: boolean): void {
    const page = this.#pageFor(id >> PAGE_BITS);
    const slot = id & PAGE - 1;
    page.tasks[slot] = task;
    page.resolves[slot] = resolve;
    page.values[slot] = value ? 1 : 0;
    if (extras !== undefined) (page.extras ??= new Array(PAGE))[slot] = extras;
    page.left++;
    this.#size++;
  }

  get(id: number): Pending | undefined {
    const page = this.#pages.get(id >> PAGE_BITS);
    const slot = id & PAGE - 1;
    const task = page?.tasks[slot];
    if (page === undefined || task === undefined) return undefined;
    return new Pending(task, page.extras?.[slot], page.resolves[slot]!, page.values[slot] === 1);
  }

  /** Removes and returns it: whoever gets it owes the outcome. */
  take(id: number): Pending | undefined {
    const pending = this.get(id);
    if (pending === undefined) return undefined;
    const index = id >> PAGE_BITS;
    const page = this.#pages.get(index)!;
    const slot = id & PAGE - 1;
    page.tasks[slot] = undefined;
    page.resolves[slot] = undefined;
    if (page.extras !== undefined) page.extras[slot] = undefined;
    this.#size--;
    if (--page.left === 0) this.#drop(index);
    return pending;
  }

  /** The ids of all, oldest first. */
  ids(): number[] {
    const ids: number[] = [];
    for (const [index, { tasks }] of this.#pages) {
      for (let i = 0; i < PAGE; i++) if (tasks[i] !== undefined) ids.push(index << PAGE_BITS | i);
    }
    return ids;
  }

  #pageFor(index: number): Page {
    if (index === this.#lastIndex) return this.#last!;
    let page = this.#pages.get(index);
    if (page === undefined) this.#pages.set(index, page = new Page());
    this.#lastIndex = index;
    return this.#last = page;
  }

  #drop(index: number): void {
    this.#pages.delete(index);
    if (index !== this.#lastIndex) return;
    this.#lastIndex = -1;
    this.#last = undefined;
  }
}
