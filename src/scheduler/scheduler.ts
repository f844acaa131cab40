/**
 * What happens when: which worker gets which task, when a task is over, what becomes of it.
 *
 * Pure: events and the time go in, commands come out. It touches no worker, no clock, no global; the dispatcher
 * carries its commands out, in their order, and tells it what came of them. All times are milliseconds.
 *
 * Here is the life of a task. Which workers there are is for `staff.ts`, how much a worker is given at once for
 * `hand_out.ts`, the order of those that wait for `queue.ts`.
 *
 * How a run is stopped. The dispatcher keeps one live deadline a worker. When it fires, the dispatcher looks at
 * what the worker is doing, and tells. If the running task is over its limit, the scheduler takes back the tasks
 * that wait behind it on that worker, has the worker looked at again when all it has posted was read (it may have
 * finished meanwhile), settles the task, and only then stops the worker: it is asked to close, interrupted after a
 * grace, and counted as a zombie if it is still there after that.
 *
 * @module
 */
import { Histogram } from "./histogram.ts";
import { ModuleBook } from "./module_book.ts";
import { HandOut, LATE_MS } from "./hand_out.ts";
import type { Offered } from "./offered.ts";
import { Orders } from "./orders.ts";
import type { DeathData, Running, StatsData } from "../wire/protocol.ts";
import { isUrgent, rank, TaskQueue } from "./queue.ts";
import { RetryList } from "./retry_list.ts";
import type { Command, Event, Result, Run, SchedulerOptions, Task, Verdict } from "./scheduling.ts";
import { Staff } from "./staff.ts";
import type { Busy, WorkerRecord, Workers } from "./workers.ts";

/** A worker that does not begin a task within this is stopped, and the task goes to another, which has longer. */
const BEGIN_MS = 1_000;
/** How many times longer the next one has. */
const BEGIN_FACTOR = 4;
/** How many workers may refuse a task. */
const MAX_REFUSALS = 3;
/** Buffers take about a millisecond for so many bytes to reach a process, on a busy machine. */
const BYTES_PER_MS = 20_000;
/** All else takes up to some thirty times as long to reach a process as to be sent, and waits for that of others. */
const PER_SEND_MS = 100;
/** The longest watch: no timer outlives its purpose by more than this. */
const WATCH_MS = 500;

