/**
 * What happens when: which worker gets which task, when a task is over, what becomes of it.
 *
 * Pure: events and the time go in, commands come out. It touches no worker, no clock, no global; the dispatcher
 * carries its commands out, in their order, and tells it what came of them. All times are milliseconds.
 *
 * This file says who hears of which event, and what is done about tasks that wait. Each of the others decides one
 * thing:
 *
 * | file | decides |
 * |---|---|
 * | `waiting_tasks.ts` | which task comes next |
 * | `assignment.ts` | which worker is given which task, and what is taken back |
 * | `hand_out.ts` | how much a worker is given at once |
 * | `placement.ts` | which worker may run what |
 * | `runs.ts` | what follows from what workers do with their tasks: how a run is stopped |
 * | `judgement.ts` | what is wrong with a worker that was looked at |
 * | `task_ends.ts` | what becomes of a task: an outcome, another attempt, its place in the queue |
 * | `staff.ts` | which workers there are |
 * | `starts.ts` | when one may be started, and what follows from starts that fail |
 * | `head_start.ts` | that the first one starts alone |
 * | `departures.ts` | what it takes to end one |
 *
 * @module
 */
import { Assignment } from "./assignment.ts";
import type { Books } from "./books.ts";
import { DoomedTasks } from "./doomed_tasks.ts";
import { HandOut } from "./hand_out.ts";
import { ModuleBook } from "./module_book.ts";
import { Orders } from "./orders.ts";
import { Placement } from "./placement.ts";
import { isUrgent } from "./queue.ts";
import { Runs } from "./runs.ts";
import type { Command, Event, Result, SchedulerOptions, Task } from "./scheduling.ts";
import { type Demand, Staff } from "./staff.ts";
import { CANCELLED, TaskEnds } from "./task_ends.ts";
import { WaitingTasks } from "./waiting_tasks.ts";
import type { Workers } from "./workers.ts";
import type { StatsData } from "../wire/protocol.ts";

/** What waits for workers at the start. */
const NOTHING: Demand = { tasks: 0, processes: 0, urgent: false };

/** See the module's description. */
export class Scheduler<T extends Task, R extends Result> {
  readonly #orders = new Orders<T, R>();
  readonly #staff: Staff<T, R>;
  readonly #workers: Workers<T>;
  readonly #modules = new ModuleBook();
  readonly #queue = new WaitingTasks<T>();
  /** Tasks that waited when all that waited was cancelled. */
  readonly #doomed = new DoomedTasks<T>();
  readonly #handOut: HandOut<T>;
  readonly #assignment: Assignment<T, R>;
  readonly #runs: Runs<T, R>;
  readonly #ends: TaskEnds<T, R>;
  /** Nothing is handed out. */
  #held = false;

