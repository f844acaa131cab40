import type { InfoTask } from "../info_task.ts";
import type { CheckedPushOptions } from "./read_options.ts";
import type { Outcome } from "../outcome.ts";
import { HAS_CALLBACK } from "../wire/protocol.ts";
import type { Delivery } from "./push_context.ts";

/** Fulfils the promise that `push` or `run` gave. */
export type Resolve = (result: never) => void;

/** A pushed task that has no outcome yet, and what is owed to whoever pushed it. */
export class Pending {
  readonly task: InfoTask;
  /** What the push said beyond its task. */
  readonly options: CheckedPushOptions | undefined;
  readonly #resolve: Resolve;
  /** Pushed by `run`, which gives the value and not the outcome. */
  readonly wantsValue: boolean;
  /** Its callback is called where its promise is settled, in the context of the push: see `Delivery`. */
  readonly delivered: boolean;

  constructor(
    task: InfoTask,
    options: CheckedPushOptions | undefined,
    resolve: Resolve,
    wantsValue: boolean,
    delivered: boolean,
  ) {
    this.task = task;
    this.options = options;
    this.#resolve = resolve;
    this.wantsValue = wantsValue;
    this.delivered = delivered;
  }

  /** Whether nobody looks at more of the outcome than its value: then no outcome need be made. */
  wantsOnlyValue(callbacks: number): boolean {
    return this.wantsValue && this.options === undefined && (callbacks & HAS_CALLBACK) === 0;
  }

  /** Settles the promise of a task that returned, where nobody wants more than the value. */
  fulfil(value: unknown): void {
    this.#resolve(value as never);
  }

  /** Has the callback called, and then the promise settled. */
  deliver(delivery: Delivery): void {
    this.#resolve(delivery as never);
  }

  /** Settles the promise. */
  settle(outcome: Outcome): void {
    if (!this.wantsValue) this.#resolve(outcome as never);
    else if (outcome.status === "ok") this.#resolve(outcome.value as never);
    // A function that rejects would have to be kept for each waiting task, and would hardly ever be called.
    else this.#resolve(Promise.reject(outcome.error) as never);
  }
}

const PAGE = 1024;

/** See `Pending.wantsValue` and `Pending.delivered`. */
const WANTS_VALUE = 1;
const DELIVERED = 2;

/** Not by shifting bits: ids outgrow 32 of them. */
const pageOf = (id: number): number => Math.trunc(id / PAGE);

/** Columns, by the place of the id on its page. */
class Page {
  left = 0;
  readonly tasks: (InfoTask | undefined)[] = new Array(PAGE);
  readonly resolves: (Resolve | undefined)[] = new Array(PAGE);
  /** `WANTS_VALUE` and `DELIVERED`. */
  readonly flags = new Uint8Array(PAGE);
  /** Made for the first task that has any. */
  options: (CheckedPushOptions | undefined)[] | undefined;
}

/**
 * Pending tasks by id. Ids only grow, so pages of arrays serve: no hashing, no rehashing pauses with a million entries,
 * and a page is given back when its last task is settled. What waits is held in columns, not as an object each: with
 * many tasks waiting, most of the pushing thread's time goes into copying what survives.
 */
export class PendingTable {
  readonly #pages = new Map<number, Page>();
  #size = 0;
  /** The page that `set` used last: ids come in order. */
  #lastIndex = -1;
  #last: Page | undefined;

  /** How many tasks have no outcome yet. */
  get size(): number {
    return this.#size;
  }

  /**
   * @param wantsValue True for `run`, which gives the value and not the outcome.
   * @param delivered True if its callback is called where its promise is settled.
   */
  set(
    id: number,
    task: InfoTask,
    options: CheckedPushOptions | undefined,
    resolve: Resolve,
    wantsValue: boolean,
    delivered = false,
  ): void {
    const page = this.#pageFor(pageOf(id));
    const slot = id % PAGE;
    page.tasks[slot] = task;
    page.resolves[slot] = resolve;
    page.flags[slot] = (wantsValue ? WANTS_VALUE : 0) | (delivered ? DELIVERED : 0);
    if (options !== undefined) (page.options ??= new Array(PAGE))[slot] = options;
    page.left++;
    this.#size++;
  }

  get(id: number): Pending | undefined {
    const page = this.#pages.get(pageOf(id));
    const slot = id % PAGE;
    const task = page?.tasks[slot];
    if (page === undefined || task === undefined) return undefined;
    const flags = page.flags[slot]!;
    const wantsValue = (flags & WANTS_VALUE) !== 0;
    const delivered = (flags & DELIVERED) !== 0;
    return new Pending(task, page.options?.[slot], page.resolves[slot]!, wantsValue, delivered);
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
    if (page.options !== undefined) page.options[slot] = undefined;
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
