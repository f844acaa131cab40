import type { Departures } from "./departures.ts";
import type { Orders } from "./orders.ts";
import { RestartBudget } from "./restart_budget.ts";
import type { Result, SchedulerOptions, Task, WorkerKind } from "./scheduling.ts";
import type { Spares } from "./spares.ts";
import type { Starting, WorkerRecord, Workers } from "./workers.ts";
import type { DeathData } from "../wire/protocol.ts";

/** A worker that takes longer to start is not waited for when others are to be started, in milliseconds. */
const START_MS = 1_000;
/** A worker that takes longer to come to its initializer will never be ready, in milliseconds. */
const MAX_START_MS = 60_000;
/** How long a task that a spare took over has the cores to itself before another spare is started, in milliseconds. */
const TAKE_OVER_MS = 25;
/** Failed starts in a row after which waiting tasks fail; a start is good when a task was begun. */
const MAX_FAILED_STARTS = 3;

/** Hears that there are no workers. */
export interface StartEvents {
  /** The pool cannot start. */
  broken(now: number): void;
  /** There is no worker, and for the time being none can be had; `onlyUrgent`: other tasks may wait for one all the same. */
  unavailable(death: DeathData, now: number, onlyUrgent: boolean): void;
}

/** When a worker may be started, by when it must be ready, and what follows from starts that fail. */
export class Starts<T extends Task, R extends Result> {
  /** What pays for workers that end without being told to. */
  readonly restarts: RestartBudget;
  readonly #options: SchedulerOptions;
  readonly #orders: Orders<T, R>;
  readonly #workers: Workers<T>;
  readonly #spares: Spares;
  readonly #departures: Departures<T, R>;
  readonly #events: StartEvents;
  /** How long the quickest start of a thread took. */
  #startMs = Infinity;
  #warm = false;
  #failedStarts = 0;

  constructor(
    options: SchedulerOptions,
    orders: Orders<T, R>,
    workers: Workers<T>,
    spares: Spares,
    departures: Departures<T, R>,
    events: StartEvents,
  ) {
    this.restarts = new RestartBudget(options.restarts);
    this.#options = options;
    this.#orders = orders;
    this.#workers = workers;
    this.#spares = spares;
    this.#departures = departures;
    this.#events = events;
  }

  /** Whether a worker may be risked: if it ends, the budget has another. Else a tick comes when it may. */
  mayRisk(now: number): boolean {
    const wait = this.restarts.wait(1, now);
    if (wait > 0) this.#orders.wakeBy(now + wait + 1);
    return wait === 0;
  }

  /** Takes over the worker that the entry has started then. */
  adopt(since: number): void {
    const { id } = this.#workers.add("thread", since, true);
    this.#orders.push({ type: "adopt", worker: id });
    this.#orders.wakeBy(since + MAX_START_MS);
  }

  /** Starts as many as may be started now; when there may be more, a tick comes. */
  start(kind: WorkerKind, count: number, now: number): void {
    if (kind === this.#options.kind && this.#departures.zombies >= this.#options.maxZombies) {
      return this.#waitForZombies(now);
    }
    const wait = this.restarts.wait(0, now);
    if (wait > 0) return this.#orders.wakeBy(now + wait + 1);
    for (let left = count; left > 0 && this.#mayStart(kind, now); left--) {
      const { id } = this.#workers.add(kind, now);
      this.#orders.push({ type: "spawn", worker: id, kind });
      this.#orders.wakeBy(now + MAX_START_MS);
    }
  }

  /** No more of them are allowed: tasks wait while one may still end, for a call that returns. */
  #waitForZombies(now: number): void {
    const at = this.#departures.hopelessAt;
    if (now < at) this.#orders.wakeBy(at);
    if (this.#workers.size > 0) return;
    this.#events.unavailable(tooManyZombies(this.#options.maxZombies), now, now < at);
  }