/** See the module's description. */
export class Scheduler<T extends Task, R extends Result> {
  readonly #options: SchedulerOptions;
  readonly #orders = new Orders<T, R>();
  readonly #staff: Staff<T, R>;
  readonly #workers: Workers<T>;
  readonly #modules = new ModuleBook();
  readonly #queue = new TaskQueue<T>();
  readonly #retries = new RetryList<T>();
  readonly #handOut: HandOut<T>;
  #waited = new Histogram();
  #ran = new Histogram();
  /** When tasks were taken back for one that comes before them. */
  #overtookAt = -Infinity;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#staff = new Staff(options, this.#orders, {
      broken: (now) => this.#close(true, now),
      unavailable: (death, now) => this.#failWaiting(death, now),
    });
    this.#workers = this.#staff.workers;
    this.#handOut = new HandOut(options, this.#queue, this.#modules, (task, death, now) => {
      this.#drop(task, { status: "crashed", death }, now);
    });
  }

  /** When to call `handle` with a `tick` at the latest. */
  get wakeAt(): number {
    return this.#orders.wakeAt;
  }

  /** Starts the workers. */
  start(now: number): Command<T, R>[] {
    this.#staff.meet(NOTHING, now);
    this.#staff.warmUp();
    return this.#orders.take();
  }

  /** Takes an event in and gives the commands that follow from it, to be carried out in order. */
  handle(event: Event<T, R>, now: number): Command<T, R>[] {
    switch (event.type) {
      case "batch":
        this.#queue.pushBatch(event.batch);
        break;
      case "push":
        this.#push(event.task, now);
        break;
      case "cancel":
        this.#cancel(event.task, now);
        break;
      case "initializing":
        this.#staff.initializing(event.worker, now);
        break;
      case "ready":
        this.#staff.ready(event.worker, now);
        break;
      case "results":
        this.#results(event.worker, event.results, now);
        break;
      case "looked":
        this.#looked(event.worker, event.running, event.drained, now);
        break;
      case "taken-back":
        this.#takenBack(event.worker, event.seqs, now);
        break;
      case "gone":
        this.#gone(event, now);
        break;
      case "renew":
        this.#staff.renew(now);
        break;
      case "tick":
        this.#tick(now);
        break;
      case "stop":
      case "terminate":
        this.#close(event.type === "terminate", now);
        break;
      default:
        event satisfies never;
    }
    if (this.#staff.closing) {
      this.#staff.finishClosing(now);
    } else {
      this.#assign(now);
      this.#staff.meet({ tasks: this.#queue.size, urgent: this.#urgent() }, now);
    }
    return this.#orders.take();
  }

  /** A snapshot for `stats()`. Have busy workers looked at before, or tasks just begun still count as queued. */
  stats(): StatsData {
    let held = 0;
    for (const { state } of this.#workers.all()) {
      if (state.phase === "busy") held += state.offered.size - 1;
    }
    return {
      ...this.#staff.stats(),
      queued: this.#queue.size + this.#retries.size + held,
      waitedMs: this.#waited.percentiles(),
      ranMs: this.#ran.percentiles(),
    };
  }

  /** The numbers of the tasks that a worker holds. */
  offered(id: number): number[] {
    const worker = this.#workers.get(id);
    return worker?.state.phase === "busy" ? worker.state.offered.seqs() : [];
  }

  /** The task that a worker holds under a number. */
  taskOf(id: number, seq: number): T | undefined {
    const worker = this.#workers.get(id);
    return worker?.state.phase === "busy" ? worker.state.offered.find(seq) : undefined;
  }

  /** Which callbacks a module has; undefined while no worker has loaded it. */
  callbacks(module: number): number | undefined {
    return this.#modules.callbacks(module);
  }

  // Tasks

  #push(task: T, now: number): void {
    this.#queue.push(task);
    if (task.priority > 0) this.#overtake(now);
  }

  /** Tasks that a worker holds but has not begun are still waiting: others may come before them. */
  #overtake(now: number): void {
    const first = this.#queue.peek();
    let taken = false;
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      if (state.phase !== "busy" || state.offered.size < 2) continue;
      if (!state.disordered && !(first !== undefined && overtakes(first, state.offered.last()!))) continue;
      // In a flood they would do nothing but come and go.
      if (now < this.#overtookAt + LATE_MS) return this.#orders.wakeBy(this.#overtookAt + LATE_MS);
      state.disordered = false;
      this.#takeBack(worker, state);
      taken = true;
    }
    if (taken) this.#overtookAt = now;
  }

  #cancel(task: T, now: number): void {
    switch (task.state) {
      case "queued":
        task.cancelled = true;
        this.#queue.forget();
        return this.#drop(task, CANCELLED, now);
      case "waiting":
        task.cancelled = true;
        this.#retries.forget();
        return this.#drop(task, CANCELLED, now);
      case "offered":
        // The worker may be in the middle of it, or not have begun it: a look tells.
        task.cancelled = true;
        for (const worker of this.#workers.all()) {
          if (worker.state.phase !== "busy" || worker.state.offered.find(task.seq) !== task) continue;
          this.#takeBack(worker, worker.state);
          this.#look(worker);
        }
        return;
      case "settled":
        return;
      default:
        task.state satisfies never;
    }
  }

  #results(id: number, results: readonly R[], now: number): void {
    const worker = this.#workers.get(id);
    // A late reply: its task was settled when its worker was stopped.
    if (worker?.state.phase !== "busy") return;
    this.#finishAll(worker, worker.state, results, now);
    if (worker.state.offered.size === 0) this.#staff.free(worker, now);
  }

  #finishAll(worker: WorkerRecord<T>, state: Busy<T>, results: readonly R[], now: number): void {
    if (results.length > 0) this.#staff.prove(worker);
    for (const result of results) {
      const task = state.offered.take(result.seq);
      if (task === undefined) continue;
      this.#finish(task, worker, result, now);
      state.since = result.endedAt;
    }
  }

  #finish(task: T, worker: WorkerRecord<T>, result: R, now: number): void {
    const ranMs = Math.max(0, result.endedAt - result.startedAt);
    if (result.callbacks !== undefined) this.#modules.loaded(task.module, result.callbacks);
    if (!isUrgent(task)) this.#modules.ran(task.module, ranMs);
    task.attempts++;
    const run = { worker: worker.id, startedAt: result.startedAt, ranMs, begun: true };
    // What comes after the deadline is a timeout, also when nobody had noticed yet.
    if (ranMs > task.timeout) {
      this.#end(task, run, { status: "timed-out", limit: { loading: false, timeout: task.timeout } }, now);
    } else if (task.cancelled) {
      this.#end(task, run, CANCELLED, now);
    } else if (!result.ok && this.#retry(task, run, "failed", now)) {
      return;
    } else {
      const waitedMs = Math.max(0, result.startedAt - task.pushedAt);
      this.#waited.add(waitedMs);
      this.#ran.add(ranMs);
      task.state = "settled";
      this.#orders.push({ type: "finish", task, worker: worker.id, result, waitedMs });
    }
  }

  /** Ends a run that gave no result: the task is tried again, or settled. */
  #end(task: T, run: Run, verdict: Verdict, now: number): void {
    if (verdict.status !== "cancelled" && this.#retry(task, run, verdict.status, now)) return;
    this.#settle(task, run, verdict);
  }

  #settle(task: T, { worker, startedAt, ranMs, begun }: Run, verdict: Verdict): void {
    this.#ran.add(ranMs);
    // A module that could not be loaded has no callbacks that could fire.
    const callbacks = this.#modules.callbacks(task.module) ?? (begun ? 0 : undefined);
    this.#tellSettled({
      type: "settle",
      task,
      worker,
      verdict,
      callbacks,
      waitedMs: startedAt - task.pushedAt,
      ranMs,
    });
  }

  /** Settles a task that no worker is to run, or to run once more. */
  #drop(task: T, verdict: Verdict, now: number): void {
    if (task.lastRun !== undefined) return this.#settle(task, task.lastRun, verdict);
    const callbacks = this.#modules.callbacks(task.module);
    const waitedMs = now - task.pushedAt;
    this.#tellSettled({ type: "settle", task, worker: undefined, verdict, callbacks, waitedMs, ranMs: 0 });
  }

  #tellSettled(command: Command<T, R> & { type: "settle" }): void {
    command.waitedMs = Math.max(0, command.waitedMs);
    command.task.state = "settled";
    this.#waited.add(command.waitedMs);
    this.#orders.push(command);
  }

  #retry(task: T, run: Run, status: "failed" | "crashed" | "timed-out", now: number): boolean {
    const { retry } = task;
    if (retry === undefined || task.attempts >= retry.maxAttempts || !retry.on.includes(status)) return false;
    if (task.cancelled || this.#staff.closing) return false;
    task.state = "waiting";
    task.lastRun = run;
    if (run.begun) this.#orders.push({ type: "ran", task, worker: run.worker, startedAt: run.startedAt });
    this.#retries.add(task, retry, now);
    this.#orders.wakeBy(this.#retries.dueAt);
    return true;
  }

  // Runs

  #takeBack(worker: WorkerRecord<T>, state: { offered: Offered<T> }): void {
    const seqs = state.offered.seqs();
    this.#orders.push({ type: "take-back", worker: worker.id, seqs });
  }

  #takenBack(id: number, seqs: readonly number[], now: number): void {
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
      this.#putBack(worker, task, now);
    }
    return count;
  }

  /** A task that a worker held, but will not run. */
  #putBack(worker: WorkerRecord<T>, task: T, now: number): void {
    if (task.cancelled) {
      this.#drop(task, CANCELLED, now);
    } else if (task.refusals >= MAX_REFUSALS) {
      this.#refused(worker, task, now);
    } else {
      task.state = "queued";
      this.#queue.pushBack(task);
    }
  }

  #refused(worker: WorkerRecord<T>, task: T, now: number): void {
    this.#crashed(task, { worker: worker.id, startedAt: now, ranMs: 0, begun: false }, UNRESPONSIVE, now);
  }

  #look(worker: WorkerRecord<T>, drained = false): void {
    this.#orders.push({ type: "look", worker: worker.id, drained });
  }

  /** Judges what a worker is doing. */
  #looked(id: number, running: Running | undefined, drained: boolean, now: number): void {
    const worker = this.#workers.get(id);
    if (worker?.state.phase !== "busy") return;
    const { state } = worker;
    const task = running && state.offered.find(running.seq);
    if (running === undefined || task === undefined) return this.#notBegun(worker, state, drained, now);
    state.stuck = false;
    this.#staff.prove(worker);
    if (running.callbacks !== undefined) this.#modules.loaded(task.module, running.callbacks);
    const limit = running.loading ? this.#options.loadTimeout : task.timeout;
    // Compared as a moment, like the watch that is set for it: a difference could round to just below the limit.
    if (now >= running.since + limit || task.cancelled) {
      this.#overdue(worker, state, task, running, limit, drained, now);
    } else {
      this.#goesOn(worker, state, task, running, limit, now);
    }
  }

  /** Nothing has begun. Something that an earlier task left behind may hold the worker. */
  #notBegun(worker: WorkerRecord<T>, state: Busy<T>, drained: boolean, now: number): void {
    const { offered, since } = state;
    const first = offered.first()!;
    const alone = this.#options.maxOffered === 1;
    const beginBy = since + patience(first);
    if (first.cancelled && alone) {
      offered.take(first.seq);
      this.#drop(first, CANCELLED, now);
      this.#stop(worker, now);
    } else if (now < beginBy) {
      this.#watch(worker, Math.min(beginBy, this.#nextLook(offered.shortest(false), now)));
    } else if (!drained) {
      // It may have begun just now.
      state.stuck = true;
      if (!alone) this.#takeBack(worker, state);
      this.#look(worker, true);
    } else {
      this.#giveUp(worker, state, now);
    }
  }

  /** The task is over its limit, or nobody wants it any more. */
  #overdue(
    worker: WorkerRecord<T>,
    state: Busy<T>,
    task: T,
    { seq, since, loading }: Running,
    timeout: number,
    drained: boolean,
    now: number,
  ): void {
    const { offered } = state;
    if (!drained || offered.size > 1) {
      // It may have ended, and word of that be on its way; and the worker must not go on with those behind it.
      state.condemned = seq;
      if (offered.size > 1) this.#takeBack(worker, state);
      this.#look(worker, true);
      return;
    }
    offered.take(seq);
    task.attempts++;
    const run = { worker: worker.id, startedAt: since, ranMs: now - since, begun: true };
    this.#end(
      task,
      run,
      task.cancelled ? CANCELLED : { status: "timed-out", limit: { loading, timeout } },
      now,
    );
    this.#stop(worker, now);
  }

  /** The task may go on; the worker is looked at again when something may be due. */
  #goesOn(
    worker: WorkerRecord<T>,
    state: Busy<T>,
    task: T,
    running: Running,
    limit: number,
    now: number,
  ): void {
    const { seq, since, loading } = running;
    let due = since + limit;
    if (task.softTimeout !== undefined && !loading && state.softened !== seq) {
      if (now >= since + task.softTimeout) {
        state.softened = seq;
        this.#orders.push({ type: "abort", worker: worker.id, seq });
      } else {
        due = Math.min(due, since + task.softTimeout);
      }
    }
    // While it loads, it too may begin unseen.
    this.#watch(worker, Math.min(due, this.#nextLook(state.offered.shortest(!loading), now)));
    if (state.offered.size > 1 && now - since > this.#handOut.lateAfter(task)) this.#takeBack(worker, state);
  }

  /** When something may be due of tasks that may begin unseen from now on, given the shortest of their limits. */
  #nextLook(shortest: number, now: number): number {
    return now + Math.min(shortest, this.#options.loadTimeout, WATCH_MS);
  }

  /** A worker that begins nothing. What it can no longer run goes to another; what has left for it is lost. */
  #giveUp(worker: WorkerRecord<T>, { offered }: Busy<T>, now: number): void {
    offered.first()!.refusals++;
    for (const task of offered.drain()) {
      if (task.exclusive && !task.cancelled) this.#refused(worker, task, now);
      else this.#putBack(worker, task, now);
    }
    this.#stop(worker, now);
  }

  #stop(worker: WorkerRecord<T>, now: number): void {
    this.#staff.stop(worker, this.#queue.size, now);
  }

  #watch(worker: WorkerRecord<T>, at: number): void {
    this.#orders.push({ type: "watch", worker: worker.id, at });
  }

  #gone(event: Event<T, R> & { type: "gone" }, now: number): void {
    const { death, results, running } = event;
    const worker = this.#staff.gone(event.worker, now);
    if (worker === undefined) return;
    if (worker.state.phase === "busy") this.#lose(worker, worker.state, event, now);
    this.#staff.judge(worker, death, results.length > 0 || running !== undefined, now);
  }

  /** Ends or puts back what a worker held that has ended. */
  #lose(
    worker: WorkerRecord<T>,
    state: Busy<T>,
    { death, results, running, unclaimed }: Event<T, R> & { type: "gone" },
    now: number,
  ): void {
    this.#finishAll(worker, state, results, now);
    this.#requeue(worker, state.offered, unclaimed, now);
    for (const task of state.offered.drain()) {
      const begun = task.seq === running?.seq;
      if (begun && running.callbacks !== undefined) this.#modules.loaded(task.module, running.callbacks);
      const startedAt = begun ? running.since : state.since;
      const run = { worker: worker.id, startedAt, ranMs: Math.max(0, now - startedAt), begun };
      this.#crashed(task, run, death, now);
    }
  }

  #crashed(task: T, run: Run, death: DeathData, now: number): void {
    const inARow = this.#modules.crashed(task.module);
    if (this.#staff.isStormed(inARow, now)) this.#modules.refuse(task.module, death, now);
    task.attempts++;
    this.#end(task, run, task.cancelled ? CANCELLED : { status: "crashed", death }, now);
  }

  /** No worker can be had: waiting tasks end with the reason. */
  #failWaiting(death: DeathData, now: number): void {
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      this.#drop(task, { status: "crashed", death }, now);
    }
  }

  // Policy

  /** Hands waiting tasks to workers. */
  #assign(now: number): void {
    while (this.#queue.size > 0 && this.#hasFree()) {
      if (!this.#offer(this.#workers.nextIdle()!, now)) break;
    }
    if (this.#workers.busy === 0 && this.#queue.size === 0) return;
    const free = this.#hasFree();
    for (const worker of this.#workers.all()) {
      if (worker.state.phase !== "busy") continue;
      if (this.#queue.size > 0) this.#offer(worker, now);
      else if (free && worker.state.offered.size > 1) this.#steal(worker, worker.state, now);
    }
  }

  /** Whether the first task in the queue may go to an idle worker. */
  #hasFree(): boolean {
    if (this.#workers.idle === 0) return false;
    return this.#workers.busy < this.#options.size || this.#urgent();
  }

  /** Whether the first task in the queue is not to wait for a place: a spare, or one worker more, is there for it. */
  #urgent(): boolean {
    const first = this.#queue.peek();
    return first !== undefined && isUrgent(first);
  }

  /** Takes tasks back from a worker that another could begin at once. */
  #steal(worker: WorkerRecord<T>, state: Busy<T>, now: number): void {
    // All may have been begun: then trying again at once would go on for ever.
    if (now < state.stolenAt + LATE_MS) return this.#orders.wakeBy(state.stolenAt + LATE_MS);
    const seqs = this.#handOut.surplus(state.offered);
    if (seqs.length === 0) return this.#orders.wakeBy(now + LATE_MS);
    state.stolenAt = now;
    this.#orders.push({ type: "take-back", worker: worker.id, seqs });
  }

  /** Gives a worker as much as it should have now. False if that is nothing. */
  #offer(worker: WorkerRecord<T>, now: number): boolean {
    // Beyond the size of the pool there is room only for what waits for no place.
    const onlyUrgent = worker.state.phase === "idle" && this.#workers.busy >= this.#options.size;
    const tasks = this.#handOut.take(worker, onlyUrgent, now);
    if (tasks.length === 0) return false;
    let shortest = Math.min(this.#options.loadTimeout, WATCH_MS);
    for (const task of tasks) {
      task.state = "offered";
      task.seq = worker.nextSeq++;
      shortest = Math.min(shortest, task.timeout, task.softTimeout ?? Infinity);
    }
    const last = worker.state.phase === "busy" ? worker.state.offered.last() : undefined;
    const state = this.#workers.give(worker, tasks, now);
    const { offered } = state;
    if (last !== undefined && overtakes(tasks[0]!, last)) {
      state.disordered = true;
      this.#orders.wakeBy(this.#overtookAt + LATE_MS);
    }
    this.#orders.push({ type: "offer", worker: worker.id, tasks });
    this.#watch(worker, now + shortest);
    if (offered.size > 1) this.#orders.wakeBy(this.#handOut.lookAt(offered, now));
    return true;
  }

  #tick(now: number): void {
    this.#orders.woken();
    this.#tickRetries(now);
    this.#staff.tick(now);
    this.#overtake(now);
    for (const worker of this.#workers.all()) {
      if (worker.state.phase !== "busy" || worker.state.offered.size <= 1) continue;
      this.#look(worker);
      this.#orders.wakeBy(this.#handOut.lookAt(worker.state.offered, now));
    }
  }

  #tickRetries(now: number): void {
    for (let task = this.#retries.shift(now); task !== undefined; task = this.#retries.shift(now)) {
      task.state = "queued";
      this.#queue.pushBack(task);
    }
    if (this.#retries.size > 0) this.#orders.wakeBy(this.#retries.dueAt);
  }

  #close(terminated: boolean, now: number): void {
    this.#staff.close(terminated, now);
    for (const task of this.#retries.drain()) this.#drop(task, CANCELLED, now);
    if (!terminated) return;
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      if (state.phase !== "busy") continue;
      const [first, ...rest] = state.offered.drain();
      if (first !== undefined) {
        first.attempts++;
        const ranMs = Math.max(0, now - state.since);
        this.#settle(first, { worker: worker.id, startedAt: state.since, ranMs, begun: true }, CANCELLED);
      }
      for (const task of rest) this.#drop(task, CANCELLED, now);
      this.#stop(worker, now);
    }
  }
}

/** Whether a task is to run before another for its higher priority. */
function overtakes(task: Task, other: Task): boolean {
  return task.priority > other.priority && rank(task) < rank(other);
}

/** How long a worker has to begin the task. */
function patience({ refusals, bytes, sendMs }: Task): number {
  return (BEGIN_MS + PER_SEND_MS * sendMs + bytes / BYTES_PER_MS) * BEGIN_FACTOR ** refusals;
}

const NOTHING = { tasks: 0, urgent: false };
const CANCELLED: Verdict = { status: "cancelled" };
const UNRESPONSIVE: DeathData = { reason: "exit", exitCode: null, message: "did not begin the task" };
