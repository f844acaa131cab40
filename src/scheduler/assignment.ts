import type { Books } from "./books.ts";
import { type HandOut, LATE_MS } from "./hand_out.ts";
import { START_MS } from "./head_start.ts";
import { lookBy } from "./judgement.ts";
import type { ModuleBook } from "./module_book.ts";
import type { Orders } from "./orders.ts";
import type { Placement } from "./placement.ts";
import { rank } from "./queue.ts";
import type { Result, SchedulerOptions, Task } from "./scheduling.ts";
import type { Demand, Staff } from "./staff.ts";
import type { WaitingTasks } from "./waiting_tasks.ts";
import { type Busy, startOf, type WorkerRecord, type Workers } from "./workers.ts";

const NONE: readonly number[] = [];

/**
 * Which worker is given which of the waiting tasks, and when some are taken back: for one that comes before them, or
 * for a worker that is free.
 */
export class Assignment<T extends Task, R extends Result> {
  readonly #options: SchedulerOptions;
  readonly #orders: Orders<T, R>;
  readonly #staff: Staff<T, R>;
  readonly #workers: Workers<T>;
  readonly #modules: ModuleBook;
  readonly #queue: WaitingTasks<T>;
  readonly #placement: Placement<T>;
  readonly #handOut: HandOut<T>;
  /** When tasks were taken back for one that comes before them. */
  #overtookAt = -Infinity;

  constructor({ options, orders, staff, modules, queue, placement }: Books<T, R>, handOut: HandOut<T>) {
    this.#options = options;
    this.#orders = orders;
    this.#staff = staff;
    this.#workers = staff.workers;
    this.#modules = modules;
    this.#queue = queue;
    this.#placement = placement;
    this.#handOut = handOut;
  }

