import { type Estimate, HeadStart } from "./head_start.ts";
import { type DepartureEvents, Departures, LET_GO_MS } from "./departures.ts";
import { lookBy } from "./judgement.ts";
import type { Orders } from "./orders.ts";
import type { Sizes, StatsData } from "../wire/protocol.ts";
import type { Result, SchedulerOptions, Task, WorkerKind } from "./scheduling.ts";
import { Slots } from "./slots.ts";
import { Spares } from "./spares.ts";
import { type StartEvents, Starts } from "./starts.ts";
import { isFull, startOf, type WorkerRecord, Workers } from "./workers.ts";

/** The work that waits for workers. */
export interface Demand {
  /** How many tasks wait for any worker. */
  readonly tasks: number;
  /** How many wait for a process. */
  readonly processes: number;
  /** One of them is not to wait for a place. */
  readonly urgent: boolean;
}

/** Hears what the scheduler is to know. */
export interface StaffEvents extends StartEvents, DepartureEvents {}

/**
 * Which workers there are: how many are started, and which has had its time. `starts` says when one may be started,
 * `departures` what it takes to end one.
 *
 * | word | a worker |
 * |---|---|
 * | ready | has started |
 * | rest | has nothing to do, and stays |
 * | retire | has nothing to do, and is to end in peace: it may run `dispose()` |
 * | stop | is to end whatever it is doing: asked to, interrupted after a grace, a zombie after that |
 * | gone | has ended |
 *
 * The bridge is a worker more, which the entry has started where others take long: it runs the first tasks, is no part
 * of the numbers that the pool is to keep, and retires when one of the pool's own is ready.
 */
export class Staff<T extends Task, R extends Result> {
  readonly workers = new Workers<T>();
  readonly spares: Spares;
  readonly starts: Starts<T, R>;
  readonly departures: Departures<T, R>;
  readonly #options: SchedulerOptions;
  readonly #orders: Orders<T, R>;
  readonly #slots = new Slots();
  readonly #headStart: HeadStart<T> | undefined;
  /** How many tasks wait for any worker. */
  #waiting = 0;
  /** How often all workers were to be replaced, and are not yet. */
  #renewals = 0;