  /** Whether one more worker may be started now, beside those that start. */
  #mayStart(kind: WorkerKind, now: number): boolean {
    const { capacity, cores } = this.#options;
    // A core on which nothing runs may as well start one more.
    const maxStarting = Math.max(capacity[kind].maxStarting, cores - this.#workers.busy);
    // Until the pool is warm what counts is to have it soon.
    if (!this.#warm || maxStarting === Infinity) return true;
    if (now < this.#departures.takenOverAt + TAKE_OVER_MS) {
      this.#orders.wakeBy(this.#departures.takenOverAt + TAKE_OVER_MS);
      return false;
    }
    const starts = this.#workers.startsWithin(START_MS, now);
    if (starts.length < maxStarting) return true;
    this.#orders.wakeBy(Math.min(...starts) + START_MS);
    return false;
  }

  /** A worker has got as far as its initializer. */
  initializing(id: number, now: number): void {
    const worker = this.#workers.get(id);
    if (worker?.state.phase !== "starting") return;
    worker.state.initializingSince = now;
    this.#orders.wakeBy(this.#dueAt(worker.state));
  }

  /** A worker is ready. */
  started({ kind, bridge }: WorkerRecord<T>, { since }: Starting, now: number): void {
    if (bridge) return;
    const ms = now - since;
    if (kind === "thread") this.#startMs = Math.min(this.#startMs, ms);
    if (kind === this.#options.kind) this.#spares.started(ms);
  }

  /** Tells, once, when as many workers have started as the pool is to have at least. */
  warmUp(): void {
    if (this.#warm || this.#workers.ownStarted < this.#options.minSize) return;
    this.#warm = true;
    this.#orders.push({ type: "warm", startMs: this.#startMs });
  }

  /** A task came to an end of its own on the worker. */
  served(worker: WorkerRecord<T>): void {
    worker.useful = true;
    this.prove(worker);
  }

  /** A worker has begun a task. */
  prove(worker: WorkerRecord<T>): void {
    worker.proven = true;
    this.#failedStarts = 0;
  }

  /**
   * Draws conclusions from the end of a worker, none of whose tasks is left by now.
   *
   * @param begun Whether it had begun a task.
   * @param paid Whether the work done before pays for its replacement: the budget does not.
   */
  judge(worker: WorkerRecord<T>, death: DeathData, begun: boolean, paid: boolean, now: number): void {
    // No worker is started in place of the bridge.
    if (!paid && !worker.bridge) this.restarts.spend(now);
    if (begun) this.prove(worker);
    // What the start left behind may have ended it, also when it had said that it was ready.
    else if (!worker.proven && !worker.bridge) {
      this.#failed(worker.state.phase === "starting", death, now);
    }
  }

  #failed(starting: boolean, death: DeathData, now: number): void {
    this.#failedStarts++;
    const { idle, busy, unproven } = this.#workers;
    // Those that are there may not be any better.
    const always = this.#failedStarts >= MAX_FAILED_STARTS + unproven;
    if (!this.#warm && !this.#options.takesOver && !this.#departures.closing) {
      // An error thrown at the start will be thrown again; any other end may have been a single misfortune.
      if (!always && !(starting && death.reason === "error")) return;
      this.#orders.push({ type: "broken", death });
      this.#events.broken(now);
    } else if (always && idle + busy === unproven) {
      this.#events.unavailable(death, now, false);
    }
  }

  /** Gives up workers that take too long to start. */
  tick(now: number): void {
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      if (state.phase !== "starting") continue;
      const dueAt = this.#dueAt(state);
      if (now < dueAt) {
        this.#orders.wakeBy(dueAt);
        continue;
      }
      const message = state.initializingSince === undefined
        ? `did not start within ${MAX_START_MS} ms`
        : `did not end its initializer within ${this.#initializeTimeout} ms (see loadTimeout)`;
      this.#departures.stop(worker, 0, now);
      if (worker.bridge) continue;
      this.restarts.spend(now);
      this.#failed(true, { reason: "error", exitCode: null, message }, now);
    }
  }

  /** How long an initializer may run: at the start of the pool those of all workers share the cores. */
  get #initializeTimeout(): number {
    const { loadTimeout, size, spares, cores } = this.#options;
    return loadTimeout * Math.ceil((size + spares) / cores);
  }

  /** When a worker that is starting must be ready. */
  #dueAt({ since, initializingSince }: Starting): number {
    return initializingSince === undefined
      ? since + MAX_START_MS
      : initializingSince + this.#initializeTimeout;
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
