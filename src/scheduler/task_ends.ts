import { Histogram } from "./histogram.ts";
import type { Books } from "./books.ts";
import type { ModuleBook } from "./module_book.ts";
import type { Orders } from "./orders.ts";
import type { Placement } from "./placement.ts";
import { isUrgent } from "./queue.ts";
import { RetryList } from "./retry_list.ts";
import type { Command, Result, Run, Task, Verdict } from "./scheduling.ts";
import type { Staff } from "./staff.ts";
import type { WaitingTasks } from "./waiting_tasks.ts";
import type { WorkerRecord } from "./workers.ts";
import type { DeathData, StatsData } from "../wire/protocol.ts";

/** How many workers may refuse a task. */
const MAX_REFUSALS = 3;
/** How many tasks of a module that is given up are settled at once. */
const MAX_ABANDONED = 1_000;

/** The verdict on a task that nobody wants any more. */
export const CANCELLED: Verdict = { status: "cancelled" };
const UNRESPONSIVE: DeathData = { reason: "exit", exitCode: null, message: "did not begin the task" };

/**
 * What becomes of a task that a worker has had, or that none will have: it has its outcome, is tried again later, or
 * goes back into the queue.
 */
export class TaskEnds<T extends Task, R extends Result> {
  /** Tasks that are tried again later. */
  readonly retries = new RetryList<T>();
  readonly #orders: Orders<T, R>;
  readonly #staff: Staff<T, R>;
  readonly #modules: ModuleBook;
  readonly #queue: WaitingTasks<T>;
  readonly #placement: Placement<T>;
  readonly #waited = new Histogram();
  readonly #ran = new Histogram();

  constructor({ orders, staff, modules, queue, placement }: Books<T, R>) {
    this.#orders = orders;
    this.#staff = staff;
    this.#modules = modules;
    this.#queue = queue;
    this.#placement = placement;
  }

  /** The part of `stats()` that is about how long tasks took. */
  stats(): Pick<StatsData, "waitedMs" | "ranMs"> {
    return { waitedMs: this.#waited.percentiles(), ranMs: this.#ran.percentiles() };
  }

  /** A worker has sent what came of the task. */
  finish(task: T, worker: WorkerRecord<T>, result: R, now: number): void {
    const ranMs = Math.max(0, result.endedAt - result.startedAt);
    if (result.callbacks !== undefined) this.#modules.loaded(task.module, result.callbacks);
    if (result.unloaded) {
      if (!this.#isTrusted(worker, task, now)) return this.putBack(worker, task, now);
      // One that is urgent only loads its module.
    } else if (!isUrgent(task)) this.#modules.ran(task.module, ranMs);
    task.attempts++;
    const run = { worker: worker.id, startedAt: result.startedAt, ranMs, begun: true };
    // What comes after the deadline is a timeout, even if nobody has noticed yet.
    if (ranMs > task.timeout) {
      this.end(task, run, { status: "timed-out", limit: { loading: false, timeout: task.timeout } }, now);
    } else if (task.cancelled === "yes") {
      this.end(task, run, CANCELLED, now);
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

  /**
   * Whether the worker can tell that the module cannot be loaded: not where it keeps the failure of another import, which
   * may have been of a dependency of both, nor of one before it was known. Then another worker tells.
   */
  #isTrusted(worker: WorkerRecord<T>, task: T, now: number): boolean {
    const { unloaded, nextSeq } = worker;
    const first = unloaded.size === 0;
    const knownFrom = unloaded.get(task.module);
    if (knownFrom === undefined) unloaded.set(task.module, nextSeq);
    const known = knownFrom !== undefined && task.seq >= knownFrom;
    return first || known || task.exclusive || !this.#placement.hasFresh(task.module, now);
  }

  /** A task that a worker held, but will not run. */
  putBack(worker: WorkerRecord<T>, task: T, now: number): void {
    if (task.cancelled !== "no") {
      this.drop(task, CANCELLED, now);
    } else if (task.refusals >= MAX_REFUSALS) {
      this.refused(worker, task, now);
    } else {
      this.#queue.pushBack(task);
    }
  }

  /** A worker did not begin the task, and it is not to go to another. */
  refused(worker: WorkerRecord<T>, task: T, now: number): void {
    this.crashed(task, { worker: worker.id, startedAt: now, ranMs: 0, begun: false }, UNRESPONSIVE, now);
  }

  /** The worker ended that held the task. */
  crashed(task: T, run: Run, death: DeathData, now: number): void {
    // A worker that ended before it began the task says nothing about the module.
    const givenUp = run.begun && this.#modules.crashed(task, death, now);
    task.attempts++;
    const unwanted = task.cancelled === "yes" || (task.cancelled === "if-waiting" && !run.begun);
    this.end(task, run, unwanted ? CANCELLED : { status: "crashed", death }, now);
    if (givenUp) this.#abandon(task.module, death, now);
  }

  /**
   * The module ends every worker: those of its tasks that were held end with the reason, as many as do not keep others
   * waiting, the rest in their turn.
   */
  #abandon(module: number, death: DeathData, now: number): void {
    for (let left = MAX_ABANDONED; left > 0; left--) {
      const task = this.#queue.shiftAside(module);
      if (task === undefined) return;
      this.drop(task, { status: "crashed", death }, now);
    }
  }

  /** No worker can be had: waiting tasks end with the reason, or those that are urgent. */
  failWaiting(death: DeathData, now: number, onlyUrgent: boolean): void {
    for (let task = this.#queue.first(); task !== undefined; task = this.#queue.first()) {
      // They come first.
      if (onlyUrgent && !isUrgent(task)) return;
      this.#queue.take(task);
      this.drop(task, { status: "crashed", death }, now);
    }
  }

  /** Ends a run that gave no result: the task is tried again, or settled. */
  end(task: T, run: Run, verdict: Verdict, now: number): void {
    if (verdict.status !== "cancelled" && this.#retry(task, run, verdict.status, now)) return;
    this.settle(task, run, verdict);
  }

  /** Settles a task after a run that gave no result. */
  settle(task: T, { worker, startedAt, ranMs, begun }: Run, verdict: Verdict): void {
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

  /** Settles a task that no worker is to run, or to run again. */
  drop(task: T, verdict: Verdict, now: number): void {
    if (task.lastRun !== undefined) return this.settle(task, task.lastRun, verdict);
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
    if (task.cancelled !== "no" || this.#staff.departures.closing) return false;
    task.state = "waiting";
    task.lastRun = run;
    if (run.begun) this.#orders.push({ type: "ran", task, worker: run.worker, startedAt: run.startedAt });
    this.retries.add(task, retry, now);
    this.#orders.wakeBy(this.retries.dueAt);
    return true;
  }

  /** Puts tasks back into the queue that are due for their next attempt. */
  tick(now: number): void {
    for (let task = this.retries.shift(now); task !== undefined; task = this.retries.shift(now)) {
      this.#queue.pushBack(task);
    }
    if (this.retries.size > 0) this.#orders.wakeBy(this.retries.dueAt);
  }
}
