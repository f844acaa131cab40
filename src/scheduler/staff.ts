import { EndingWorkers } from "./ending_workers.ts";
import type { Orders } from "./orders.ts";
import type { DeathData, StatsData } from "../wire/protocol.ts";
import { RESTART_BURST, RestartBudget } from "./restart_budget.ts";
import type { Result, SchedulerOptions, Task } from "./scheduling.ts";
import { type Starting, type WorkerRecord, Workers } from "./workers.ts";

/** A worker that takes longer to start is not waited for when others are to be started, in milliseconds. */
const START_MS = 1_000;
/** A worker that takes longer to come to its initializer will never be ready, in milliseconds. */
const MAX_START_MS = 60_000;
/** For how long a task that a spare took over has the cores before another spare is started, in milliseconds. */
const TAKE_OVER_MS = 25;
/** How long workers that have nothing more to do may take to end when the pool closes, in milliseconds. */
const END_MS = 2_000;
/** Failed starts in a row after which waiting tasks fail; a start is good when a task was begun. */
const MAX_FAILED_STARTS = 3;

/** The work that waits for workers. */
export interface Demand {
  /** How many tasks wait. */
  readonly tasks: number;
  /** The first of them waits for no place. */
  readonly urgent: boolean;
}

/** Who hears that there are no workers. */
export interface StaffEvents {
  /** The pool cannot start. */
  broken(now: number): void;
  /** There is no worker, and for the time being none can be had. */
  unavailable(death: DeathData, now: number): void;
}

/**
 * Which workers there are: when one is started, when it has had its time, and what it takes to end it.
 *
 * | word | a worker |
 * |---|---|
 * | ready | has started |
 * | rest | has nothing to do, and stays |
 * | retire | has nothing to do, and is to end in peace: it may run `dispose()` |
 * | stop | is to end whatever it is doing: asked to, interrupted after a grace, a zombie after that |
 * | gone | has ended |
 */
export class Staff<T extends Task, R extends Result> {
  readonly workers = new Workers<T>();
  readonly #options: SchedulerOptions;
  readonly #orders: Orders<T, R>;
  readonly #events: StaffEvents;
  readonly #restarts: RestartBudget;
  readonly #ending: EndingWorkers;
  #warm = false;
  /** When a worker was stopped and a spare went on in its place. */
  #takenOverAt = -Infinity;
  #failedStarts = 0;
  #generation = 0;
  #closing: { since: number; terminated: boolean } | undefined;
  #closed = false;

  constructor(options: SchedulerOptions, orders: Orders<T, R>, events: StaffEvents) {
    this.#options = options;
    this.#orders = orders;
    this.#events = events;
    this.#restarts = new RestartBudget(options.restarts);
    this.#ending = new EndingWorkers(options.killGrace);
  }

  /** The part of `stats()` that is about workers. */
  stats(): Pick<StatsData, "workers" | "running" | "zombies" | "spawned" | "killed" | "ended"> {
    const { starting, idle, busy, spawned } = this.workers;
    const { size, zombies, killed, ended } = this.#ending;
    return {
      workers: { starting, idle, busy, stopping: size },
      running: busy,
      zombies,
      spawned,
      killed,
      ended,
    };
  }

  /** Whether the pool was told to end. */
  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Whether a module that has ended so many workers in a row ends them faster than they may be started again. */
  isStormed(inARow: number, now: number): boolean {
    return inARow >= this.#options.size + RESTART_BURST && this.#restarts.wait(now) > 0;
  }

