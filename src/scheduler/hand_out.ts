import type { ModuleBook } from "./module_book.ts";
import type { Offered } from "./offered.ts";
import type { DeathData } from "../wire/protocol.ts";
import type { Placement } from "./placement.ts";
import { isUrgent } from "./queue.ts";
import type { SchedulerOptions, Task } from "./scheduling.ts";
import type { WaitingTasks } from "./waiting_tasks.ts";
import { isFull, type WorkerRecord, type Workers } from "./workers.ts";

/** Work that is handed out at once is expected to take about this long, in milliseconds. */
const BATCH_MS = 32;
/** Less work than this is not worth moving to a free worker, in milliseconds. */
const STEAL_MS = 0.25;
/** A task expected to run longer than this is handed out only to a free worker, in milliseconds. */
const AHEAD_MS = 20;
/**
 * While tasks wait on a worker it is looked at every so many milliseconds, at the latest, to read its results: it says
 * nothing about them as long as it has more to do. Each message would take its core away between two tasks.
 */
const LOOK_MS = 8;
/** How many tasks of modules that were given up one look for the next settles: other deadlines are not to wait. */
const MAX_REFUSED = 1_000;
/** How long a task may run, however short it was expected to be, before those behind it are taken back. */
export const LATE_MS = 4;

/** Settles a task of a module that keeps ending workers. */
type Refuse<T> = (task: T, death: DeathData, now: number) => void;

/**
 * How much a worker is given at once, so that messages are few and no task waits behind a long one: as many tasks as
 * are expected to keep it busy for a moment, and what turns out to be too much is taken back for a free worker.
 */
export class HandOut<T extends Task> {
  readonly #options: SchedulerOptions;
  readonly #workers: Workers<T>;
  readonly #waiting: WaitingTasks<T>;
  readonly #modules: ModuleBook;
  readonly #placement: Placement<T>;
  readonly #refuse: Refuse<T>;

  constructor(
    options: SchedulerOptions,
    workers: Workers<T>,
    waiting: WaitingTasks<T>,
    modules: ModuleBook,
    placement: Placement<T>,
    refuse: Refuse<T>,
  ) {
    this.#options = options;
    this.#workers = workers;
    this.#waiting = waiting;
    this.#modules = modules;
    this.#placement = placement;
    this.#refuse = refuse;
  }

  /** Takes out of the queue what the worker is to be given now. */
  take(worker: WorkerRecord<T>, onlyUrgent: boolean, now: number): T[] {
    const tasks: T[] = [];
    if (worker.leaving || (this.#placement.lacks(worker) && !this.#isNext(worker, now))) return tasks;
    const { state } = worker;
    const held = state.phase === "busy" ? state.offered.size : 0;
    const most = this.#most(worker, held);
    let expected = 0;
    if (state.phase === "busy") {
      if (state.starting !== undefined) return tasks;
      const first = state.offered.first()!;
      if (first.seq === state.condemned) return tasks;
      const estimate = this.#modules.estimate(first.module);
      if (estimate === undefined || estimate > AHEAD_MS) return tasks;
      if (now - state.since > this.lateAfter(first)) return tasks;
      expected = estimate * held;
      // Refilling by halves, here too: otherwise each task that ends would cost a message for the next one.
      if (held > 1 && expected > BATCH_MS / 2) return tasks;
    }
    for (let holds = held; holds < most; holds++) {
      const task = this.#next(worker, now);
      if (task === undefined || (onlyUrgent && !isUrgent(task))) break;
      const estimate = this.#modules.estimate(task.module);
      const risky = this.#modules.isHeld(task.module);
      const alone = estimate === undefined || estimate > AHEAD_MS || task.exclusive || risky ||
        isUrgent(task);
      // One is always waiting behind a running one, so that the worker need not wait for the next message.
      if (holds > 0 && (alone || (expected + estimate > BATCH_MS && holds > 1))) break;
      this.#waiting.take(task);
      if (risky) this.#modules.probe(task);
      tasks.push(task);
      if (alone) break;
      expected += estimate;
    }
    return tasks;
  }

  /** The numbers of the tasks that would keep a worker longer than it takes to move them to a free one. */
  surplus(offered: Offered<T>): number[] {
    const estimate = this.#modules.estimate(offered.first()!.module) ?? BATCH_MS;
    const behind = offered.size - 1;
    return estimate * behind < STEAL_MS ? [] : offered.seqs().slice(-Math.ceil(behind / 2));
  }

  /** For how long the task at the head of others may run before they are taken back, in milliseconds. */
  lateAfter(task: T): number {
    return Math.max(LATE_MS, 2 * (this.#modules.estimate(task.module) ?? 0));
  }

  /** When to see what became of the first task, and whether it keeps those behind it waiting. */
  lookAt(offered: Offered<T>, now: number): number {
    return now + Math.min(LOOK_MS, this.lateAfter(offered.first()!));
  }

  /** How many tasks a worker may hold in all; it holds some now. */
  #most(worker: WorkerRecord<T>, held: number): number {
    const { kind, state, handed, nextSeq } = worker;
    const { capacity, maxTasksPerWorker } = this.#options;
    const { maxOffered, maxSeq, maxSpan } = capacity[kind];
    // Refilling by halves keeps messages few.
    if (held > maxOffered / 2 || isFull(worker)) return 0;
    const firstSeq = state.phase === "busy" ? state.offered.first()!.seq : nextSeq;
    return Math.min(
      maxOffered,
      held + Math.ceil(this.#waiting.size / this.#sharers),
      held + maxTasksPerWorker - handed,
      held + maxSpan - (nextSeq - firstSeq),
      held + maxSeq + 1 - nextSeq,
    );
  }

  /** How many workers share what waits; one that comes later takes its part from others. */
  get #sharers(): number {
    const { busy, idle } = this.#workers;
    return Math.max(1, Math.min(this.#options.size, busy + idle));
  }

  /** Whether the worker may run the task whose turn it is. */
  #isNext(worker: WorkerRecord<T>, now: number): boolean {
    const first = this.#waiting.first();
    return first !== undefined && this.#placement.may(worker, first, now);
  }

  /** The next task for the worker. Those of a module that was given up are settled on the way. */
  #next(worker: WorkerRecord<T>, now: number): T | undefined {
    const refused = ({ module }: T) => this.#modules.refused(module, now);
    const may = (task: T) => refused(task) !== undefined || this.#placement.may(worker, task, now);
    for (let count = 0;; count++) {
      const task = this.#waiting.peek(may);
      if (task === undefined) return undefined;
      const death = refused(task);
      if (death === undefined) return task;
      if (count === MAX_REFUSED) {
        this.#waiting.unseen = true;
        return undefined;
      }
      this.#waiting.take(task);
      this.#refuse(task, death, now);
    }
  }
}