  constructor(
    options: SchedulerOptions,
    orders: Orders<T, R>,
    events: StaffEvents,
    estimate: Estimate = () => undefined,
  ) {
    this.#options = options;
    this.#orders = orders;
    this.spares = new Spares(options.spares, options.maxSpares);
    // Of tasks that are handed out one by one it is the messages that take time, and those of several workers overlap.
    const known = options.capacity.thread.maxOffered > 1 ? estimate : () => undefined;
    this.#headStart = options.headStart ? new HeadStart(this.workers, known) : undefined;
    this.departures = new Departures(options, orders, this.workers, this.spares, this.#slots, events);
    this.starts = new Starts(options, orders, this.workers, this.spares, this.departures, events);
  }

  /** The part of `stats()` that is about workers. */
  stats(): Pick<StatsData, "workers" | "running" | "zombies" | "spawned" | "killed" | "ended"> {
    const { starting, idle, busy, spawned, bridge } = this.workers;
    const { stopping, zombies, killed, ended } = this.departures.stats();
    const bridges = (phase: "starting" | "idle") => Number(bridge?.state.phase === phase);
    return {
      workers: { starting: starting - bridges("starting"), idle: idle - bridges("idle"), busy, stopping },
      running: this.workers.running,
      zombies,
      spawned,
      killed,
      ended,
    };
  }

  /** Whether a worker may be risked. Else a tick comes when it may. */
  mayRisk(now: number): boolean {
    return this.starts.mayRisk(now);
  }

  /** Whether a thread that ran a task of the file last may be one that cannot be stopped. */
  doubts(file: number, now: number): boolean {
    return this.#options.processes && this.#options.kind === "thread" && this.departures.doubts(file, now);
  }

  /** Starts the workers that are missing. */
  meet({ tasks, processes, urgent }: Demand, now: number): void {
    this.#retireDiscarded(now);
    const { kind, size, minSize } = this.#options;
    const { idle, starting, busy } = this.workers;
    this.#waiting = tasks;
    const wanted = Math.min(size, Math.max(minSize, busy + tasks + processes)) + this.#newSparesOf(kind, now);
    const extra = urgent && idle + starting === 0 ? 1 : 0;
    const missingProcesses = kind === "process" ? 0 : this.#missingProcesses(processes);
    const there = this.workers.own - this.workers.lettingGoFor(LET_GO_MS, now);
    const missing = Math.max(wanted + this.#replacing(wanted, now) - there, extra) - missingProcesses;
    if (missingProcesses > 0) this.starts.start("process", missingProcesses, now);
    if (missing <= 0) return;
    const until = this.#headStart?.until(tasks, now);
    if (until !== undefined) return this.#orders.wakeBy(until);
    this.starts.start(this.#replacement, missing, now);
  }

  /** How many are to be started in place of others, which work on until they are ready. */
  #replacing(wanted: number, now: number): number {
    if (this.workers.outdated > 0) {
      // Nobody takes the place of those that are not needed.
      let surplus = this.workers.withoutReplacements - wanted;
      for (const worker of this.workers.allIdle()) {
        if (!worker.outdated || surplus-- <= 0) continue;
        this.departures.retire(worker, now);
      }
    }
    const { outdated } = this.workers;
    for (; outdated === 0 && this.#renewals > 0; this.#renewals--) this.#orders.push({ type: "renewed" });
    return Math.min(outdated, this.#options.cores);
  }

  /** A worker is ready to take the place of another. */
  #takePlace(now: number): void {
    const worker = this.workers.nextOutdated();
    if (worker === undefined) return;
    this.workers.leave(worker);
    const { state } = worker;
    // One that lets go of its task has its time for that.
    if (state.phase === "busy") this.#orders.takeBack(worker.id, state.offered.seqs());
    else if (state.phase === "idle") this.departures.retire(worker, now);
  }

  /** How many processes to start beside threads, for tasks that no thread may run. */
  #missingProcesses(tasks: number): number {
    if (tasks === 0) return 0;
    const { size, spares } = this.#options;
    const { starting, idle, busy } = this.workers.of("process");
    return Math.max(0, Math.min(size, busy + tasks) + spares - (starting + idle + busy));
  }

  /** What workers are started in place of others: while there are zombies those that can be stopped, if possible. */
  get #replacement(): WorkerKind {
    const { kind, processes } = this.#options;
    return processes && this.departures.zombies > 0 ? "process" : kind;
  }

  /** How many workers of a kind there are to be beyond those that the tasks need. */
  #sparesOf(kind: WorkerKind, now: number): number {
    const { kind: usual, spares, size } = this.#options;
    if (kind !== usual) return spares;
    const foreseen = this.spares.foreseen(this.#backlog, size);
    return this.spares.wanted(Math.max(this.workers.expectedStops, foreseen), now);
  }

  /** How many of those are to be started, if they are not there. */
  #newSparesOf(kind: WorkerKind, now: number): number {
    const { kind: usual, spares, size } = this.#options;
    if (kind !== usual) return spares;
    const backlog = this.#backlog;
    const foreseen = this.spares.foreseen(backlog, size);
    // While many tasks wait what they stand for counts, not what those before them did: starting workers keeps the cores
    // busy that they need.
    const informed = this.spares.foresees && backlog >= size;
    return this.spares.wanted(Math.max(this.workers.expectedStops, foreseen), now, !informed);
  }

