/**
 * What a pool in cells has for a dispatcher: hands all that it is told to the cell there is, and what a cell that has died
 * had not begun to the next.
 *
 * It knows neither workers nor queues: each cell has a dispatcher of its own for that. Which cells there are is decided by
 * `cell_staff.ts`, and by `suspects.ts` which modules end them. One that leaves gives back what it has not begun, and what
 * is to be tried again.
 *
 * @module
 */
import { Cell } from "../runtime/cell.ts";
import type { Begun, Claimed } from "../runtime/claims.ts";
import { mayHaveFiles } from "../runtime/module_graph.ts";
import { describeError } from "../wire/error_data.ts";
import { inspectionOf } from "../wire/inspection.ts";
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
import { Inspections } from "./inspections.ts";
import { fateOf, neverRan, nextAfter } from "./lost_task.ts";
import { type OpenTask, openTask, OpenTasks, ranSoOften, type Sent } from "./open_tasks.ts";
import { Specifiers } from "./specifiers.ts";
import { Suspects } from "./suspects.ts";
import { Surveys } from "./surveys.ts";

/** See the module's description. */
export class Cells {
  readonly #post: (message: ToEntry, transfer?: Transferable[]) => void;
  readonly #startCell: StartCell | undefined;
  #options!: DispatcherOptions;
  #staff!: CellStaff;
  readonly #specifiers = new Specifiers();
  readonly #open = new OpenTasks();
  readonly #suspects = new Suspects();
  /**
   * Those of them that are in no cell, and their modules: there is none that may read it, it is held, or it is too early for
   * the next attempt.
   */
  readonly #held = new Map<number, number>();
  /** What is tried of a module that is held, and where; without an id that is which callbacks it has. */
  #trial:
    | { readonly record: CellRecord; readonly id: number | undefined; readonly module: number }
    | undefined;
  readonly #inspections: Inspections;
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
    this.#inspections = new Inspections({
      known: (module) => {
        const callbacks = this.#suspects.callbacks(module);
        const given = callbacks !== undefined || this.#suspects.refused(module, now()) !== undefined;
        return given ? { callbacks } : undefined;
      },
      cellFor: (module) => this.#cellFor(module),
      waits: () => {
        this.#staff.hurry();
        this.#try();
      },
      answer: (module, callbacks) => post({ type: "inspected", module, callbacks }),
    }, this.#specifiers);
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
        return this.#forget(message.module);
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
        return this.#inspections.ask(message.module);
      case "stats":
        return this.#surveys.begin(message.request, this.#staff.serving());
      case "resume":
        return this.#open.get(message.id)?.to?.cell.post(message);
      case "watch-events":
        return this.#staff.watch(message.on);
      case "stop":
      case "terminate":
        for (const id of [...this.#held.keys()]) this.#ended(id);
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
      blame: (record, death, begun) => {
        const looks = [...record.inspections].filter((module) => begun.has(inspectionOf(module)));
        const enders = [
          ...this.#open.begunIn(record, begun),
          ...looks.map((module) => ({ id: undefined, module })),
        ];
        return this.#suspects.blame(enders, record.useful, death, now());
      },
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
      mayRisk: () => this.#try(),
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
    const { current, trial } = this.#staff;
    trial?.unreadable.add(specifier);
    if (current === undefined) return;
    this.#staff.leave(current);
    // Too many others do: what needs the module waits until it has left.
    if (current === this.#staff.current) current.unreadable.add(specifier);
  }

  #forget(module: number): void {
    for (const record of this.#staff.serving()) record.forget(module);
    const gone = this.#specifiers.forget(module, () => this.#open.modules());
    for (const each of gone) this.#suspects.forget(each);
  }

  /** The cell that is given tasks of the module, if there is one. */
  #cellFor(module: number): CellRecord | undefined {
    const { current } = this.#staff;
    if (this.#suspects.has(module)) return undefined;
    if (current === undefined || current.unreadable.size === 0) return current;
    return current.unreadable.has(this.#specifiers.get(module)!) ? undefined : current;
  }

  #renew(): void {
    this.#staff.dismissSpare();
    // Cells that leave begin no task any more once they have given back what waits in them.
    this.#askAll((record, over) => {
      if (this.#staff.isLeaving(record)) record.cancelWaiting(Infinity, over);
      else record.renew(over);
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
    this.#sendHeld(held);
  }

  /** Whether there are tasks of a module that is held in the batch. */
  #hasSuspects(words: Int32Array): boolean {
    if (!this.#suspects.any) return false;
    for (let at: number = BatchHead.words; at < words.length; at += words[at]!) {
      if (this.#suspects.has(TaskRecord.module(words, at))) return true;
    }
    return false;
  }

  #push(data: TaskData, pushedAt: number): void {
    // They have been moved here, and are sent by value.
    data.transfer = [];
    this.#send({ id: data.id, module: data.module, pushedAt, record: undefined, data, dueAt: 0 });
  }

  #send(task: OpenTask): void {
    const death = this.#suspects.refused(task.module, now());
    if (death !== undefined) return this.#settle({ ...neverRan(task), status: "crashed", death });
    const to = this.#cellFor(task.module);
    if (to !== undefined) return this.#give(task, to);
    this.#hold(task);
    this.#try();
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
      this.#settle({ ...neverRan(task), status: "failed", error: describeError(error) });
    }
  }

  #hold({ id, module, record, data, pushedAt, dueAt }: OpenTask): void {
    this.#held.set(id, module);
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

  /** Sends what is in no cell, if there is one for it and it is time; what is of modules that were given up has its outcome. */
  #sendHeld(ids: Iterable<number> = [...this.#held.keys()]): void {
    const at = now();
    if (this.#staff.current !== undefined) this.#inspections.askWaiting();
    for (const id of ids) {
      const module = this.#held.get(id);
      if (module === undefined) continue;
      if (this.#suspects.refused(module, at) === undefined && this.#cellFor(module) === undefined) continue;
      if (this.#isDue(id, at)) this.#send(openTask(id, this.#open.get(id)!));
    }
    this.#try();
  }

  /** Whether it may be tried again. Timers may be early by a part of a millisecond. */
  #isDue(id: number, at: number): boolean {
    return this.#open.get(id)!.dueAt <= at + 1;
  }

  /** Tries the next of what may end its cell, in one in which nothing else runs. */
  #try(): void {
    if (this.#trial !== undefined) return;
    if (!this.#suspects.any) return this.#staff.dismissTrial();
    const at = now();
    for (const module of this.#inspections.waiting) {
      if (!this.#suspects.has(module)) continue;
      const record = this.#staff.forTrial(this.#specifiers.get(module)!);
      if (record === undefined) return;
      this.#trial = { record, id: undefined, module };
      return this.#inspections.askOf(record, module);
    }
    for (const [id, module] of this.#held) {
      if (!this.#suspects.has(module) || !this.#isDue(id, at)) continue;
      const record = this.#staff.forTrial(this.#specifiers.get(module)!);
      if (record === undefined) return;
      this.#trial = { record, id, module };
      return this.#give(openTask(id, this.#open.get(id)!), record);
    }
  }

  /** What was tried is over, or waits for its next attempt. */
  #tried(): void {
    this.#trial = undefined;
    // Not in the middle of what came of it.
    queueMicrotask(() => this.#try());
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
    this.#cancel([...this.#held.keys()].filter((id) => id <= upTo));
    this.#askAll((record, over) => record.cancelWaiting(upTo, over), "waiting-cancelled");
  }

  /** The cell has died. */
  #lose(record: CellRecord, death: DeathData, begun: Claimed): void {
    if (this.#trial?.record === record) this.#tried();
    for (const id of this.#open.in(record)) {
      this.#lost(openTask(id, this.#open.get(id)!), death, begun.get(id));
    }
    const failed = record.readyAt === undefined && begun.size === 0;
    this.#inspections.lost(record, failed, this.#staff.current === undefined);
    record.answerAll();
  }

  #lost(task: OpenTask, death: DeathData, begun: Begun | undefined): void {
    const { id } = task;
    const cancelled = { always: this.#cancelled.has(id), waiting: id <= this.#cancelledUpTo };
    const fate = fateOf(task, death, begun, cancelled);
    if ("outcome" in fate) this.#settle(fate.outcome);
    else this.#sendAfter(task, fate.attempts, fate.after);
  }

  /**
   * No cell can be had: what waits for one, and not for its next attempt, ends with the reason. Where there is one, and none
   * for trials, that is what is to be tried.
   */
  #crashHeld(death: DeathData): void {
    const at = now();
    const all = this.#staff.current === undefined;
    for (const [id, module] of [...this.#held]) {
      if (!(all || this.#suspects.has(module)) || !this.#isDue(id, at)) continue;
      this.#settle({ ...neverRan(openTask(id, this.#open.get(id)!)), status: "crashed", death });
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
    this.#suspects.ended(id);
    if (this.#trial?.id === id) this.#tried();
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
      case "sound":
        return this.#returned(from, message.module, message.callbacks);
      case "again":
        if (this.#trial?.id === message.id) this.#tried();
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
        this.#inspected(from, message.module, message.callbacks);
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

  /** A task of the module came to an end of its own. */
  #returned(from: CellRecord, module: number, callbacks: number | undefined): void {
    from.useful = true;
    if (callbacks !== undefined) this.#suspects.loaded(module, callbacks);
    if (this.#suspects.returned(module)) this.#sendHeld();
  }

  #inspected(from: CellRecord, module: number, callbacks: number | undefined): void {
    this.#inspections.answered(from, module);
    if (callbacks !== undefined) this.#suspects.loaded(module, callbacks);
    const trial = this.#trial;
    if (trial?.record === from && trial.id === undefined && trial.module === module) this.#tried();
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
    if (this.#trial?.id === id) this.#tried();
    this.#sendAfter(openTask(id, sent), attempts, after);
    return true;
  }
}

const NOBODY: Over = () => {};
