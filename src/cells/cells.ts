/**
 * What a pool in cells has for a dispatcher: hands all that it is told to the cell there is, and what a cell that has died
 * had not begun to the next.
 *
 * It knows neither workers nor queues: each cell has a dispatcher of its own for that. A cell *leaves* when a thread in it
 * does not end: it takes no more tasks, gives back those that it has not begun, and is killed when the last has its outcome.
 *
 * @module
 */
import { Cell } from "../runtime/cell.ts";
import type { Begun, Claimed } from "../runtime/claims.ts";
import { mayHaveFiles } from "../runtime/module_graph.ts";
import { describeError } from "../wire/error_data.ts";
import type {
  DeathData,
  DispatcherOptions,
  OutcomeData,
  TaskData,
  ToDispatcher,
  ToEntry,
} from "../wire/protocol.ts";
import { BatchHead, OutcomeRecord, TaskRecord } from "../wire/records.ts";
import { CellRecord } from "./cell_record.ts";
import { fateOf, neverRan } from "./lost_task.ts";
import { type OpenTask, openTask, OpenTasks, ranSoOften, type Sent } from "./open_tasks.ts";
import { Specifiers } from "./specifiers.ts";
import { Surveys } from "./surveys.ts";

/** How often cells may die one after the other before one is ready. */
const MAX_FAILED_STARTS = 3;
/** How long a spare is kept after it was last of use, in milliseconds. */
const SPARE_MS = 60_000;

/** See the module's description. */
export class Cells {
  readonly #post: (message: ToEntry, transfer?: Transferable[]) => void;
  #options!: DispatcherOptions;
  /** What tasks are handed to. */
  #current!: CellRecord;
  /** Takes over when that leaves or dies. There is none before that has happened once. */
  #spare: CellRecord | undefined;
  #spareTimer: ReturnType<typeof setTimeout> | undefined;
  /** Spares that nobody needs: they end in peace. */
  readonly #dismissed = new Set<CellRecord>();
  readonly #leaving = new Set<CellRecord>();
  /** They are to leave when another has. */
  readonly #toLeave = new Set<CellRecord>();
  readonly #specifiers = new Specifiers();
  readonly #open = new OpenTasks();
  /** Tasks that crashed with their cell, and are to be run once more after a while. */
  readonly #retries = new Map<number, OpenTask>();
  /** Tasks that are to be cancelled and have no outcome yet. */
  readonly #cancelled = new Set<number>();
  /** All up to this one are to be cancelled, unless they were begun. */
  #cancelledUpTo = 0;
  readonly #surveys: Surveys;
  #ready = false;
  #watched = false;
  #ending = false;
  /** And the last that had tasks has ended. */
  #over = false;
  #failedStarts = 0;
  #count = 0;

  /** @param post Sends a message to the entry. */
  constructor(post: (message: ToEntry, transfer?: Transferable[]) => void) {
    this.#post = post;
    this.#surveys = new Surveys((request, stats) => post({ type: "stats", request, stats }));
  }

