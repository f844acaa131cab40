import type { InfoTask } from "../info_task.ts";
import type { CheckedPushOptions } from "../options.ts";
import type { Outcome } from "../outcome.ts";
import { HAS_CALLBACK } from "../wire/protocol.ts";

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
  readonly #wantsValue: boolean;

  constructor(task: InfoTask, extras: Extras | undefined, resolve: Resolve, wantsValue: boolean) {
    this.task = task;
    this.extras = extras;
    this.#resolve = resolve;
    this.#wantsValue = wantsValue;
  }

  /** Whether nobody looks at more of the outcome than its value: then there need not be one. */
  wantsOnlyValue(callbacks: number): boolean {
    return this.#wantsValue && this.extras === undefined && (callbacks & HAS_CALLBACK) === 0;
  }

  /** Settles the promise of a task that returned and of which nobody wants more. */
  fulfil(value: unknown): void {
    this.#resolve(value as never);
  }

  /** Settles the promise. */
  settle(outcome: Outcome): void {
    if (!this.#wantsValue) this.#resolve(outcome as never);
    else if (outcome.status === "ok") this.#resolve(outcome.value as never);
    // The function that rejects would be kept for each waiting task, and hardly ever called.
    else this.#resolve(Promise.reject(outcome.error) as never);
  }
}

const PAGE = 1024;

/** Not by shifting bits: ids outgrow 32 of them. */
const pageOf = (id: number): number => Math.trunc(id / PAGE);

/** Columns, by the place of the id on its page. */
class Page {
  left = 0;
  readonly tasks: (InfoTask | undefined)[] = new Array(PAGE);
  readonly resolves: (Resolve | undefined)[] = new Array(PAGE);
  readonly wantValues = new Uint8Array(PAGE);
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

  /** @param wantsValue True for `run`, which gives the value and not the outcome. */
  set(id: number, task: InfoTask, extras: Extras | undefined, resolve: Resolve, wantsValue: boolean): void {
    const page = this.#pageFor(pageOf(id));
    const slot = id % PAGE;
    page.tasks[slot] = task;
    page.resolves[slot] = resolve;
    page.wantValues[slot] = wantsValue ? 1 : 0;
    if (extras !== undefined) (page.extras ??= new Array(PAGE))[slot] = extras;
    page.left++;
    this.#size++;
  }

  get(id: number): Pending | undefined {
    const page = this.#pages.get(pageOf(id));
    const slot = id % PAGE;
    const task = page?.tasks[slot];
    if (page === undefined || task === undefined) return undefined;
    return new Pending(task, page.extras?.[slot], page.resolves[slot]!, page.wantValues[slot] === 1);
  }

  /** Removes and returns it: whoever gets it owes the outcome. */
  take(id: number): Pending | undefined {
    const pending = this.get(id);
    if (pending === undefined) return undefined;
    const index = pageOf(id);
    const page = this.#pages.get(index)!;
    const slot = id % PAGE;
    page.tasks[slot] = undefined;
    page.resolves[slot] = undefined;
    if (page.extras !== undefined) page.extras[slot] = undefined;
    this.#size--;
    // The page of the last id is about to be used again.
    if (--page.left === 0 && index !== this.#lastIndex) this.#pages.delete(index);
    return pending;
  }

  /** The ids of all, oldest first. */
  ids(): number[] {
    const ids: number[] = [];
    for (const [index, { tasks }] of this.#pages) {
      for (let i = 0; i < PAGE; i++) if (tasks[i] !== undefined) ids.push(index * PAGE + i);
    }
    return ids;
  }

  #pageFor(index: number): Page {
    if (index === this.#lastIndex) return this.#last!;
    if (this.#last?.left === 0) this.#pages.delete(this.#lastIndex);
    let page = this.#pages.get(index);
    if (page === undefined) this.#pages.set(index, page = new Page());
    this.#lastIndex = index;
    return this.#last = page;
  }
}