  /** How many tasks are to be begun, as far as that counts. */
  get #backlog(): number {
    return this.spares.foresees ? this.#waiting + this.workers.held : 0;
  }

  /** How many workers of a kind there are to be at most. */
  #most(kind: WorkerKind, now: number): number {
    return this.#options.size + this.#sparesOf(kind, now);
  }

  /** A worker has started. */
  ready(id: number, now: number): void {
    const worker = this.workers.get(id);
    const starting = worker && startOf(worker);
    if (worker === undefined || starting === undefined) return;
    const { state } = worker;
    if (state.phase === "busy") {
      state.starting = undefined;
      state.since = now;
      // It may have begun already, though not before it was started.
      if (this.departures.terminated) this.#orders.look(id);
      else {this.#orders.watch(
          id,
          lookBy(state.offered.first()!.timeout, this.#options.loadTimeout, starting.since),
        );}
    } else {
      if (worker.leaving) return this.departures.retire(worker, now);
      this.#rest(worker, now);
    }
    if (worker.bridge) this.#headStart?.ready(starting.since, now);
    this.starts.started(worker, starting, now);
    this.#dissolve(now);
    if (!worker.outdated && !worker.bridge && !this.workers.isDiscarded(worker)) this.#takePlace(now);
    this.starts.warmUp();
    // Not at once: it may have been started for a task that waits.
    if (this.workers.ownStartedOf(worker.kind) > this.#most(worker.kind, now)) this.#orders.wakeBy(now);
  }

  /** The bridge is needed no more once there is another worker. */
  #dissolve(now: number): void {
    const bridge = this.workers.bridge;
    if (bridge === undefined || this.workers.ownStarted === 0) return;
    this.workers.leave(bridge);
    if (bridge.state.phase === "idle") this.departures.retire(bridge, now);
  }

  /** A worker has done all it was given. */
  free(worker: WorkerRecord<T>, now: number): void {
    const starting = startOf(worker);
    if (starting !== undefined && !worker.leaving && !this.departures.closing) {
      this.#slots.release(worker.id);
      return this.workers.startOn(worker, starting);
    }
    const { capacity, maxTasksPerWorker } = this.#options;
    const usedUp = worker.handed >= maxTasksPerWorker || worker.nextSeq > capacity[worker.kind].maxSeq ||
      isFull(worker);
    // Without those that are starting: until they are ready this one is needed.
    const started = this.workers.ownStartedOf(worker.kind) + Number(worker.state.phase === "letting-go");
    const extra = started > this.#most(worker.kind, now);
    if (usedUp || extra || worker.leaving || this.departures.closing) {
      this.departures.retire(worker, now);
    } else {
      this.#rest(worker, now);
    }
  }

  /** A worker is given tasks. */
  place(worker: WorkerRecord<T>): void {
    if (worker.state.phase === "busy") return;
    worker.slot = this.#slots.take(worker.id, worker.slot, this.#options.size);
  }

  #rest(worker: WorkerRecord<T>, now: number): void {
    this.#slots.release(worker.id);
    this.workers.rest(worker, now);
    if (this.#mayShrink) this.#orders.wakeBy(now + this.#options.idleTimeout);
  }

  /** The pool is to have another size. Idle workers that are too many go at once, busy ones when they are free. */
  resize(sizes: Sizes, now: number): void {
    Object.assign(this.#options, sizes);
    this.starts.restarts.allow(sizes.restarts, now);
    this.#trim(now);
    this.starts.warmUp();
  }

  /** The workers started so far lack something that the tasks to come need. Returns which generation has it. */
  discard(now: number): number {
    const generation = this.workers.discard();
    this.#retireDiscarded(now);
    return generation;
  }

  /** Those that were discarded go, once they have nothing to do. */
  #retireDiscarded(now: number): void {
    if (!this.workers.discarded) return;
    for (const worker of this.workers.allIdle()) {
      if (this.workers.isDiscarded(worker)) this.departures.retire(worker, now);
    }
  }

  /** Every worker is to be replaced. */
  renew(): void {
    this.#renewals++;
    for (const worker of this.workers.all()) this.workers.outdate(worker);
  }

  /** A worker takes too much memory. */
  outgrown(id: number): void {
    const worker = this.workers.get(id);
    if (worker !== undefined) this.workers.outdate(worker);
  }

  /** An idle worker makes room for another; if `paid`, not at the expense of the restart budget. */
  replace(worker: WorkerRecord<T>, paid: boolean, now: number): void {
    if (!paid) this.starts.restarts.spend(now);
    this.departures.retire(worker, now);
  }

  /** Time has passed. */
  tick(now: number): void {
    this.starts.tick(now);
    this.departures.tick(now);
    this.#tickIdle(now);
    this.#trim(now);
  }

  /** Whether there may be more workers than the pool is to keep. */
  get #mayShrink(): boolean {
    const { kind, minSize, size } = this.#options;
    return minSize < size || (kind === "thread" && this.workers.of("process").idle > 0);
  }

  /** Lets go of workers that have had nothing to do for long. */
  #tickIdle(now: number): void {
    const { kind, minSize, idleTimeout } = this.#options;
    if (!this.#mayShrink || this.departures.closing) return;
    const least = minSize + this.#sparesOf(kind, now);
    for (const worker of this.workers.allIdle()) {
      if (this.workers.own <= least) break;
      if (worker.state.phase !== "idle" || worker.bridge) continue;
      const at = worker.state.since + idleTimeout;
      if (at > now) this.#orders.wakeBy(at);
      else this.departures.retire(worker, now);
    }
  }

  /** Lets go of idle workers that are too many: of the spares that were needed while tasks hung, for one. */
  #trim(now: number): void {
    if (this.departures.closing) return;
    const { kind } = this.#options;
    const most = this.#most(kind, now);
    this.#orders.wakeBy(this.spares.fewerAt);
    for (const worker of this.workers.allIdle()) {
      if (this.workers.ownStartedOf(kind) <= most) return;
      if (!worker.bridge && worker.kind === kind) this.departures.retire(worker, now);
    }
  }
}