  /** Starts the workers that are missing. */
  meet({ tasks, urgent }: Demand, now: number): void {
    const { size, minSize, spares, maxZombies } = this.#options;
    const { size: alive, idle, starting, busy } = this.workers;
    const wanted = Math.min(size, Math.max(minSize, busy + tasks)) + spares;
    const extra = urgent && idle + starting === 0 ? 1 : 0;
    let missing = Math.max(wanted - alive, extra);
    if (missing <= 0) return;
    if (this.#ending.zombies >= maxZombies) {
      if (alive === 0 && tasks > 0) this.#events.unavailable(tooManyZombies(maxZombies), now);
      return;
    }
    const wait = this.#restarts.wait(now);
    if (wait > 0) return this.#orders.wakeBy(now + wait + 1);
    for (; missing > 0 && this.#mayStart(now); missing--) {
      const { id } = this.workers.add(this.#generation, now);
      this.#orders.push({ type: "spawn", worker: id });
      this.#orders.wakeBy(now + MAX_START_MS);
    }
  }

  /** Whether one more worker may be started now, beside those that start. */
  #mayStart(now: number): boolean {
    const { maxStarting } = this.#options;
    // Until the pool is warm what counts is to have it soon.
    if (!this.#warm || maxStarting === Infinity) return true;
    if (now < this.#takenOverAt + TAKE_OVER_MS) {
      this.#orders.wakeBy(this.#takenOverAt + TAKE_OVER_MS);
      return false;
    }
    const starts = this.workers.startsSince(now - START_MS);
    if (starts.length < maxStarting) return true;
    this.#orders.wakeBy(Math.min(...starts) + START_MS);
    return false;
  }

  /** A worker has come so far as to run its initializer. */
  initializing(id: number, now: number): void {
    const worker = this.workers.get(id);
    if (worker?.state.phase !== "starting") return;
    worker.state.initializingSince = now;
    this.#orders.wakeBy(this.#startDueAt(worker.state));
  }

  ready(id: number, now: number): void {
    const worker = this.workers.get(id);
    if (worker?.state.phase !== "starting") return;
    if (worker.generation < this.#generation) return this.#retire(worker, now);
    this.#rest(worker, now);
    this.warmUp();
  }

  /** A worker has begun a task. */
  prove(worker: WorkerRecord<T>): void {
    worker.proven = true;
    this.#failedStarts = 0;
  }

  /** Tells when all that the pool is to have at the least have started. */
  warmUp(): void {
    if (this.#warm || this.workers.idle + this.workers.busy < this.#options.minSize) return;
    this.#warm = true;
    this.#orders.push({ type: "warm" });
  }

  /** A worker has done all it was given. */
  free(worker: WorkerRecord<T>, now: number): void {
    const { maxSeq, maxTasksPerWorker, size, spares } = this.#options;
    const usedUp = worker.handed >= maxTasksPerWorker || worker.nextSeq > maxSeq;
    // Not those that start: until they are ready this one is needed.
    const extra = this.workers.idle + this.workers.busy > size + spares;
    if (usedUp || extra || worker.generation < this.#generation || this.closing) this.#retire(worker, now);
    else this.#rest(worker, now);
  }

  #rest(worker: WorkerRecord<T>, now: number): void {
    this.workers.rest(worker, now);
    if (this.#options.minSize < this.#options.size) this.#orders.wakeBy(now + this.#options.idleTimeout);
  }

  /** Workers started before lack something that tasks to come need. */
  renew(now: number): void {
    this.#generation++;
    for (const worker of this.workers.allIdle()) this.#retire(worker, now);
  }

  #retire(worker: WorkerRecord<T>, now: number): void {
    this.workers.remove(worker);
    this.#ending.retire(worker.id, now);
    this.#orders.push({ type: "close", worker: worker.id, clean: true });
    this.#orders.wakeBy(this.#ending.dueAt);
  }

  /**
   * Its tasks are settled or taken back before.
   *
   * @param tasks How many wait, one of which a spare may take over.
   */
  stop(worker: WorkerRecord<T>, tasks: number, now: number): void {
    this.workers.remove(worker);
    this.#ending.stop(worker.id, now);
    if (tasks > 0 && this.workers.idle > 0) this.#takenOverAt = now;
    this.#orders.push({ type: "close", worker: worker.id, clean: false });
    this.#interrupt(now);
  }

  /** Interrupts the workers whose grace is over. */
  #interrupt(now: number): void {
    for (const worker of this.#ending.tick(now)) this.#orders.push({ type: "kill", worker });
    this.#orders.wakeBy(this.#ending.dueAt);
  }

  /** A worker has ended. Gives it if it was not told to: then what it was doing is lost. See `judge`. */
  gone(id: number, now: number): WorkerRecord<T> | undefined {
    if (this.#ending.gone(id)) return undefined;
    const worker = this.workers.get(id);
    if (worker === undefined) return undefined;
    this.workers.remove(worker);
    this.#restarts.spend(now);
    return worker;
  }

  /**
   * Draws conclusions from the end of a worker, of which no task is left by now.
   *
   * @param begun Whether it had begun a task.
   */
  judge(worker: WorkerRecord<T>, death: DeathData, begun: boolean, now: number): void {
    if (begun) this.prove(worker);
    // What the start left behind may have ended it, also when it had said that it was ready.
    else if (!worker.proven) this.#startFailed(worker.state.phase === "starting", death, now);
  }

  #startFailed(starting: boolean, death: DeathData, now: number): void {
    this.#failedStarts++;
    const { idle, busy, unproven } = this.workers;
    // Those that are there may not be any better.
    const always = this.#failedStarts >= MAX_FAILED_STARTS + unproven;
    if (!this.#warm && !this.closing) {
      // An error thrown at the start will be thrown again; any other end may have been a single misfortune.
      if (!always && !(starting && death.reason === "error")) return;
      this.#orders.push({ type: "broken", death });
      this.#events.broken(now);
    } else if (always && idle + busy === unproven) {
      this.#events.unavailable(death, now);
    }
  }

  /** Time has passed. */
  tick(now: number): void {
    this.#tickStarts(now);
    this.#interrupt(now);
    this.#tickIdle(now);
  }

  /** Gives up workers that do not come to the end of their start. */
  #tickStarts(now: number): void {
    for (const worker of this.workers.all()) {
      const { state } = worker;
      if (state.phase !== "starting") continue;
      const dueAt = this.#startDueAt(state);
      if (now < dueAt) {
        this.#orders.wakeBy(dueAt);
        continue;
      }
      const message = state.initializingSince === undefined
        ? `did not start within ${MAX_START_MS} ms`
        : `did not end its initializer within ${this.#initializeTimeout} ms (see loadTimeout)`;
      this.#restarts.spend(now);
      this.stop(worker, 0, now);
      this.#startFailed(true, { reason: "error", exitCode: null, message }, now);
    }
  }

  /** How long an initializer may run: at the start of the pool those of all workers share the cores. */
  get #initializeTimeout(): number {
    const { loadTimeout, size, spares, cores } = this.#options;
    return loadTimeout * Math.ceil((size + spares) / cores);
  }

  /** When a worker that starts must be ready. */
  #startDueAt({ since, initializingSince }: Starting): number {
    return initializingSince === undefined
      ? since + MAX_START_MS
      : initializingSince + this.#initializeTimeout;
  }

