/**
 * How a run is stopped. The dispatcher keeps one live deadline per worker. When it fires, the dispatcher looks at
 * what the worker is doing, and tells. If the running task is over its limit, the scheduler takes back the tasks
 * that wait behind it on that worker, has the worker looked at again when all it has posted has been read (it may have
 * finished meanwhile), settles the task, and only then stops the worker: it is asked to close, interrupted after a
 * grace, and counted as a zombie if it is still there after that.
 *
 * @module
 */
import type { Books } from "./books.ts";
import type { HandOut } from "./hand_out.ts";
import { judge, type Look } from "./judgement.ts";
import type { ModuleBook } from "./module_book.ts";
import type { Offered } from "./offered.ts";
import type { Orders } from "./orders.ts";
import type { Placement } from "./placement.ts";
import type { Event, Result, SchedulerOptions, Task, Verdict } from "./scheduling.ts";
import type { Staff } from "./staff.ts";
import { CANCELLED, type TaskEnds } from "./task_ends.ts";
import type { WaitingTasks } from "./waiting_tasks.ts";
import type { Busy, WorkerRecord, Workers } from "./workers.ts";
import type { DeathData, Running } from "../wire/protocol.ts";

/** How a process ends that a task has taken along. */
const FATAL: readonly DeathData["reason"][] = ["signal", "memory"];

/** What is heard of the workers that hold tasks: results, what they are doing, their end; and what follows from it. */
export class Runs<T extends Task, R extends Result> {
  readonly #options: SchedulerOptions;
  readonly #orders: Orders<T, R>;
  readonly #staff: Staff<T, R>;
  readonly #workers: Workers<T>;
  readonly #modules: ModuleBook;
  readonly #queue: WaitingTasks<T>;
  readonly #placement: Placement<T>;
  readonly #handOut: HandOut<T>;
  readonly #ends: TaskEnds<T, R>;
  #idleDeaths = 0;

  constructor(
    { options, orders, staff, modules, queue, placement }: Books<T, R>,
    handOut: HandOut<T>,
    ends: TaskEnds<T, R>,
  ) {
    this.#options = options;
    this.#orders = orders;
    this.#staff = staff;
    this.#workers = staff.workers;
    this.#modules = modules;
    this.#queue = queue;
    this.#placement = placement;
    this.#handOut = handOut;
    this.#ends = ends;
  }

  /** How many workers have ended that were not told to, and had nothing to do. */
  get idleDeaths(): number {
    return this.#idleDeaths;
  }

  /** Tasks have come to an end of their own. */
  results(id: number, results: readonly R[], now: number): void {
    const worker = this.#workers.get(id);
    if (worker?.state.phase === "letting-go") {
      const { seq } = worker.state;
      if (results.some((result) => result.seq === seq)) this.#staff.free(worker, now);
      return;
    }
    // A late reply: its task was settled when its worker was stopped.
    if (worker?.state.phase !== "busy") return;
    this.#finishAll(worker, worker.state, results, now);
    if (worker.state.offered.size === 0) this.#staff.free(worker, now);
  }

