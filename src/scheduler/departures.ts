import { EndingWorkers } from "./ending_workers.ts";
import type { Orders } from "./orders.ts";
import type { Result, SchedulerOptions, Task } from "./scheduling.ts";
import type { Slots } from "./slots.ts";
import type { Spares } from "./spares.ts";
import type { WorkerRecord, Workers } from "./workers.ts";
import type { StatsData } from "../wire/protocol.ts";

/** A worker that has not let go of its task within this is no longer counted on, in milliseconds. */
export const LET_GO_MS = 1_000;
/** How long workers that have nothing more to do may take to end when the pool closes, in milliseconds. */
const END_MS = 2_000;

/** Hears what comes of the end of workers. */
export interface DepartureEvents {
  /** A worker of which a task of this file ran last is a zombie. */
  zombie(file: number): void;
}

/** How workers end: in peace, stopped whatever they are doing, after letting go of a task, or with the pool. */
export class Departures<T extends Task, R extends Result> {
  readonly #options: SchedulerOptions;
  readonly #orders: Orders<T, R>;
  readonly #workers: Workers<T>;
  readonly #spares: Spares;
  readonly #slots: Slots;
  readonly #events: DepartureEvents;
  readonly #ending = new EndingWorkers();
  /** The bridge, on its way out. */
  #leavingBridge: number | undefined;
  #takenOverAt = -Infinity;
  #closing: { since: number; terminated: boolean } | undefined;
  #closed = false;

  constructor(
    options: SchedulerOptions,
    orders: Orders<T, R>,
    workers: Workers<T>,
    spares: Spares,
    slots: Slots,
    events: DepartureEvents,
  ) {
    this.#options = options;
    this.#orders = orders;
    this.#workers = workers;
    this.#spares = spares;
    this.#slots = slots;
    this.#events = events;
  }

