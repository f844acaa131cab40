/**
 * What a pool in cells has for a dispatcher: hands on all that it is told, by the entry and by cells, and what a cell that
 * has died had not begun.
 *
 * It knows neither workers nor queues: each cell has a dispatcher of its own for that. Which cells there are is decided by
 * `cell_staff.ts`, which of them a task goes to by `hand_over.ts`, and by `suspects.ts` which modules end them. One that
 * leaves gives back what it has not begun, and what is to be tried again.
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
  ToDispatcher,
  ToEntry,
} from "../wire/protocol.ts";
import { OutcomeRecord } from "../wire/records.ts";
import type { CellRecord, Over } from "./cell_record.ts";
import { CellStaff, type StartCell } from "./cell_staff.ts";
import { HandOver } from "./hand_over.ts";
import { Inspections } from "./inspections.ts";
import { fateOf, neverRan, nextAfter } from "./lost_task.ts";
import { type OpenTask, openTask, OpenTasks } from "./open_tasks.ts";
import { Specifiers } from "./specifiers.ts";
import { Suspects } from "./suspects.ts";
import { Surveys } from "./surveys.ts";
import { Trials } from "./trials.ts";

/** See the module's description. */
export class Cells {
  readonly #post: (message: ToEntry, transfer?: Transferable[]) => void;
  readonly #startCell: StartCell | undefined;
  #options!: DispatcherOptions;
  #staff!: CellStaff;
  readonly #specifiers = new Specifiers();
  readonly #open = new OpenTasks();
  readonly #suspects = new Suspects();
  readonly #inspections: Inspections;
  readonly #handOver: HandOver;
  readonly #trials: Trials;
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
        this.#trials.tryNext();
      },
      answer: (module, callbacks) => post({ type: "inspected", module, callbacks }),
    }, this.#specifiers);
    this.#handOver = new HandOver(
      {
        current: () => this.#staff.current,
        cellFor: (module) => this.#cellFor(module),
        held: () => this.#trials.tryNext(),
        settle: (outcome) => this.#settle(outcome),
      },
      this.#open,
      this.#suspects,
      this.#inspections,
      this.#specifiers,
    );
    this.#trials = new Trials(
      {
        cellFor: (module) => this.#staff.forTrial(this.#specifiers.get(module)!),
        none: () => this.#staff.dismissTrial(),
      },
      this.#suspects,
      this.#inspections,
      this.#handOver,
    );
  }

  /** Takes in a message from the entry. */
  receive(message: ToDispatcher): void {
    if (message instanceof ArrayBuffer) return this.#handOver.pushBatch(message);
    switch (message.type) {
      case "hello":
        return this.#start(message.options);
      case "module":
        return this.#learn(message.module, message.specifier);
      case "forget":
        return this.#forget(message.module);
      case "push":
        return this.#handOver.push(message.task, message.at);
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
        for (const id of this.#handOver.held) this.#ended(id);
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
        this.#handOver.sendHeld();
      },
      gone: (record, death, asked) => {
        const events = record.workersGone(asked ? "stopped" : death.reason, death.error);
        if (events.length > 0) this.#post({ type: "events", events });
        this.#surveys.ended(record);
      },
      lost: (record, death, begun) => {
        this.#lose(record, death, begun);
        this.#handOver.sendHeld();
      },
      unavailable: (death) => this.#handOver.crashHeld(death),
      started: () => this.#handOver.sendHeld(),
      mayRisk: () => this.#trials.tryNext(),
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
    return { ...stats, queued: stats.queued + this.#handOver.held.length };
  }

  // Tasks

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
    this.#cancel(this.#handOver.held.filter((id) => id <= upTo));
    this.#askAll((record, over) => record.cancelWaiting(upTo, over), "waiting-cancelled");
  }

  /** The cell has died. */
  #lose(record: CellRecord, death: DeathData, begun: Claimed): void {
    this.#trials.lost(record);
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
    else this.#handOver.sendAfter(task, fate.attempts, fate.after);
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
    this.#handOver.ended(id);
    if (this.#cancelled.size > 0) this.#cancelled.delete(id);
    this.#suspects.ended(id);
    this.#trials.ran(id);
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
        this.#trials.ran(message.id);
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
    if (this.#suspects.returned(module)) this.#handOver.sendHeld();
  }

  #inspected(from: CellRecord, module: number, callbacks: number | undefined): void {
    this.#inspections.answered(from, module);
    if (callbacks !== undefined) this.#suspects.loaded(module, callbacks);
    this.#trials.inspected(from, module);
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
    this.#trials.ran(id);
    this.#handOver.sendAfter(openTask(id, sent), attempts, after);
    return true;
  }
}

const NOBODY: Over = () => {};