  #finishAll(worker: WorkerRecord<T>, state: Busy<T>, results: readonly R[], now: number): void {
    if (results.some(({ unloaded }) => !unloaded)) this.#staff.starts.served(worker);
    else if (results.length > 0) this.#staff.starts.prove(worker);
    for (const result of results) {
      const task = state.offered.take(result.seq);
      if (task === undefined) continue;
      this.#ends.finish(task, worker, result, now);
      this.#staff.spares.ran(result.endedAt - result.startedAt);
      state.since = result.endedAt;
      this.#ranLast(worker, task);
    }
  }

  /** A worker has given tasks back. */
  takenBack(id: number, seqs: readonly number[], now: number): void {
    const worker = this.#workers.get(id);
    if (worker?.state.phase !== "busy" || seqs.length === 0) return;
    const { state } = worker;
    if (state.stuck && state.offered.first()!.seq === seqs[0]) state.offered.first()!.refusals++;
    worker.handed -= this.#requeue(worker, state.offered, seqs, now);
    if (state.offered.size > 0) return;
    if (state.stuck) this.#stop(worker, now);
    else this.#staff.free(worker, now);
  }

  /** Puts tasks that a worker held but had not begun back into the queue. Returns how many it no longer holds. */
  #requeue(worker: WorkerRecord<T>, offered: Offered<T>, seqs: readonly number[], now: number): number {
    let count = 0;
    for (const seq of seqs) {
      const task = offered.take(seq);
      if (task === undefined) continue;
      count++;
      this.#ends.putBack(worker, task, now);
    }
    return count;
  }

  #ranLast(worker: WorkerRecord<T>, { module }: T): void {
    worker.lastModule = module;
    worker.lastFile = this.#modules.fileOf(module);
  }

  /** Does what is to be done about what a worker is doing. */
  looked(id: number, look: Look, now: number): void {
    const worker = this.#workers.get(id);
    if (worker?.state.phase !== "busy") return;
    const { state } = worker;
    state.begun = look.running?.seq ?? -1;
    if (this.#staff.departures.terminated) return this.#cancelAll(worker, state, look, now);
    const { capacity, loadTimeout } = this.#options;
    const alone = capacity[worker.kind].maxOffered === 1;
    const judgement = judge(state, look, loadTimeout, alone, now);
    if ("task" in judgement && judgement.verdict !== "drop") this.#begun(worker, state, judgement.task, look);
    switch (judgement.verdict) {
      case "wait":
        return this.#orders.watch(worker.id, judgement.at);
      case "drop":
        state.offered.take(judgement.task.seq);
        this.#ends.drop(judgement.task, CANCELLED, now);
        return this.#endRun(worker, judgement.task, this.#graceOf(judgement.task), now);
      case "doubt":
        state.stuck = true;
        if (!alone) this.#orders.takeBack(worker.id, state.offered.seqs());
        return this.#orders.look(worker.id, true);
      case "give-up":
        return this.#giveUp(worker, state, now);
      case "condemn":
        state.condemned = judgement.seq;
        if (state.offered.size > 1) this.#orders.takeBack(worker.id, state.offered.seqs());
        return this.#orders.look(worker.id, true);
      case "end": {
        const { task, running: { seq, since, loading }, limit } = judgement;
        state.offered.take(seq);
        task.attempts++;
        const run = { worker: worker.id, startedAt: since, ranMs: now - since, begun: true };
        const verdict: Verdict = task.cancelled === "yes"
          ? CANCELLED
          : { status: "timed-out", limit: { loading, timeout: limit } };
        this.#ends.end(task, run, verdict, now);
        this.#ranLast(worker, task);
        // Of a limit for loading a module knows nothing, but a task that is cancelled need not begin.
        const grace = loading && verdict !== CANCELLED ? 0 : this.#graceOf(task);
        return this.#endRun(worker, task, grace, now);
      }
      case "go-on": {
        const { task, running: { seq, since }, at, soften } = judgement;
        if (soften) {
          state.softened = seq;
          this.#orders.push({ type: "abort", worker: worker.id, seq, over: false });
        }
        this.#orders.watch(worker.id, Math.min(at, this.#doubt(worker, state, judgement, now)));
        if (state.offered.size > 1 && now - since > this.#handOut.lateAfter(task)) {
          this.#orders.takeBack(worker.id, state.offered.seqs());
        }
        return;
      }
      default:
        judgement satisfies never;
    }
  }

  /** The worker was seen in the middle of the task. */
  #begun(worker: WorkerRecord<T>, state: Busy<T>, task: T, { running }: Look): void {
    state.stuck = false;
    this.#staff.starts.prove(worker);
    if (running?.callbacks !== undefined) this.#modules.loaded(task.module, running.callbacks);
  }

  /** Has a spare started for a task that looks as if it hung. Returns when it will; `Infinity` for never. */
  #doubt(
    { kind }: WorkerRecord<T>,
    state: Busy<T>,
    { task, running: { seq, since, loading } }: { task: T; running: Running },
    now: number,
  ): number {
    if (loading || kind !== this.#options.kind) return Infinity;
    const run = { since, timeout: task.timeout, estimate: this.#modules.estimate(task.module) };
    const at = this.#staff.spares.doubtAt(run);
    if (now < at) return at;
    state.doubted = { seq, stops: this.#staff.spares.expects(run) };
    this.#staff.spares.announced(this.#workers.expectedStops, now);
    this.#orders.wakeBy(this.#staff.spares.fewerAt);
    return Infinity;
  }

  /** Stops a worker that begins nothing. What it can no longer run goes to another; what has left for it is lost. */
  #giveUp(worker: WorkerRecord<T>, { offered }: Busy<T>, now: number): void {
    offered.first()!.refusals++;
    for (const task of offered.drain()) {
      if (task.exclusive && task.cancelled === "no") this.#ends.refused(worker, task, now);
      else this.#ends.putBack(worker, task, now);
    }
    this.#stop(worker, now);
  }

  /** Has the worker end a task that has its outcome, or ends the worker. */
  #endRun(worker: WorkerRecord<T>, { seq }: T, grace: number, now: number): void {
    if (grace === 0) this.#stop(worker, now);
    else this.#staff.departures.letGo(worker, seq, grace, this.#queue.size, now);
  }

  /** How long the task, which has its outcome, has to let go of its worker. */
  #graceOf({ cancelled, cancelGrace, timeoutGrace }: T): number {
    return cancelled === "yes"
      ? cancelGrace ?? this.#options.cancelGrace
      : timeoutGrace ?? this.#options.timeoutGrace;
  }

  #stop(worker: WorkerRecord<T>, now: number): void {
    this.#staff.departures.stop(worker, this.#queue.size, now);
  }

  /** A worker has ended. What it held is lost, or goes to another. */
  gone(event: Event<T, R> & { type: "gone" }, now: number): void {
    const { death, results, running } = event;
    const worker = this.#staff.departures.gone(event.worker);
    if (worker === undefined) return;
    const { state } = worker;
    const ended = running === undefined || results.some(({ seq }) => seq === running.seq);
    const ender = state.phase === "busy" && !ended ? state.offered.find(running.seq) : undefined;
    const paid = state.phase === "letting-go" || this.#hasPaid(worker, results.length > 0, ender);
    const untold = state.phase === "busy"
      ? this.#lose(worker, state, event, now) === 0
      : state.phase === "idle";
    // A worker that a task has spoilt says so by itself.
    if (untold && death.changed === undefined) this.#diedIdle(worker, death);
    // One that let go of its task was counted when it did. Where the budget pays, spares are not to follow.
    if (paid && state.phase !== "letting-go") this.#staff.departures.lost(worker, now);
    this.#staff.starts.judge(worker, death, results.length > 0 || running !== undefined, paid, now);
  }

  /** Ends or puts back what an ended worker held. Returns how many tasks it took along. */
  #lose(
    worker: WorkerRecord<T>,
    state: Busy<T>,
    { death, results, running, unclaimed }: Event<T, R> & { type: "gone" },
    now: number,
  ): number {
    this.#finishAll(worker, state, results, now);
    this.#requeue(worker, state.offered, unclaimed, now);
    const lost = state.offered.drain();
    for (const task of lost) {
      const begun = task.seq === running?.seq;
      if (begun && running.callbacks !== undefined) this.#modules.loaded(task.module, running.callbacks);
      const startedAt = begun ? running.since : state.since;
      const run = { worker: worker.id, startedAt, ranMs: Math.max(0, now - startedAt), begun };
      // A thread would have taken the program along.
      if (begun && worker.kind === "process" && FATAL.includes(death.reason)) {
        this.restrict(this.#modules.fileOf(task.module), "crash");
      }
      this.#ends.crashed(task, run, death, now);
    }
    return lost.length;
  }

  /**
   * Whether good work was done before a worker ended: on it, or by the module of the task that ended it. Not where its
   * end was to be expected.
   */
  #hasPaid(worker: WorkerRecord<T>, served: boolean, ender: T | undefined): boolean {
    if (ender === undefined) return served || worker.useful;
    if (this.#modules.isHeld(ender.module)) return false;
    return served || worker.useful || this.#modules.isSound(ender.module);
  }

  #diedIdle({ id, lastModule }: WorkerRecord<T>, death: DeathData): void {
    this.#idleDeaths++;
    this.#orders.push({ type: "idle-death", worker: id, death, module: lastModule });
  }

  /** The modules of the file are too much for threads: where they may, they run in processes from now on. */
  restrict(file: number, why: "zombie" | "crash"): void {
    const { kind, processes } = this.#options;
    if (kind === "process" || !processes || !this.#modules.restrict(file, "process")) return;
    this.#orders.push({ type: "restricted", file, why });
  }

  /** The worker skips what it holds of other files. */
  home(id: number, module: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.home = this.#modules.fileOf(module);
    const { state } = worker;
    if (state.phase !== "busy") return;
    const seqs = state.offered.seqs().filter((seq) => {
      return !this.#placement.suits(worker, state.offered.find(seq)!.module);
    });
    if (seqs.length > 0) this.#orders.takeBack(id, seqs);
  }

  /** Stops all workers: none of their tasks is waited for. A look tells what they have begun. */
  terminate(now: number): void {
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      if (state.phase === "letting-go") this.#stop(worker, now);
      if (state.phase !== "busy") continue;
      for (const task of state.offered) if (task.cancelled === "no") task.cancelled = "if-waiting";
      this.#orders.takeBack(worker.id, state.offered.seqs());
      this.#orders.look(worker.id);
    }
  }

  /** Ends what a worker has not given back: it runs one, and may have begun the others. */
  #cancelAll(worker: WorkerRecord<T>, { offered, since }: Busy<T>, { running }: Look, now: number): void {
    for (const task of offered.drain()) {
      const startedAt = task.seq === running?.seq ? running.since : since;
      task.attempts++;
      const run = { worker: worker.id, startedAt, ranMs: Math.max(0, now - startedAt), begun: true };
      this.#ends.settle(task, run, CANCELLED);
    }
    this.#stop(worker, now);
  }
}
