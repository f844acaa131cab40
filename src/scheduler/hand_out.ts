import type { ModuleBook } from "./module_book.ts";
import type { Offered } from "./offered.ts";
import type { DeathData } from "../wire/protocol.ts";
import { isUrgent, type TaskQueue } from "./queue.ts";
import type { SchedulerOptions, Task } from "./scheduling.ts";
import type { WorkerRecord } from "./workers.ts";

/** Work that is handed out at once is expected to take about this long, in milliseconds. */
const BATCH_MS = 32;
/** Less work than this is not worth moving to a free worker, in milliseconds. */
const STEAL_MS = 0.25;
/** A task expected to run longer than this is handed out only to a free worker, in milliseconds. */
const AHEAD_MS = 20;
/**
 * While tasks wait on a worker it is looked at every so many milliseconds, at the latest: to read the results, of which
 * it says nothing as long as it has more to do. Each word from it would take its core from it between two tasks.
 */
const LOOK_MS = 8;
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
  readonly #queue: TaskQueue<T>;
  readonly #modules: ModuleBook;
  readonly #refuse: Refuse<T>;

  constructor(options: SchedulerOptions, queue: TaskQueue<T>, modules: ModuleBook, refuse: Refuse<T>) {
    this.#options = options;
    this.#queue = queue;
    this.#modules = modules;
    this.#refuse = refuse;
  }

  /** Takes out of the queue what the worker is to be given now. */
  take(worker: WorkerRecord<T>, onlyUrgent: boolean, now: number): T[] {
    const tasks: T[] = [];
    const { state } = worker;
    const held = state.phase === "busy" ? state.offered.size : 0;
    const most = this.#most(worker, held);
    let expected = 0;
    if (state.phase === "busy") {
      const first = state.offered.first()!;
      if (first.seq === state.condemned) return tasks;
      const estimate = this.#modules.estimate(first.module);
      if (estimate === undefined || estimate > AHEAD_MS) return tasks;
      if (now - state.since > this.lateAfter(first)) return tasks;
      expected = estimate * held;
      // Refilling by halves, here too: else each task that ends is a message for the next one.
      if (held > 1 && expected > BATCH_MS / 2) return tasks;
    }
    for (let holds = held; holds < most; holds++) {
      const task = this.#next(now);
      if (task === undefined || (onlyUrgent && !isUrgent(task))) break;
      const estimate = this.#modules.estimate(task.module);
      const alone = estimate === undefined || estimate > AHEAD_MS || task.exclusive ||
        isUrgent(task);
      // One is always waiting behind a running one, so that the worker need not wait for the next message.
      if (holds > 0 && (alone || (expected + estimate > BATCH_MS && holds > 1))) break;
      this.#queue.shift();
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

  /** How many tasks a worker may hold that holds some now. */
  #most({ state, handed, nextSeq }: WorkerRecord<T>, held: number): number {
    const { maxOffered, maxSeq, maxSpan, maxTasksPerWorker, size } = this.#options;
    // Refilling by halves keeps messages few.
    if (held > maxOffered / 2) return 0;
    const firstSeq = state.phase === "busy" ? state.offered.first()!.seq : nextSeq;
    return Math.min(
      maxOffered,
      held + Math.ceil(this.#queue.size / size),
      held + maxTasksPerWorker - handed,
      held + maxSpan - (nextSeq - firstSeq),
      held + maxSeq + 1 - nextSeq,
    );
  }

  /** The next task to run. Those of a module that keeps ending workers are settled on the way. */
  #next(now: number): T | undefined {
    for (;;) {
      const task = this.#queue.peek();
      if (task === undefined) return undefined;
      const refused = this.#modules.refused(task.module, now);
      if (refused === undefined) return task;
      this.#queue.shift();
      this.#refuse(task, refused, now);
    }
  }
}
