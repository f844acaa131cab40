import { Cell } from "../runtime/cell.ts";
import type { CellEvents } from "../runtime/cell.ts";
import type { Claimed } from "../runtime/claims.ts";
import { now } from "../wire/now.ts";
import type { ChildSpec, DeathData, DispatcherOptions, Sizes, ToEntry } from "../wire/protocol.ts";
import { CellRecord } from "./cell_record.ts";
import { CellStarts, type Verdict } from "./cell_starts.ts";
import type { Specifiers } from "./specifiers.ts";

/** How long a spare, or a cell for trials, is kept after it was last of use, in milliseconds. */
const SPARE_MS = 60_000;
/** The longest time that a timer can have, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Who hears of the cells. */
export interface StaffEvents {
  message(from: CellRecord, message: ToEntry): void;
  /** Whether a task that was sent to it has no outcome. */
  hasTasks(record: CellRecord): boolean;
  /** It has ended by itself. Returns whether good work pays for the next one: the restart budget does not. */
  blame(record: CellRecord, death: DeathData, begun: Claimed): boolean;
  /** It takes no more tasks, and is to give back those that it has not begun. */
  leaving(record: CellRecord): void;
  /** It has ended; `asked` to, or by itself. */
  gone(record: CellRecord, death: DeathData, asked: boolean): void;
  /** With what it was given and asked, if anything: by now another may have taken over. */
  lost(record: CellRecord, death: DeathData, begun: Claimed): void;
  /** No cell can be had for the time being. */
  unavailable(death: DeathData): void;
  /** There is a cell again. */
  started(): void;
  /** A cell may be risked again: see `forTrial`. */
  mayRisk(): void;
  /** None could ever be started. */
  broken(death: DeathData): void;
  /** All have ended, as they were told to. */
  closed(): void;
}

/** Starts one. */
export type StartCell = (
  options: DispatcherOptions,
  spec: ChildSpec,
  events: CellEvents,
) => CellRecord["cell"];

/**
 * Which cells there are.
 *
 * | a cell | |
 * |---|---|
 * | current | takes all tasks. There is none for a while after some could not be started, or when the restart budget is used up |
 * | spare | takes over when that leaves or dies. There is none before that has happened once |
 * | for trials | takes one task at a time, of a module of which several have ended their cells. There is none before that |
 * | leaving | takes no more tasks, and runs those to their end that it has begun: a thread in it does not end, or later cells know other modules |
 * | ending | has no tasks, and was told to stop: its initializer may have to clean up |
 */
export class CellStaff {
  readonly #options: DispatcherOptions;
  readonly #specifiers: Specifiers;
  readonly #events: StaffEvents;
  readonly #startCell: StartCell;
  readonly #starts: CellStarts;
  #current: CellRecord | undefined;
  /** When there is none: that the next may be started from then on, as far as failed starts go. */
  #startAt: number | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #spare: CellRecord | undefined;
  #spareTimer: ReturnType<typeof setTimeout> | undefined;
  /** The one for trials, and from when on another may be started. */
  #trial: CellRecord | undefined;
  #trialAt = 0;
  #trialTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #leaving = new Set<CellRecord>();
  /** They are to leave when another has. */
  readonly #toLeave = new Set<CellRecord>();
  readonly #ending = new Set<CellRecord>();
  /** One has been ready. */
  #warm: boolean;
  #watched = false;
  #closing = false;
  #closed = false;
  #count = 0;

  constructor(
    options: DispatcherOptions,
    specifiers: Specifiers,
    events: StaffEvents,
    startCell: StartCell = (...args) => new Cell(...args),
  ) {
    this.#options = options;
    this.#specifiers = specifiers;
    this.#events = events;
    this.#startCell = startCell;
    this.#warm = options.takesOver;
    this.#starts = new CellStarts(options.restarts);
  }

  /** Whether a cell has been ready: from then on the pool goes on, whatever becomes of cells. */
  get warm(): boolean {
    return this.#warm;
  }

  /** What tasks are handed to. */
  get current(): CellRecord | undefined {
    return this.#current;
  }