  /** Takes in a message from the entry. */
  receive(message: ToDispatcher): void {
    if (message instanceof ArrayBuffer) return this.#pushBatch(message);
    switch (message.type) {
      case "hello":
        this.#options = message.options;
        this.#current = this.#start();
        return;
      case "module":
        return this.#learn(message.module, message.specifier);
      case "forget":
        for (const record of this.#serving()) record.forget(message.module);
        return this.#specifiers.forget(message.module, () => this.#open.modules([...this.#retries.values()]));
      case "push":
        return this.#push(message.task, message.at);
      case "cancel":
        return this.#cancel(message.ids);
      case "cancel-waiting":
        this.#cancelledUpTo = message.upTo;
        this.#cancel([...this.#retries.keys()].filter((id) => id <= message.upTo));
        return this.#current.cancelWaiting(message.upTo, true);
      case "resize":
        Object.assign(this.#options, message.sizes);
        return this.#current.cell.post(message);
      case "renew":
        this.#dismissSpare();
        this.#current.renewals++;
        return this.#current.cell.post(message);
      case "inspect":
        return this.#current.inspect(message.module, this.#specifiers);
      case "stats":
        return this.#surveys.begin(message.request, this.#serving());
      case "resume":
        return this.#open.get(message.id)?.to.cell.post(message);
      case "watch-events":
        this.#watched = message.on;
        for (const { cell } of this.#all()) cell.post(message);
        return;
      case "stop":
      case "terminate":
        this.#ending = true;
        this.#retries.clear();
        this.#dismissSpare();
        for (const { cell } of this.#leaving) cell.kill();
        if (message.type === "terminate") { for (const { cell } of this.#dismissed) cell.kill(); }
        return this.#current.cell.post(message);
      case "bridge-gone":
      case "bridge-interrupted":
        return;
      default:
        message satisfies never;
    }
  }

  /** Ends all cells. Resolves when they have ended. */
  async end(): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#spareTimer);
    const cells = this.#all().map(({ cell }) => cell);
    for (const cell of cells) cell.kill();
    await Promise.all(cells.map(({ gone }) => gone));
    await Cell.printed();
  }

  // Cells

  /** Those that have tasks. */
  #serving(): CellRecord[] {
    return [this.#current, ...this.#leaving];
  }

  #all(): CellRecord[] {
    const others = this.#spare === undefined ? this.#dismissed : [this.#spare, ...this.#dismissed];
    return [...this.#serving(), ...others];
  }

  /** @param warm How many workers it has when nothing is to be done. */
  #start(warm = this.#options.minSize): CellRecord {
    const { permissions, cwd, v8Flags, main } = this.#options;
    const readsAll = permissions?.readsAll !== false;
    const initializer = this.#options.setup.initializer?.module;
    const spec = {
      permissions: permissions?.flags ?? [],
      readable: readsAll
        ? []
        : [...this.#specifiers.all(), ...(initializer === undefined ? [] : [initializer])],
      cwd,
      v8Flags,
      main,
    };
    const cell = new Cell({ ...this.#options, permissions: undefined, minSize: warm }, spec, {
      message: (message) => this.#hear(record, message),
      gone: (death, begun) => this.#gone(record, death, begun),
    });
    const record = new CellRecord(cell, this.#count++);
    if (this.#watched) cell.post({ type: "watch-events", on: true });
    return record;
  }

  /** Another cell takes over. */
  #replace(): void {
    const { size, minSize, maxZombies, restarts } = this.#options;
    const spare = this.#spare;
    this.#spare = undefined;
    this.#current = spare ?? this.#start();
    spare?.cell.post({ type: "resize", sizes: { size, minSize, maxZombies, restarts } });
  }

  /** What has happened may happen again soon. */
  #keepSpare(): void {
    if (this.#ending) return;
    this.#spare ??= this.#start(Math.min(1, this.#options.minSize));
    clearTimeout(this.#spareTimer);
    this.#spareTimer = setTimeout(() => this.#dismissSpare(), SPARE_MS);
  }

  #dismissSpare(): void {
    const spare = this.#spare;
    if (spare === undefined) return;
    this.#spare = undefined;
    this.#dismissed.add(spare);
    // One that is ready may have an initializer to clean up after.
    if (spare.ready) spare.cell.post({ type: "stop" });
    else spare.cell.kill();
  }

  /** The modules of later cells are others, or a thread in it does not end. */
  #leave(record: CellRecord): void {
    if (this.#leaving.has(record) || this.#ending) return;
    if (this.#leaving.size >= this.#options.maxZombies) return void this.#toLeave.add(record);
    this.#leaving.add(record);
    if (record === this.#current) this.#replace();
    record.cancelWaiting(Infinity, false);
    this.#surveys.remember(record);
    this.#endIfDone(record);
  }

  /** One that leaves has ended when its last task has. */
  #endIfDone(record: CellRecord): void {
    if (this.#leaving.has(record) && !this.#open.hasAny(record)) record.cell.kill();
  }

  #gone(record: CellRecord, death: DeathData, begun: Claimed): void {
    const current = record === this.#current;
    const left = this.#leaving.delete(record);
    const dismissed = this.#dismissed.delete(record);
    const asked = left || dismissed || this.#ending;
    const events = record.workersGone(asked ? "stopped" : death.reason, death.error);
    if (events.length > 0) this.#post({ type: "events", events });
    if (record === this.#spare) this.#spare = undefined;
    this.#surveys.ended(record);
    if (this.#ending) {
      if (current) this.#over = true;
      if (!this.#over || this.#dismissed.size > 0) return;
      this.#post({ type: "told" });
      return this.#post({ type: "closed", stats: this.#surveys.total() });
    }
    if (!current && !left) return;
    if (current) {
      // Its start was good if it had begun a task, though not all of its workers were there.
      const good = record.ready || this.#open.in(record).some((id) => begun.has(id));
      this.#failedStarts = good ? 0 : this.#failedStarts + 1;
      if (this.#failedStarts === MAX_FAILED_STARTS) return this.#giveUp(death);
      this.#replace();
    }
    for (const id of this.#open.in(record)) {
      this.#lost(openTask(id, this.#open.get(id)!), death, begun.get(id));
    }
    // What it was asked.
    for (const module of record.inspections) this.#current.inspect(module, this.#specifiers);
    for (let i = 0; i < record.renewals; i++) this.#post({ type: "renewed" });
    for (let i = 0; i < record.cancels; i++) this.#post({ type: "waiting-cancelled" });
    if (record.ready && !left) this.#keepSpare();
    const [next] = this.#toLeave;
    if (next === undefined) return;
    this.#toLeave.delete(next);
    if (next !== record) this.#leave(next);
  }

  /** No cell can be started: the pool ends, and its tasks with it. */
  #giveUp(death: DeathData): void {
    this.#ending = true;
    const error = death.error ?? describeError(new Error(`The cell ${death.message}`));
    this.#post({ type: "broken", error, message: `was in a cell that ${death.message} before it was ready` });
  }

  // Tasks

  #learn(module: number, specifier: string): void {
    const { permissions } = this.#options;
    const isNew = permissions?.readsAll === false && mayHaveFiles(specifier) &&
      !this.#specifiers.has(specifier);
    this.#specifiers.set(module, specifier);
    if (!isNew) return;
    // The cell that there is may not read its files.
    this.#dismissSpare();
    this.#leave(this.#current);
  }

  #pushBatch(batch: ArrayBuffer): void {
    const words = new Int32Array(batch);
    const to = this.#current;
    const sent: Sent = { to, words, data: undefined, pushedAt: BatchHead.at(words) };
    for (let at: number = BatchHead.words; at < words.length; at += words[at]!) {
      to.sent(TaskRecord.module(words, at), this.#specifiers);
      this.#open.set(TaskRecord.id(words, at), sent);
    }
    to.cell.post(batch);
  }

  #push(data: TaskData, pushedAt: number): void {
    // They have been moved here, and are sent by value.
    data.transfer = [];
    this.#send({ id: data.id, module: data.module, pushedAt, record: undefined, data });
  }

  #send(task: OpenTask): void {
    const { id, module, pushedAt, record, data } = task;
    const to = this.#current;
    to.sent(module, this.#specifiers);
    this.#open.set(id, { to, words: record && new Int32Array(record), data, pushedAt });
    if (record !== undefined) return to.cell.post(record);
    try {
      to.cell.post({ type: "push", task: data!, at: pushedAt });
    } catch (error) {
      to.unsent();
      this.#settle({ ...neverRan(task), status: "failed", error: describeError(error) });
    }
  }

  #cancel(ids: readonly number[]): void {
    for (const id of ids) {
      const waiting = this.#retries.get(id);
      if (waiting !== undefined) {
        this.#retries.delete(id);
        const { attempts } = waiting.data!.origin!;
        this.#settle({ ...neverRan(waiting), status: "cancelled", attempts });
      }
      const to = this.#open.get(id)?.to;
      if (to === undefined) continue;
      this.#cancelled.add(id);
      to.cell.post({ type: "cancel", ids: [id] });
    }
  }

  /** Its cell has died. */
  #lost(task: OpenTask, death: DeathData, begun: Begun | undefined): void {
    const { id } = task;
    const cancelled = { always: this.#cancelled.has(id), waiting: id <= this.#cancelledUpTo };
    const fate = fateOf(task, death, begun, cancelled);
    if ("outcome" in fate) return this.#settle(fate.outcome);
    if (fate.after === 0) return this.#send(again(task, fate.attempts));
    this.#open.delete(id);
    this.#retries.set(id, again(task, fate.attempts));
    setTimeout(() => {
      const waiting = this.#retries.get(id);
      if (waiting === undefined) return;
      this.#retries.delete(id);
      this.#send(waiting);
    }, fate.after);
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
    if (this.#cancelled.size > 0) this.#cancelled.delete(id);
  }

  // What cells say

  #hear(from: CellRecord, message: ToEntry): void {
    if (message instanceof ArrayBuffer) return this.#hearRecords(from, message);
    switch (message.type) {
      case "ready":
        from.ready = true;
        if (this.#ready || from !== this.#current) return;
        this.#ready = true;
        // How long a worker takes that another thread has started is not known.
        return this.#post({ type: "ready", startMs: Infinity });
      case "zombie":
        this.#leave(from);
        return this.#keepSpare();
      case "again":
        return this.#open.ran(message.id, message.attempts);
      case "outcome":
        return this.#hearOutcomes(from, [message.outcome]);
      case "outcomes":
        return this.#hearOutcomes(from, message.outcomes);
      case "waiting-cancelled":
        return from.waitingCancelled() ? this.#post(message) : undefined;
      case "renewed":
        from.renewals--;
        return this.#post(message);
      case "inspected":
        from.inspections.delete(message.module);
        return this.#post(message);
      case "stats":
        return this.#surveys.answer(from, message.request, message.stats);
      case "events":
        from.number(message.events);
        return this.#post(message);
      case "closed":
        if (!this.#dismissed.has(from)) this.#surveys.answer(from, 0, message.stats);
        return from.cell.kill();
      case "broken":
        return from === this.#current ? this.#post(message) : from.cell.kill();
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
    this.#endIfDone(from);
  }

  #hearOutcomes(from: CellRecord, all: readonly OutcomeData[]): void {
    const outcomes = all.filter((outcome) => !this.#isGivenBack(from, outcome));
    for (const outcome of outcomes) {
      this.#ended(outcome.id);
      if (outcome.worker !== undefined) outcome.worker = from.workerOf(outcome.worker);
    }
    if (outcomes.length > 0) this.#post({ type: "outcomes", outcomes });
    this.#endIfDone(from);
  }

  /** A cell that leaves gives back what it has not begun: that goes to the next. */
  #isGivenBack(from: CellRecord, { id, status, attempts }: OutcomeData): boolean {
    if (status !== "cancelled" || !this.#leaving.has(from) || this.#isCancelled(id)) return false;
    const sent = this.#open.get(id);
    if (sent?.to !== from) return false;
    this.#send(again(openTask(id, sent), attempts));
    return true;
  }
}

/** The task, as one that was run so often in all. */
function again(task: OpenTask, attempts: number): OpenTask {
  const { data } = task;
  return data === undefined ? task : { ...task, data: { ...data, origin: ranSoOften(data, attempts) } };
}
