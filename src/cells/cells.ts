/**
 * What a pool in cells has for a dispatcher: hands all that it is told to the cell there is, and what a cell that has died
 * had not begun to the next.
 *
 * It knows neither workers nor queues: each cell has a dispatcher of its own for that. Which cells there are is decided by
 * `cell_staff.ts`. One that leaves gives back what it has not begun, and what is to be tried again.
 *
 * @module
 */
import { Cell } from "../runtime/cell.ts";
import type { Begun, Claimed } from "../runtime/claims.ts";
import { mayHaveFiles } from "../runtime/module_graph.ts";
import { describeError } from "../wire/error_data.ts";
import { now } from "../wire/now.ts";
import type {
  DeathData,
  DispatcherOptions,
  OutcomeData,
  StatsData,
  TaskData,
  ToDispatcher,
  ToEntry,
} from "../wire/protocol.ts";
import { BatchHead, OutcomeRecord, TaskRecord } from "../wire/records.ts";
import type { CellRecord, Over } from "./cell_record.ts";
import { CellStaff, type StartCell } from "./cell_staff.ts";
import { fateOf, neverRan, nextAfter } from "./lost_task.ts";
import { type OpenTask, openTask, OpenTasks, ranSoOften, type Sent } from "./open_tasks.ts";
import { Specifiers } from "./specifiers.ts";
import { Surveys } from "./surveys.ts";

/** See the module's description. */
export class Cells {
  readonly #post: (message: ToEntry, transfer?: Transferable[]) => void;
  readonly #startCell: StartCell | undefined;
  #options!: DispatcherOptions;
  #staff!: CellStaff;
  readonly #specifiers = new Specifiers();
  readonly #open = new OpenTasks();
  /** Those of them that are in no cell: there is none that may read their module, or it is too early for the next attempt. */
  readonly #held = new Set<number>();
  /** Modules that a cell is to be asked of when there is one. */
  readonly #inspections = new Set<number>();
  /** Tasks that are to be cancelled and have no outcome yet. */
  readonly #cancelled = new Set<number>();
  /** All up to this one are to be cancelled, unless they were begun. */
  #cancelledUpTo = 0;
  readonly #surveys: Surveys;

  /**
   * @param post Sends a message to the entry.
   * @param startCell Starts a cell; if absent, a real one.
   */
  constructor(post: (message: ToEntry, transfer?: Transferable[]) => void, startCell?: StartCell) {
    this.#post = post;
    this.#startCell = startCell;
    this.#surveys = new Surveys((request, stats) => {
      post({ type: "stats", request, stats: this.#withHeld(stats) });
    });
  }