  /** The part of `stats()` that is about the end of workers, and how many are on their way. */
  stats(): Pick<StatsData, "zombies" | "killed" | "ended"> & { stopping: number } {
    const { size, zombies, killed, ended } = this.#ending;
    const leaving = this.#leavingBridge !== undefined && this.#ending.retires(this.#leavingBridge);
    return { stopping: size - Number(leaving) + this.#workers.lettingGo, zombies, killed, ended };
  }

  /** Whether the pool was told to end. */
  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Whether it was told to end at once. */
  get terminated(): boolean {
    return this.#closing?.terminated === true;
  }

  /** When a worker was stopped and a spare went on in its place; `-Infinity` for never. */
  get takenOverAt(): number {
    return this.#takenOverAt;
  }

  /** How many have not ended though they were interrupted. */
  get zombies(): number {
    return this.#ending.zombies;
  }

  /** By when all of those have had their time to end; `Infinity` where there is none. */
  get hopelessAt(): number {
    return this.#ending.hopelessAt;
  }

  /** Whether a worker that ran a task of the file last may never end. */
  doubts(file: number, now: number): boolean {
    return this.#ending.doubts(file, now);
  }

  /** Ends a worker that has nothing to do. */
  retire(worker: WorkerRecord<T>, now: number): void {
    this.#slots.release(worker.id);
    this.#workers.remove(worker);
    if (worker.bridge) this.#leavingBridge = worker.id;
    this.#ending.retire(worker, this.#options.disposeTimeout !== undefined, now);
    this.#orders.push({ type: "close", worker: worker.id, clean: true });
    this.#orders.wakeBy(this.#ending.dueAt);
  }

  /** A worker has been interrupted that was to be. */
  interrupted(worker: number, now: number): void {
    this.#ending.interrupted(worker, now);
    this.#orders.wakeBy(this.#ending.dueAt);
  }

  /** A worker that ends in peace cleans up. */
  disposing(worker: number, now: number): void {
    this.#ending.dispose(worker, this.#options.disposeTimeout ?? 0, now);
    this.#orders.wakeBy(this.#ending.dueAt);
  }

  /**
   * Ends a worker, whatever it is doing. Its tasks have been settled or taken back before.
   *
   * @param tasks How many wait, one of which a spare may take over.
   */
  stop(worker: WorkerRecord<T>, tasks: number, now: number): void {
    if (worker.state.phase === "busy") this.lost(worker, now);
    this.#slots.linger(worker.id);
    this.#workers.remove(worker);
    // A process needs no time to end by itself: it is killed at the deadline.
    const grace = worker.kind === "process" ? 0 : this.#options.killGrace;
    this.#ending.stop(worker, grace, now);
    if (tasks > 0 && this.#workers.idle > 0) this.#takenOverAt = now;
    this.#orders.push({ type: "close", worker: worker.id, clean: false });
    this.#interrupt(now);
  }

  /**
   * The task of a worker is settled, and has so long to let go of it. Spares take over meanwhile; one is started in its
   * place if it does not do so soon.
   *
   * @param tasks How many wait, one of which a spare may take over.
   */
  letGo(worker: WorkerRecord<T>, seq: number, grace: number, tasks: number, now: number): void {
    this.lost(worker, now);
    this.#slots.linger(worker.id);
    this.#workers.letGo(worker, seq, now + grace, now);
    if (tasks > 0 && this.#workers.idle > 0) this.#takenOverAt = now;
    this.#orders.push({ type: "abort", worker: worker.id, seq, over: true });
    this.#orders.wakeBy(now + Math.min(grace, LET_GO_MS));
  }

  /** A task took a worker away from the others, for now or for ever. */
  lost({ kind, state }: WorkerRecord<T>, now: number): void {
    if (kind !== this.#options.kind) return;
    this.#spares.stopped(now, Math.max(0, now - state.since));
    this.#orders.wakeBy(this.#spares.fewerAt);
  }

  /** Time has passed. */
  tick(now: number): void {
    this.#tickLettingGo(now);
    this.#interrupt(now);
  }

  /** Stops the workers that did not let go of their task in time. */
  #tickLettingGo(now: number): void {
    if (this.#workers.lettingGo === 0) return;
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      if (state.phase !== "letting-go") continue;
      const { since, until } = state;
      if (now >= until) this.stop(worker, 0, now);
      else this.#orders.wakeBy(now < since + LET_GO_MS ? Math.min(since + LET_GO_MS, until) : until);
    }
  }

  /** Interrupts the workers whose grace is over. */
  #interrupt(now: number): void {
    for (const { worker, zombie, disposing, file } of this.#ending.tick(now)) {
      if (zombie) {
        this.#orders.push({ type: "zombie", worker });
        if (file !== undefined) this.#events.zombie(file);
        continue;
      }
      if (disposing) this.#orders.push({ type: "undisposed", worker });
      this.#orders.push({ type: "kill", worker });
    }
    this.#orders.wakeBy(this.#ending.dueAt);
  }

  /** A worker has ended. Returns it if it was not told to: then what it was doing is lost. See `Starts.judge`. */
  gone(id: number): WorkerRecord<T> | undefined {
    this.#slots.release(id);
    if (this.#ending.gone(id)) return undefined;
    const worker = this.#workers.get(id);
    if (worker === undefined) return undefined;
    this.#workers.remove(worker);
    return worker;
  }

  /** The pool ends: idle workers go, busy ones are left to whoever gave them their tasks. */
  close(terminated: boolean, now: number): void {
    this.#closing ??= { since: now, terminated };
    this.#closing.terminated ||= terminated;
    for (const worker of this.#workers.all()) {
      const { phase } = worker.state;
      if (phase === "idle") {
        this.retire(worker, now);
      } else if (phase === "starting") {
        // Nobody waits for it: it ends with the nursery.
        this.#workers.remove(worker);
        this.#orders.push({ type: "kill", worker: worker.id });
      }
    }
  }

  /** Tells when the pool has ended. A worker that does not end does not hold it up, nor one that ends with its process. */
  finishClosing(now: number): void {
    if (this.#closed || this.#closing === undefined) return;
    const { since, terminated } = this.#closing;
    const by = terminated ? since + this.#options.killGrace + 200 : Math.max(
      since + END_MS,
      this.#ending.inPeaceBy,
      this.#workers.lettingGoUntil + this.#options.killGrace,
    );
    const ending = this.#options.cell ? this.#ending.inPeace : this.#ending.size - this.#ending.zombies;
    if (this.#workers.size + ending > 0 && now < by) return this.#orders.wakeBy(by);
    this.#closed = true;
    for (const { id } of this.#workers.all()) this.#orders.push({ type: "kill", worker: id });
    for (const worker of this.#ending.ids) this.#orders.push({ type: "kill", worker });
    this.#orders.push({ type: "closed" });
  }
}
