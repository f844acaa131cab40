import type { Claimed } from "../runtime/claims.ts";
import { retryAfter } from "../scheduler/back_off.ts";
import type { TaskData, TaskOrigin } from "../wire/protocol.ts";
import { BatchHead, TaskRecord } from "../wire/records.ts";
import type { CellRecord } from "./cell_record.ts";

/** Tasks that were sent to a cell in one message: as records, or one with data of its own. */
export interface Sent {
  /** Undefined while there is no cell. */
  readonly to: CellRecord | undefined;
  readonly words: Int32Array | undefined;
  readonly data: TaskData | undefined;
  readonly pushedAt: number;
  /** When it may be tried again; 0 for a task that was not run. Only one with data of its own is. */
  dueAt: number;
}

/** A task that was sent to a cell, as it can be sent to another. */
export interface OpenTask {
  readonly id: number;
  readonly module: number;
  readonly pushedAt: number;
  /** A batch of its record alone. */
  readonly record: ArrayBuffer | undefined;
  readonly data: TaskData | undefined;
  /** When it may be run: see `Sent`. */
  readonly dueAt: number;
}

const PAGE = 1024;

const pageOf = (id: number): number => Math.trunc(id / PAGE);

class Page {
  left = 0;
  readonly sent: (Sent | undefined)[] = new Array(PAGE).fill(undefined);
}

/** Tasks without outcome, by id: how each was sent. Ids only grow, as in `pending.ts`. */
export class OpenTasks {
  readonly #pages = new Map<number, Page>();
  #lastIndex = -1;
  #last: Page | undefined;

  set(id: number, sent: Sent): void {
    const index = pageOf(id);
    const page = index === this.#lastIndex ? this.#last! : this.#pageFor(index);
    const slot = id % PAGE;
    if (page.sent[slot] === undefined) page.left++;
    page.sent[slot] = sent;
  }

  get(id: number): Sent | undefined {
    return this.#pages.get(pageOf(id))?.sent[id % PAGE];
  }

  /** The task was run so often by now, in all, and waits for its next attempt. Then it has data of its own. */
  ran(id: number, attempts: number, now: number): void {
    const sent = this.get(id);
    if (sent?.data?.retry === undefined) return;
    sent.data.origin = ranSoOften(sent.data, attempts);
    sent.dueAt = now + retryAfter({ id, attempts }, sent.data.retry);
  }

  /** Removes it; false if there is none. */
  delete(id: number): boolean {
    const index = pageOf(id);
    const page = index === this.#lastIndex ? this.#last! : this.#pages.get(index);
    if (page === undefined) return false;
    const slot = id % PAGE;
    if (page.sent[slot] === undefined) return false;
    page.sent[slot] = undefined;
    if (--page.left === 0) {
      this.#pages.delete(index);
      if (index === this.#lastIndex) this.#lastIndex = -1;
    }
    return true;
  }

  /** The modules of all. */
  modules(): Set<number> {
    const modules = new Set<number>();
    const seen = new Set<Sent>();
    for (const { sent } of this.#pages.values()) {
      for (const each of sent) {
        if (each === undefined || seen.has(each)) continue;
        seen.add(each);
        for (const module of modulesOf(each)) modules.add(module);
      }
    }
    return modules;
  }

  /** Whether any is in the cell. */
  hasAny(to: CellRecord): boolean {
    for (const { sent } of this.#pages.values()) if (sent.some((each) => each?.to === to)) return true;
    return false;
  }

  /** Those in the cell that it has begun, and not only in an earlier run. */
  *begunIn(to: CellRecord, begun: Claimed): Iterable<{ id: number; module: number }> {
    for (const [id, { attempt }] of begun) {
      const sent = this.get(id);
      if (sent?.to !== to || attempt <= (sent.data?.origin?.attempts ?? 0)) continue;
      yield { id, module: openTask(id, sent).module };
    }
  }

  /** Ids of those in the cell, or in none, oldest first. */
  in(to: CellRecord | undefined): number[] {
    const ids: number[] = [];
    for (const [index, { sent }] of this.#pages) {
      for (let i = 0; i < PAGE; i++) {
        const each = sent[i];
        if (each !== undefined && each.to === to) ids.push(index * PAGE + i);
      }
    }
    return ids.sort((a, b) => a - b);
  }

  #pageFor(index: number): Page {
    let page = this.#pages.get(index);
    if (page === undefined) this.#pages.set(index, page = new Page());
    this.#lastIndex = index;
    return this.#last = page;
  }
}

function modulesOf({ words, data }: Sent): number[] {
  if (data !== undefined) return [data.module];
  const modules: number[] = [];
  for (let at: number = BatchHead.words; at < words!.length; at += words![at]!) {
    modules.push(TaskRecord.module(words!, at));
  }
  return modules;
}

/** What it is told of itself then. */
export function ranSoOften({ id, origin }: TaskData, attempts: number): TaskOrigin {
  return { id: origin?.id ?? id, attempts };
}

/** The task, out of what it was sent with. */
export function openTask(id: number, { words, data, pushedAt, dueAt }: Sent): OpenTask {
  if (data !== undefined) return { id, module: data.module, pushedAt, record: undefined, data, dueAt };
  for (let at: number = BatchHead.words; at < words!.length; at += words![at]!) {
    if (TaskRecord.id(words!, at) !== id) continue;
    const record = new Int32Array(BatchHead.words + words![at]!);
    BatchHead.put(record, 1, pushedAt);
    record.set(words!.subarray(at, at + words![at]!), BatchHead.words);
    const module = TaskRecord.module(words!, at);
    return { id, module, pushedAt, record: record.buffer, data: undefined, dueAt };
  }
  throw new Error(`Task ${id} is not where it was sent`);
}