  /** Takes in a message from the entry. */
  receive(message: ToDispatcher): void {
    if (message instanceof ArrayBuffer) return this.#pushBatch(message);
    switch (message.type) {
      case "hello":
        return this.#start(message.options);
      case "module":
        return this.#learn(message.module, message.specifier);
      case "forget":
        for (const record of this.#staff.serving()) record.forget(message.module);
        return this.#specifiers.forget(message.module, () => this.#open.modules());
      case "push":
        return this.#push(message.task, message.at);
      case "cancel":
        return this.#cancel(message.ids);
      case "cancel-waiting":
        return this.#cancelWaiting(message.upTo);
      case "resize":
        return this.#staff.resize(message.sizes);
      case "renew":
        return this.#renew();
      case "inspect":
        return this.#inspect(message.module);
      case "stats":
        return this.#surveys.begin(message.request, this.#staff.serving());
      case "resume":
        return this.#open.get(message.id)?.to?.cell.post(message);
      case "watch-events":
        return this.#staff.watch(message.on);
      case "stop":
      case "terminate":
        for (const id of [...this.#held]) this.#ended(id);
        return this.#staff.close(message.type);
      case "bridge-gone":
      case "bridge-interrupted":
        return;
      default:
        message satisfies never;
    }
  }

  /** Ends all cells. Resolves when they have ended. */
  async end(): Promise<void> {
    await this.#staff?.end();
    await Cell.printed();
  }

  #start(options: DispatcherOptions): void {
    this.#options = options;
    this.#staff = new CellStaff(options, this.#specifiers, {
      message: (from, message) => this.#hear(from, message),
      hasTasks: (record) => this.#open.hasAny(record),
      leaving: (record) => {
        record.cancelWaiting(Infinity, NOBODY);
        this.#surveys.remember(record);
        this.#sendHeld();
      },
      gone: (record, death, asked) => {
        const events = record.workersGone(asked ? "stopped" : death.reason, death.error);
        if (events.length > 0) this.#post({ type: "events", events });
        this.#surveys.ended(record);
      },
      lost: (record, death, begun) => {
        this.#lose(record, death, begun);
        this.#sendHeld();
      },
      unavailable: (death) => this.#crashHeld(death),
      started: () => this.#sendHeld(),
      broken: (death) => {
        const error = death.error ?? describeError(new Error(`The cell ${death.message}`));
        const message = `was in a cell that ${death.message} before it was ready`;
        this.#post({ type: "broken", error, message });
      },
      closed: () => {
        this.#post({ type: "told" });
        this.#post({ type: "closed", stats: this.#surveys.total() });
      },
    }, this.#startCell);
    this.#staff.start();
  }

  // Modules, and what is asked

  #learn(module: number, specifier: string): void {
    const { permissions } = this.#options;
    const isNew = permissions?.readsAll === false && mayHaveFiles(specifier) &&
      !this.#specifiers.has(specifier);
    this.#specifiers.set(module, specifier);
    if (!isNew) return;
    // The cells that there are may not read its files.
    this.#staff.dismissSpare();
    const { current } = this.#staff;
    if (current === undefined) return;
    this.#staff.leave(current);
    // Too many others do: what needs the module waits until it has left.
    if (current === this.#staff.current) current.unreadable.add(specifier);
  }

  /** The cell that is given tasks of the module, if there is one. */
  #cellFor(module: number): CellRecord | undefined {
    const { current } = this.#staff;
    if (current === undefined || current.unreadable.size === 0) return current;
    return current.unreadable.has(this.#specifiers.get(module)!) ? undefined : current;
  }

  #inspect(module: number): void {
    const to = this.#cellFor(module);
    if (to === undefined) this.#inspections.add(module);
    else to.inspect(module, this.#specifiers);
  }

  #renew(): void {
    this.#staff.dismissSpare();
    // Cells that leave begin no task any more once they have given back what waits in them.
    this.#askAll((record, over) => {
      if (record === this.#staff.current) record.renew(over);
      else record.cancelWaiting(Infinity, over);
    }, "renewed");
  }

  /** Asks all cells that have tasks for something, and tells when all have done it. */
  #askAll(ask: (record: CellRecord, over: Over) => void, type: "renewed" | "waiting-cancelled"): void {
    const records = this.#staff.serving();
    let left = records.length;
    if (left === 0) return this.#post({ type });
    for (const record of records) {
      ask(record, () => {
        if (--left === 0) this.#post({ type });
      });
    }
  }

  #withHeld(stats: StatsData): StatsData {
    return { ...stats, queued: stats.queued + this.#held.size };
  }

  // Tasks

  #pushBatch(batch: ArrayBuffer): void {
    const words = new Int32Array(batch);
    const { current } = this.#staff;
    const to = current !== undefined && current.unreadable.size === 0 ? current : undefined;
    const sent: Sent = { to, words, data: undefined, pushedAt: BatchHead.at(words), dueAt: 0 };
    const held: number[] = [];
    for (let at: number = BatchHead.words; at < words.length; at += words[at]!) {
      const id = TaskRecord.id(words, at);
      this.#open.set(id, sent);
      if (to === undefined) held.push(id);
      else to.sent(TaskRecord.module(words, at), this.#specifiers);
    }
    if (to !== undefined) return to.cell.post(batch);
    for (const id of held) this.#held.add(id);
    this.#sendHeld(held);
  }

  #push(data: TaskData, pushedAt: number): void {
    // They have been moved here, and are sent by value.
    data.transfer = [];
    this.#send({ id: data.id, module: data.module, pushedAt, record: undefined, data, dueAt: 0 });
  }

  #send(task: OpenTask): void {
    const { id, module, pushedAt, record, data, dueAt } = task;
    const to = this.#cellFor(module);
    if (to === undefined) return this.#hold(task);
    this.#held.delete(id);
    to.sent(module, this.#specifiers);
    this.#open.set(id, { to, words: record && new Int32Array(record), data, pushedAt, dueAt });
    if (record !== undefined) return to.cell.post(record);
    try {
      to.cell.post({ type: "push", task: data!, at: pushedAt });
    } catch (error) {
      to.unsent();
      this.#settle({ ...neverRan(task), status: "failed", error: describeError(error) });
    }
  }

  #hold({ id, record, data, pushedAt, dueAt }: OpenTask): void {
    this.#held.add(id);
    this.#open.set(id, { to: undefined, words: record && new Int32Array(record), data, pushedAt, dueAt });
  }

  /** Sends it when that may be: it has been run so often. */
  #sendAfter(task: OpenTask, attempts: number, after: number): void {
    const { data } = task;
    const next = data === undefined
      ? task
      : { ...task, data: { ...data, origin: ranSoOften(data, attempts) }, dueAt: now() + after };
    if (after === 0) return this.#send(next);
    this.#hold(next);
    setTimeout(() => this.#sendHeld([task.id]), after);
  }

  /** Sends what is in no cell, if there is one for it and it is time. */
  #sendHeld(ids: Iterable<number> = [...this.#held]): void {
    if (this.#staff.current === undefined) return;
    const inspections = [...this.#inspections];
    this.#inspections.clear();
    for (const module of inspections) this.#inspect(module);
    // Timers may be early by a part of a millisecond.
    const by = now() + 1;
    for (const id of ids) {
      if (!this.#held.has(id)) continue;
      const sent = this.#open.get(id)!;
      if (sent.dueAt <= by) this.#send(openTask(id, sent));
    }
  }

  #cancel(ids: readonly number[]): void {
    for (const id of ids) {
      const sent = this.#open.get(id);
      if (sent === undefined) continue;
      if (sent.to === undefined) {
        this.#settle({ ...neverRan(openTask(id, sent)), status: "cancelled" });
        continue;
      }
      this.#cancelled.add(id);
      sent.to.cell.post({ type: "cancel", ids: [id] });
    }
  }

  #cancelWaiting(upTo: number): void {
    this.#cancelledUpTo = upTo;
    this.#cancel([...this.#held].filter((id) => id <= upTo));
    this.#askAll((record, over) => record.cancelWaiting(upTo, over), "waiting-cancelled");
  }

  /** The cell has died. */
  #lose(record: CellRecord, death: DeathData, begun: Claimed): void {
    for (const id of this.#open.in(record)) {
      this.#lost(openTask(id, this.#open.get(id)!), death, begun.get(id));
    }
    // What it was asked.
    for (const module of record.inspections) this.#inspect(module);
    record.answerAll();
  }

  #lost(task: OpenTask, death: DeathData, begun: Begun | undefined): void {
    const { id } = task;
    const cancelled = { always: this.#cancelled.has(id), waiting: id <= this.#cancelledUpTo };
    const fate = fateOf(task, death, begun, cancelled);
    if ("outcome" in fate) this.#settle(fate.outcome);
    else this.#sendAfter(task, fate.attempts, fate.after);
  }

  /** No cell can be had: what waits for one, and not for its next attempt, ends with the reason. */
  #crashHeld(death: DeathData): void {
    const at = now();
    for (const id of [...this.#held]) {
      const sent = this.#open.get(id)!;
      if (sent.dueAt <= at) this.#settle({ ...neverRan(openTask(id, sent)), status: "crashed", death });
    }
  }

  #isCancelled(id: number): boolean {
    return this.#cancelled.has(id) || id <= this.#cancelledUpTo;
  }

  #settle(outcome: OutcomeData): void {
    this.#ended(outcome.id);
    this.#post({ type: "outcome", outcome });
  }

  #ended(id: number): void {
    this.#open.delete(id);
    if (this.#held.size > 0) this.#held.delete(id);
    if (this.#cancelled.size > 0) this.#cancelled.delete(id);
  }

  // What cells say

  #hear(from: CellRecord, message: ToEntry): void {
    if (message instanceof ArrayBuffer) return this.#hearRecords(from, message);
    switch (message.type) {
      case "ready":
        // How long a worker takes that another thread has started is not known.
        return this.#staff.ready(from) ? this.#post({ type: "ready", startMs: Infinity }) : undefined;
      case "zombie":
        return this.#staff.zombie(from);
      case "again":
        return this.#open.ran(message.id, message.attempts, now());
      case "outcome":
        return this.#hearOutcomes(from, [message.outcome]);
      case "outcomes":
        return this.#hearOutcomes(from, message.outcomes);
      case "waiting-cancelled":
        return from.waitingCancelled();
      case "renewed":
        return from.renewed();
      case "inspected":
        from.inspections.delete(message.module);
        return this.#post(message);
      case "stats":
        return this.#surveys.answer(from, message.request, message.stats);
      case "events":
        from.number(message.events);
        return this.#post(message);
      case "closed":
        if (from.used) this.#surveys.answer(from, 0, message.stats);
        return from.cell.kill();
      case "broken":
        // It may have been started before the pool was warm, to take over later.
        return from === this.#staff.current && !this.#staff.warm ? this.#post(message) : from.cell.kill();
      default:
        return this.#post(message);
    }
  }

  #hearRecords(from: CellRecord, records: ArrayBuffer): void {
    const words = new Int32Array(records);
    for (let at = 0; at < words.length; at += words[at]!) {
      this.#ended(OutcomeRecord.id(words, at));
      OutcomeRecord.setWorker(words, at, from.workerOf(OutcomeRecord.worker(words, at)));
    }
    this.#post(records, [records]);
    this.#staff.endIfDone(from);
  }

  #hearOutcomes(from: CellRecord, all: readonly OutcomeData[]): void {
    const outcomes = all.filter((outcome) => !this.#isGivenBack(from, outcome));
    for (const outcome of outcomes) {
      this.#ended(outcome.id);
      if (outcome.worker !== undefined) outcome.worker = from.workerOf(outcome.worker);
    }
    if (outcomes.length > 0) this.#post({ type: "outcomes", outcomes });
    this.#staff.endIfDone(from);
  }

  /** A cell that leaves gives back what it has not begun, and what is to be tried again: that goes to the next. */
  #isGivenBack(from: CellRecord, { id, status, attempts }: OutcomeData): boolean {
    if (!this.#staff.isLeaving(from) || this.#isCancelled(id)) return false;
    const sent = this.#open.get(id);
    if (sent?.to !== from) return false;
    // It tries nothing again, as it was told to give back what waits: that is decided here.
    const after = status === "cancelled"
      ? Math.max(0, sent.dueAt - now())
      : nextAfter(sent.data, status, attempts);
    if (after === undefined) return false;
    this.#sendAfter(openTask(id, sent), attempts, after);
    return true;
  }
}

const NOBODY: Over = () => {};