  /** Hands waiting tasks to workers. */
  assign(now: number): void {
    if (this.#queue.size > 0 && this.#hasFree()) {
      for (const worker of this.#workers.idleByTurn()) {
        this.#offer(worker, now);
        if (this.#queue.size === 0 || !this.#hasFree()) break;
      }
    }
    if (this.#workers.busy === 0 && this.#queue.size === 0) return;
    const free = this.#hasFree() ? this.#workers.allIdle() : [];
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      if (state.phase !== "busy" || (this.#queue.size > 0 && this.#offer(worker, now))) continue;
      if (state.offered.size < 2) continue;
      const last = state.offered.last()!;
      if (free.some((idle) => this.#placement.may(idle, last, now))) this.#steal(worker, state, now);
    }
    if (this.#queue.unseen) this.#orders.wakeBy(now + 1);
    this.#queue.unseen = false;
  }

  /** The bridge has this task, from the entry, and begins it when it is ready. */
  handed(task: T, now: number): void {
    const worker = this.#workers.bridge!;
    this.#give(worker, [task], now);
    this.#introduce(worker, [task]);
    this.#orders.wakeBy(startOf(worker)!.since + START_MS);
  }

  /** Takes back what the bridge was handed, if it takes too long to start: another may begin it sooner. */
  reclaim(now: number): void {
    const { bridge } = this.#workers;
    if (bridge?.state.phase !== "busy" || bridge.state.starting === undefined) return;
    const at = bridge.state.starting.since + START_MS;
    if (now < at) this.#orders.wakeBy(at);
    else this.#orders.takeBack(bridge.id, bridge.state.offered.seqs());
  }

  /**
   * Idle workers that may not run what waits, and has a place, make room for others: those that failed to load the module
   * at the expense of the restart budget, as the next one may fail too.
   */
  makeRoom(now: number): void {
    if (this.#queue.size === 0 || !this.#hasFree()) return;
    const fresh = { kind: this.#options.kind, home: undefined, generation: Number.MAX_SAFE_INTEGER };
    for (const { module, size } of this.#queue.aside()) {
      if (!this.#placement.suits(fresh, module)) continue;
      const places = Math.max(1, this.#options.size - this.#workers.busy);
      const wanted = Math.min(places, this.#modules.isHeld(module) ? 1 : size);
      let missing = wanted - this.#placement.soon(module, now);
      for (const worker of missing > 0 ? this.#workers.allIdle() : []) {
        const paid = !worker.unloaded.has(module);
        if (worker.bridge || (paid && this.#placement.suits(worker, module))) continue;
        if (!paid && !this.#staff.mayRisk(now)) continue;
        this.#staff.replace(worker, paid, now);
        if (--missing === 0) break;
      }
    }
  }

  /** Tasks that a worker holds but has not begun are still waiting: others may come before them. */
  overtake(now: number): void {
    let taken = false;
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      if (state.phase !== "busy") continue;
      // The first is taken to have begun, but for one that waits for the start of its worker.
      if (state.offered.size < 2 && state.starting === undefined) continue;
      const first = this.#queue.peek((task) => this.#placement.may(worker, task, now));
      if (!state.disordered && !(first !== undefined && overtakes(first, state.offered.last()!))) continue;
      // In a flood of them, tasks would do nothing but come and go.
      if (now < this.#overtookAt + LATE_MS) return this.#orders.wakeBy(this.#overtookAt + LATE_MS);
      state.disordered = false;
      this.#orders.takeBack(worker.id, state.offered.seqs());
      taken = true;
    }
    if (taken) this.#overtookAt = now;
  }

  /** What waits for workers. */
  demand(): Demand {
    const { queued, urgent } = this.#queue;
    let [tasks, processes] = [queued, 0];
    for (const { module, size } of this.#queue.aside()) {
      // Of a module that is held only one is tried at a time.
      const count = this.#modules.isHeld(module) ? 1 : size;
      if (this.#modules.kindOf(module) === "process") processes += count;
      else tasks += count;
    }
    return { tasks, processes, urgent };
  }

  /** Whether an idle worker may be given the first task in the queue. */
  #hasFree(): boolean {
    if (this.#workers.idle === 0) return false;
    return this.#workers.busy < this.#options.size || this.#queue.urgent;
  }

  /** Takes tasks back from a worker that another could begin at once. */
  #steal(worker: WorkerRecord<T>, state: Busy<T>, now: number): void {
    // All of them may have begun: then trying again at once would go on for ever.
    if (now < state.stolenAt + LATE_MS) return this.#orders.wakeBy(state.stolenAt + LATE_MS);
    const seqs = this.#handOut.surplus(state.offered);
    if (seqs.length === 0) return this.#orders.wakeBy(now + LATE_MS);
    state.stolenAt = now;
    this.#orders.takeBack(worker.id, seqs);
  }

  /** Gives a worker as much as it should have now. False if that is nothing. */
  #offer(worker: WorkerRecord<T>, now: number): boolean {
    // Beyond the size of the pool there is room only for what waits for no place.
    const onlyUrgent = worker.state.phase === "idle" && this.#workers.busy >= this.#options.size;
    const tasks = this.#handOut.take(worker, onlyUrgent, now);
    if (tasks.length === 0) return false;
    const last = worker.state.phase === "busy" ? worker.state.offered.last() : undefined;
    const state = this.#give(worker, tasks, now);
    const { offered } = state;
    if (last !== undefined && overtakes(tasks[0]!, last)) {
      state.disordered = true;
      this.#orders.wakeBy(this.#overtookAt + LATE_MS);
    }
    this.#orders.push({ type: "offer", worker: worker.id, tasks, modules: this.#introduce(worker, tasks) });
    let shortest = Infinity;
    for (const { timeout, softTimeout } of tasks) {
      shortest = Math.min(shortest, timeout, softTimeout ?? Infinity);
    }
    const dueAt = lookBy(shortest, this.#options.loadTimeout, now);
    this.#orders.watch(worker.id, Math.min(dueAt, this.#doubtBy(offered.first()!, now)));
    if (offered.size > 1) this.#orders.wakeBy(this.#handOut.lookAt(offered, now));
    return true;
  }

  /** The worker has these tasks from now on. */
  #give(worker: WorkerRecord<T>, tasks: readonly T[], now: number): Busy<T> {
    this.#staff.place(worker);
    for (const task of tasks) {
      task.state = "offered";
      task.slot = worker.slot;
      task.seq = worker.nextSeq++;
    }
    return this.#workers.give(worker, tasks, now);
  }

  /** When the task may look as if it hung, if it begins now. */
  #doubtBy({ timeout, module }: T, now: number): number {
    return this.#staff.spares.doubtAt({ since: now, timeout, estimate: this.#modules.estimate(module) });
  }

  /** The modules of the tasks that are new to the worker. */
  #introduce(worker: WorkerRecord<T>, tasks: readonly T[]): readonly number[] {
    let modules: number[] | undefined;
    for (const { module } of tasks) {
      if (worker.modules.has(module)) continue;
      worker.modules.add(module);
      worker.chars += this.#modules.charsOf(module);
      (modules ??= []).push(module);
    }
    return modules ?? NONE;
  }
}

/** Whether a task is to run before another for its higher priority. */
function overtakes(task: Task, other: Task): boolean {
  return task.priority > other.priority && rank(task) < rank(other);
}