  constructor(options: SchedulerOptions) {
    // A copy that all share: sizes may change.
    options = { ...options };
    this.#staff = new Staff(options, this.#orders, {
      broken: (now) => this.#close(true, now),
      unavailable: (death, now, onlyUrgent) => this.#ends.failWaiting(death, now, onlyUrgent),
      zombie: (file) => this.#runs.restrict(file, "zombie"),
    }, (module) => this.#modules.estimate(module));
    this.#workers = this.#staff.workers;
    const placement = new Placement(this.#modules, this.#workers, this.#staff);
    const books: Books<T, R> = {
      options,
      orders: this.#orders,
      staff: this.#staff,
      modules: this.#modules,
      queue: this.#queue,
      placement,
    };
    this.#ends = new TaskEnds(books);
    this.#handOut = new HandOut(
      options,
      this.#staff.workers,
      this.#queue,
      this.#modules,
      placement,
      (task, death, now) => this.#ends.drop(task, { status: "crashed", death }, now),
    );
    this.#assignment = new Assignment(books, this.#handOut);
    this.#runs = new Runs(books, this.#handOut, this.#ends);
  }

  /** When to call `handle` with a `tick` at the latest. */
  get wakeAt(): number {
    return this.#orders.wakeAt;
  }

  /**
   * Starts the workers.
   *
   * @param bridge When the entry has started one, if it has: see `Staff`.
   */
  start(now: number, bridge?: number): Command<T, R>[] {
    if (bridge !== undefined) this.#staff.starts.adopt(bridge);
    this.#staff.meet(NOTHING, now);
    this.#staff.starts.warmUp();
    return this.#orders.take();
  }

  /** Takes in an event and returns the commands that follow from it, to be carried out in order. */
  handle(event: Event<T, R>, now: number): Command<T, R>[] {
    switch (event.type) {
      case "batch":
        this.#queue.pushBatch(event.batch);
        break;
      case "push":
        this.#push(event.task, now);
        break;
      case "cancel":
        for (const task of event.tasks) this.#cancel(task, now);
        break;
      case "cancel-waiting":
        this.#cancelWaiting(event.upTo, now);
        break;
      case "forget-module":
        this.#forget(event.module);
        break;
      case "home":
        this.#runs.home(event.worker, event.module);
        break;
      case "module":
        this.#modules.add(event.module, event.file, event.chars);
        if (event.kind !== undefined) this.#modules.restrict(event.file, event.kind);
        break;
      case "initializing":
        this.#staff.starts.initializing(event.worker, now);
        break;
      case "handed":
        this.#assignment.handed(event.task, now);
        break;
      case "ready":
        this.#staff.ready(event.worker, now);
        break;
      case "results":
        this.#runs.results(event.worker, event.results, now);
        break;
      case "disposing":
        this.#staff.departures.disposing(event.worker, now);
        break;
      case "interrupted":
        this.#staff.departures.interrupted(event.worker, now);
        break;
      case "looked":
        this.#runs.looked(event.worker, event, now);
        break;
      case "taken-back":
        this.#runs.takenBack(event.worker, event.seqs, now);
        break;
      case "gone":
        this.#runs.gone(event, now);
        break;
      case "asked":
        this.#modules.need(event.file, Infinity);
        break;
      case "readable":
        this.#modules.suffice(event.file);
        break;
      case "discard":
        this.#modules.need(event.file, this.#staff.discard(now));
        break;
      case "renew":
        this.#staff.renew();
        break;
      case "full":
        this.#staff.outgrown(event.worker);
        break;
      case "resize":
        this.#staff.resize(event.sizes, now);
        break;
      case "hold":
        this.#held = event.on;
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
    if (this.#staff.departures.closing) {
      this.#staff.departures.finishClosing(now);
    } else {
      if (!this.#held) {
        this.#assignment.assign(now);
        this.#assignment.makeRoom(now);
      }
      this.#staff.meet(this.#assignment.demand(), now);
    }
    return this.#orders.take();
  }

  /** A snapshot for `stats()`. Have busy workers looked at first, or tasks just begun still count as queued. */
  stats(): Omit<StatsData, "inProcesses"> {
    const staff = this.#staff.stats();
    const handed = this.#workers.held + this.#workers.busy - staff.running;
    return {
      ...staff,
      queued: this.#queue.size + this.#doomed.size + this.#ends.retries.size + handed,
      idleDeaths: this.#runs.idleDeaths,
      ...this.#ends.stats(),
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

  // Tasks that wait

  #push(task: T, now: number): void {
    this.#queue.push(task);
    if (task.priority > 0) this.#assignment.overtake(now);
  }

  #cancel(task: T, now: number): void {
    switch (task.state) {
      case "queued":
      case "aside":
        if (this.#doomed.has(task)) return;
        task.cancelled = "yes";
        this.#queue.forget(task);
        return this.#ends.drop(task, CANCELLED, now);
      case "waiting":
        task.cancelled = "yes";
        this.#ends.retries.forget();
        return this.#ends.drop(task, CANCELLED, now);
      case "offered":
        // The worker may be in the middle of it, or not have begun it: a look tells.
        task.cancelled = "yes";
        for (const worker of this.#workers.all()) {
          if (worker.state.phase !== "busy" || worker.state.offered.find(task.seq) !== task) continue;
          this.#orders.takeBack(worker.id, worker.state.offered.seqs());
          this.#orders.look(worker.id);
        }
        return;
      case "settled":
        return;
      default:
        task.state satisfies never;
    }
  }

  /** Nothing that was pushed by then begins any more. What runs goes on, but is not tried again. */
  #cancelWaiting(upTo: number, now: number): void {
    const waiting = this.#queue.cut();
    for (const task of this.#ends.retries.drain()) waiting.pushBack(task);
    this.#doomed.add(waiting, upTo);
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      if (state.phase !== "busy") continue;
      for (const task of state.offered) {
        if (!isUrgent(task) && task.cancelled === "no") task.cancelled = "if-waiting";
      }
      this.#orders.takeBack(worker.id, state.offered.seqs());
    }
    this.#dropDoomed(now);
  }

  #dropDoomed(now: number): void {
    for (const task of this.#doomed.take()) {
      // The outcome of another waits for it.
      if (isUrgent(task)) this.#queue.pushBack(task);
      else this.#ends.drop(task, CANCELLED, now);
    }
    for (let over = this.#doomed.over(); over > 0; over--) this.#orders.push({ type: "waiting-cancelled" });
    if (this.#doomed.size > 0) this.#orders.wakeBy(now);
  }

  /** There are no more tasks of the module. */
  #forget(module: number): void {
    this.#modules.forget(module);
    for (const worker of this.#workers.all()) {
      worker.unloaded.delete(module);
      if (worker.modules.delete(module)) this.#orders.push({ type: "forget", worker: worker.id, module });
    }
  }

  #tick(now: number): void {
    this.#orders.woken();
    this.#ends.tick(now);
    this.#dropDoomed(now);
    this.#staff.tick(now);
    this.#assignment.reclaim(now);
    this.#assignment.overtake(now);
    for (const worker of this.#workers.all()) {
      if (worker.state.phase !== "busy" || worker.state.offered.size <= 1) continue;
      this.#orders.look(worker.id);
      this.#orders.wakeBy(this.#handOut.lookAt(worker.state.offered, now));
    }
  }

  #close(terminated: boolean, now: number): void {
    this.#staff.departures.close(terminated, now);
    for (const task of this.#ends.retries.drain()) this.#ends.drop(task, CANCELLED, now);
    if (!terminated) return;
    this.#doomed.clear();
    this.#runs.terminate(now);
  }
}