  /** Those that have tasks. */
  serving(): CellRecord[] {
    return [this.#current, ...this.#leaving, this.#trial].filter((record) => record !== undefined);
  }

  /** The one for trials. */
  get trial(): CellRecord | undefined {
    return this.#trial;
  }

  isLeaving(record: CellRecord): boolean {
    return this.#leaving.has(record);
  }

  /** Starts the first. */
  start(): void {
    this.#replace();
  }

  /** The pool is to have another size. */
  resize(sizes: Sizes): void {
    Object.assign(this.#options, sizes);
    this.#current?.cell.post({ type: "resize", sizes });
    this.#starts.restarts.allow(sizes.restarts, now());
    this.#leaveNext();
    if (this.#closing) return;
    if (this.#startAt !== undefined) this.#startNext();
    this.#events.mayRisk();
  }

  /** Whether events are to be told. */
  watch(on: boolean): void {
    this.#watched = on;
    for (const { cell } of this.#all()) cell.post({ type: "watch-events", on });
  }

  /** A cell is ready. True if it is the first. */
  ready(record: CellRecord): boolean {
    record.readyAt = now();
    if (this.#warm || record !== this.#current) return false;
    return this.#warm = true;
  }

  /** A thread in the cell does not end. */
  zombie(record: CellRecord): void {
    // In its initializer.
    if (record === this.#spare) return record.cell.kill();
    if (this.#ending.has(record)) return;
    this.leave(record);
    this.keepSpare();
  }

  /** What has happened may happen again soon. */
  keepSpare(): void {
    if (this.#closing) return;
    clearTimeout(this.#spareTimer);
    const wait = this.#spare === undefined ? this.#starts.restarts.wait(0, now()) : 0;
    if (wait > 0) {
      this.#spareTimer = later(() => this.keepSpare(), wait);
      return;
    }
    this.#spare ??= this.#startSpare();
    this.#spareTimer = setTimeout(() => this.dismissSpare(), SPARE_MS);
  }

  #startSpare(): CellRecord {
    return this.#start(Math.min(1, this.#options.minSize));
  }

  /** It is not as those are to be that come. */
  dismissSpare(): void {
    clearTimeout(this.#spareTimer);
    const spare = this.#spare;
    if (spare === undefined) return;
    this.#spare = undefined;
    this.#end(spare);
  }

  /**
   * A cell for a task that may end it, if that may be now: then the restart budget has another. Else `mayRisk` is told when.
   *
   * @param specifier Of the task's module.
   */
  forTrial(specifier: string): CellRecord | undefined {
    clearTimeout(this.#trialTimer);
    if (this.#closing) return undefined;
    const at = now();
    const wait = Math.max(this.#trialAt - at, this.#starts.restarts.wait(1, at));
    if (wait > 0) {
      this.#trialTimer = later(() => this.#events.mayRisk(), wait);
      return undefined;
    }
    if (this.#trial?.unreadable.has(specifier)) this.dismissTrial();
    if (this.#trial === undefined) {
      this.#trial = this.#spare ?? this.#startSpare();
      this.#trial.used = true;
      this.#spare = undefined;
      this.keepSpare();
    }
    this.#trialTimer = setTimeout(() => this.dismissTrial(), SPARE_MS);
    return this.#trial;
  }

  /** Nothing is to be tried for the time being. */
  dismissTrial(): void {
    const trial = this.#trial;
    if (trial === undefined) return;
    // Something may run, or wait for its next attempt.
    if (!this.#closing && this.#events.hasTasks(trial)) return this.leave(trial);
    this.#trial = undefined;
    this.#end(trial);
  }

  /** Somebody waits for the next cell: the pause after failed starts is over, and what counts is the restart budget. */
  hurry(): void {
    if (this.#startAt === undefined || this.#closing) return;
    this.#startAt = 0;
    this.#startNext();
  }

  /** Another takes over; what runs in this one runs to its end. */
  leave(record: CellRecord): void {
    if (this.#leaving.has(record) || this.#closing) return;
    if (this.#isFull) return void this.#toLeave.add(record);
    this.#leaving.add(record);
    if (record === this.#current) this.#replace();
    if (record === this.#trial) this.#trial = undefined;
    this.#events.leaving(record);
    this.endIfDone(record);
  }

  /** One that leaves has had its time when its last task has its outcome. */
  endIfDone(record: CellRecord): void {
    if (!this.#leaving.has(record) || this.#events.hasTasks(record)) return;
    this.#leaving.delete(record);
    this.#end(record);
  }

  /** The pool ends. No task is left, or none is waited for. */
  close(type: "stop" | "terminate"): void {
    this.#closing = true;
    clearTimeout(this.#pause);
    clearTimeout(this.#trialTimer);
    this.dismissSpare();
    this.dismissTrial();
    const terminated = type === "terminate";
    for (const record of [...this.#leaving, ...this.#ending]) if (terminated) record.cell.kill();
    this.#current?.cell.post({ type });
    this.#tellIfClosed();
  }

  /** Ends all. Resolves when they have ended. */
  async end(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#pause);
    clearTimeout(this.#spareTimer);
    clearTimeout(this.#trialTimer);
    const cells = this.#all().map(({ cell }) => cell);
    for (const cell of cells) cell.kill();
    await Promise.all(cells.map(({ gone }) => gone));
  }

  #all(): CellRecord[] {
    const others = this.#spare === undefined ? this.#ending : [this.#spare, ...this.#ending];
    return [...this.serving(), ...others];
  }

  /** @param minSize How many workers it has when nothing is to be done. */
  #start(minSize = this.#options.minSize): CellRecord {
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
    const options = { ...this.#options, permissions: undefined, minSize, takesOver: this.#warm };
    const cell = this.#startCell(options, spec, {
      message: (message) => this.#events.message(record, message),
      gone: (death, begun) => this.#gone(record, death, begun),
    });
    const record = new CellRecord(cell, this.#count++);
    if (this.#watched) cell.post({ type: "watch-events", on: true });
    return record;
  }

  /** Another takes over. */
  #replace(): void {
    const { size, minSize, maxZombies, restarts } = this.#options;
    const spare = this.#spare;
    this.#spare = undefined;
    this.#startAt = undefined;
    this.#current = spare ?? this.#start();
    this.#current.used = true;
    spare?.cell.post({ type: "resize", sizes: { size, minSize, maxZombies, restarts } });
  }

  /** It has no tasks, and is to end. */
  #end(record: CellRecord): void {
    this.#ending.add(record);
    // One that is ready may have something to clean up.
    const cleans = record.readyAt !== undefined && this.#options.setup.initializer !== undefined;
    if (cleans) record.cell.post({ type: "stop" });
    else record.cell.kill();
  }

  #gone(record: CellRecord, death: DeathData, begun: Claimed): void {
    const current = record === this.#current;
    const left = this.#leaving.delete(record);
    const ended = this.#ending.delete(record);
    this.#toLeave.delete(record);
    const trial = record === this.#trial;
    if (record === this.#spare) this.#spare = undefined;
    if (current) this.#current = undefined;
    if (trial) this.#trial = undefined;
    this.#events.gone(record, death, left || ended || this.#closing);
    if (this.#closing) return this.#tellIfClosed();
    if (current) {
      this.#follow(record, death, begun);
    } else if (trial) {
      this.#tried(record, death, begun);
    } else if (left || ended) {
      // None takes its place.
      this.#events.blame(record, death, begun);
      this.#events.lost(record, death, begun);
    }
    this.#leaveNext();
  }

  /** Those leave that were to when another had, as many as may be on their way. */
  #leaveNext(): void {
    if (this.#closing) return;
    for (const record of this.#toLeave) {
      if (this.#isFull) return;
      this.#toLeave.delete(record);
      this.leave(record);
    }
  }

  /** Whether no more cells may be on their way. */
  get #isFull(): boolean {
    return this.#leaving.size + this.#ending.size >= this.#options.maxZombies;
  }

  /** What follows from the end of the current one. */
  #follow(record: CellRecord, death: DeathData, begun: Claimed): void {
    const verdict = this.#judge(record, death, begun);
    if (verdict === "never") {
      this.#closing = true;
      return this.#events.broken(death);
    }
    const { pause, unavailable } = verdict;
    const at = now();
    if (this.#spare !== undefined || (pause === 0 && this.#starts.restarts.wait(0, at) === 0)) {
      this.#replace();
    } else {
      this.#startAt = at + pause;
      this.#startNext();
    }
    this.#events.lost(record, death, begun);
    if (unavailable !== undefined) this.#events.unavailable(unavailable);
    if (record.readyAt !== undefined && this.#current !== undefined) this.keepSpare();
  }

  /** What follows from the end of the one for trials. */
  #tried(record: CellRecord, death: DeathData, begun: Claimed): void {
    const verdict = this.#judge(record, death, begun);
    if (verdict !== "never") this.#trialAt = now() + verdict.pause;
    this.#events.lost(record, death, begun);
    if (verdict !== "never" && verdict.unavailable !== undefined) {
      this.#events.unavailable(verdict.unavailable);
    }
  }

  #judge(record: CellRecord, death: DeathData, begun: Claimed): Verdict {
    const { readyAt } = record;
    if (!this.#events.blame(record, death, begun)) this.#starts.restarts.spend(now());
    return this.#starts.ended(death, { begun: begun.size > 0, readyAt, warm: this.#warm }, now());
  }

  /** Starts the next when it may be started. */
  #startNext(): void {
    clearTimeout(this.#pause);
    const at = now();
    const wait = Math.max(0, this.#startAt! - at, this.#starts.restarts.wait(0, at));
    this.#pause = later(() => {
      if (now() < this.#startAt! || this.#starts.restarts.wait(0, now()) > 0) return this.#startNext();
      this.#replace();
      this.#events.started();
    }, wait);
  }

  #tellIfClosed(): void {
    if (this.#current !== undefined || this.#ending.size > 0 || this.#closed) return;
    this.#closed = true;
    this.#events.closed();
  }
}

/** Timers may be early by a part of a millisecond. */
function later(act: () => void, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(act, Math.min(Math.ceil(ms) + 1, MAX_TIMER_MS));
}