  /** Lets go of the workers that had nothing to do for long. */
  #tickIdle(now: number): void {
    const { minSize, size, spares, idleTimeout } = this.#options;
    if (minSize === size || this.closing) return;
    for (const worker of this.workers.allIdle()) {
      if (this.workers.size <= minSize + spares) break;
      if (worker.state.phase !== "idle") continue;
      const at = worker.state.since + idleTimeout;
      if (at > now) this.#orders.wakeBy(at);
      else this.#retire(worker, now);
    }
  }

  /** The pool ends: those that do nothing go, those that are busy are left to who gave them their tasks. */
  close(terminated: boolean, now: number): void {
    this.#closing ??= { since: now, terminated };
    this.#closing.terminated ||= terminated;
    for (const worker of this.workers.all()) {
      const { phase } = worker.state;
      if (phase === "idle") {
        this.#retire(worker, now);
      } else if (phase === "starting") {
        // Nobody waits for it: it ends with the nursery.
        this.workers.remove(worker);
        this.#orders.push({ type: "kill", worker: worker.id });
      }
    }
  }

  /** Tells when the pool has ended. A worker that does not end does not keep it. */
  finishClosing(now: number): void {
    if (this.#closed || this.#closing === undefined) return;
    const { since, terminated } = this.#closing;
    const by = since + (terminated ? this.#options.killGrace + 200 : END_MS);
    if (this.workers.size + this.#ending.size > 0 && now < by) return this.#orders.wakeBy(by);
    this.#closed = true;
    for (const { id } of this.workers.all()) this.#orders.push({ type: "kill", worker: id });
    for (const worker of this.#ending.ids) this.#orders.push({ type: "kill", worker });
    this.#orders.push({ type: "closed" });
  }
}

function tooManyZombies(max: number): DeathData {
  return {
    reason: "exit",
    exitCode: null,
    message:
      `could not be started: ${max} killed workers have not ended, and no more than that are allowed (maxZombies)`,
  };
}
