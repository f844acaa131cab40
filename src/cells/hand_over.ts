import { describeError } from "../wire/error_data.ts";
import { now } from "../wire/now.ts";
import type { DeathData, OutcomeData, TaskData } from "../wire/protocol.ts";
import { BatchHead, TaskRecord } from "../wire/records.ts";
import type { CellRecord } from "./cell_record.ts";
import type { Inspections } from "./inspections.ts";
import { neverRan } from "./lost_task.ts";
import { type OpenTask, openTask, type OpenTasks, ranSoOften, type Sent } from "./open_tasks.ts";
import type { Specifiers } from "./specifiers.ts";
import type { Suspects } from "./suspects.ts";

/** What it takes to hand tasks over. */
export interface HandOverHost {
  /** The cell that is given tasks, if there is one. */
  current(): CellRecord | undefined;
  /** The cell that is given tasks of the module, if there is one. */
  cellFor(module: number): CellRecord | undefined;
  /** Some are held, and may have to be tried. */
  held(): void;
  /** A task is not run: this is its outcome. */
  settle(outcome: OutcomeData): void;
}

/**
 * Hands each task to the cell there is for it, and holds it while it is in none: there is none that may read its module, that
 * is held, or it is too early for its next attempt.
 */
export class HandOver {
  readonly #host: HandOverHost;
  readonly #open: OpenTasks;
  readonly #suspects: Suspects;
  readonly #inspections: Inspections;
  readonly #specifiers: Specifiers;
  /** The tasks that are in no cell, and their modules. */
  readonly #held = new Map<number, number>();

  constructor(
    host: HandOverHost,
    open: OpenTasks,
    suspects: Suspects,
    inspections: Inspections,
    specifiers: Specifiers,
  ) {
    this.#host = host;
    this.#open = open;
    this.#suspects = suspects;
    this.#inspections = inspections;
    this.#specifiers = specifiers;
  }

  /** Those that are in no cell. */
  get held(): readonly number[] {
    return [...this.#held.keys()];
  }

  /** Those of them that do not wait for their next attempt, and their modules. */
  *due(at: number): Iterable<{ id: number; module: number }> {
    for (const [id, module] of this.#held) if (this.#isDue(id, at)) yield { id, module };
  }

  pushBatch(batch: ArrayBuffer): void {
    const words = new Int32Array(batch);
    const current = this.#host.current();
    const to = current !== undefined && current.unreadable.size === 0 && !this.#hasSuspects(words)
      ? current
      : undefined;
    const sent: Sent = { to, words, data: undefined, pushedAt: BatchHead.at(words), dueAt: 0 };
    const held: number[] = [];
    for (let at: number = BatchHead.words; at < words.length; at += words[at]!) {
      const id = TaskRecord.id(words, at);
      const module = TaskRecord.module(words, at);
      this.#open.set(id, sent);
      if (to !== undefined) {
        to.sent(module, this.#specifiers);
      } else {
        held.push(id);
        this.#held.set(id, module);
      }
    }
    if (to !== undefined) return to.cell.post(batch);
    this.sendHeld(held);
  }

  /** Whether there are tasks of a module that is held in the batch. */
  #hasSuspects(words: Int32Array): boolean {
    if (!this.#suspects.any) return false;
    for (let at: number = BatchHead.words; at < words.length; at += words[at]!) {
      if (this.#suspects.has(TaskRecord.module(words, at))) return true;
    }
    return false;
  }

  push(data: TaskData, pushedAt: number): void {
    // They have been moved here, and are sent by value.
    data.transfer = [];
    this.#send({ id: data.id, module: data.module, pushedAt, record: undefined, data, dueAt: 0 });
  }

  #send(task: OpenTask): void {
    const death = this.#suspects.refused(task.module, now());
    if (death !== undefined) {
      return this.#host.settle({ ...neverRan(task), status: "crashed", death });
    }
    const to = this.#host.cellFor(task.module);
    if (to !== undefined) return this.#give(task, to);
    this.#hold(task);
    this.#host.held();
  }

  #give(task: OpenTask, to: CellRecord): void {
    const { id, module, pushedAt, record, data, dueAt } = task;
    this.#held.delete(id);
    to.sent(module, this.#specifiers);
    this.#open.set(id, { to, words: record && new Int32Array(record), data, pushedAt, dueAt });
    if (record !== undefined) return to.cell.post(record);
    try {
      to.cell.post({ type: "push", task: data!, at: pushedAt });
    } catch (error) {
      to.unsent();
      this.#host.settle({ ...neverRan(task), status: "failed", error: describeError(error) });
    }
  }

  #hold({ id, module, record, data, pushedAt, dueAt }: OpenTask): void {
    this.#held.set(id, module);
    this.#open.set(id, { to: undefined, words: record && new Int32Array(record), data, pushedAt, dueAt });
  }

  /** Sends it when that may be: it has been run so often. */
  sendAfter(task: OpenTask, attempts: number, after: number): void {
    const { data } = task;
    const next = data === undefined
      ? task
      : { ...task, data: { ...data, origin: ranSoOften(data, attempts) }, dueAt: now() + after };
    if (after === 0) return this.#send(next);
    this.#hold(next);
    setTimeout(() => this.sendHeld([task.id]), after);
  }

  /** Sends what is in no cell, if there is one for it and it is time; what is of modules that were given up has its outcome. */
  sendHeld(ids: Iterable<number> = this.held): void {
    const at = now();
    if (this.#host.current() !== undefined) this.#inspections.askWaiting();
    for (const id of ids) {
      const module = this.#held.get(id);
      if (module === undefined) continue;
      if (this.#suspects.refused(module, at) === undefined && this.#host.cellFor(module) === undefined) {
        continue;
      }
      if (this.#isDue(id, at)) this.#send(this.#task(id));
    }
    this.#host.held();
  }

  /** Gives one that is held to that cell, whatever its module. */
  giveHeld(id: number, to: CellRecord): void {
    this.#give(this.#task(id), to);
  }

  /**
   * No cell can be had: what waits for one, and not for its next attempt, ends with the reason. Where there is one, and none
   * for trials, that is what is to be tried.
   */
  crashHeld(death: DeathData): void {
    const at = now();
    const all = this.#host.current() === undefined;
    for (const [id, module] of [...this.#held]) {
      if (!(all || this.#suspects.has(module)) || !this.#isDue(id, at)) continue;
      this.#host.settle({ ...neverRan(this.#task(id)), status: "crashed", death });
    }
  }

  /** The task has its outcome. */
  ended(id: number): void {
    if (this.#held.size > 0) this.#held.delete(id);
  }

  #task(id: number): OpenTask {
    return openTask(id, this.#open.get(id)!);
  }

  /** Whether it may be tried again. Timers may be early by a part of a millisecond. */
  #isDue(id: number, at: number): boolean {
    return this.#open.get(id)!.dueAt <= at + 1;
  }
}
