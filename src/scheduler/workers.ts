import { Offered } from "./offered.ts";
import type { Task } from "./scheduling.ts";

/** A worker that was given tasks. */
export interface Busy<T extends Task> {
  phase: "busy";
  offered: Offered<T>;
  /** When it began to have something to do, or ended the last task. */
  since: number;
  /** The number of the task that was asked to come to its end. */
  softened: number;
  /** It began nothing for long, so all was taken back. */
  stuck: boolean;
  /** The number of the task that was found overdue: it is to be settled, and the worker to be given no more. */
  condemned: number;
  /** It holds a task of higher priority behind others. */
  disordered: boolean;
  /** When tasks were last taken back for a free worker. */
  stolenAt: number;
}

/** A worker on its way. */
export interface Starting {
  phase: "starting";
  since: number;
  /** When it came so far as to run its initializer. */
  initializingSince: number | undefined;
}

type WorkerState<T extends Task> =
  | Starting
  | { phase: "idle"; since: number }
  | Busy<T>;

/** A worker, as the scheduler knows it. */
export interface WorkerRecord<T extends Task> {
  readonly id: number;
  /** How often workers had been renewed when it was started. */
  readonly generation: number;
  state: WorkerState<T>;
  /** Tasks handed out to it and not taken back. */
  handed: number;
  /** It has begun a task: nothing was wrong with its start. */
  proven: boolean;
  /** The number of the next task. Never used twice, so that a late reply cannot be mistaken. */
  nextSeq: number;
}

/** The workers of a pool, by what they do. One that was told to end is none of them, but one of `EndingWorkers`. */
export class Workers<T extends Task> {
  readonly #records = new Map<number, WorkerRecord<T>>();
  /** The one to be given tasks next is the last. */
  #idle: WorkerRecord<T>[] = [];
  #starting = 0;
  #busy = 0;
  #spawned = 0;

  get size(): number {
    return this.#records.size;
  }

  get starting(): number {
    return this.#starting;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get busy(): number {
    return this.#busy;
  }

  /** How many there have been. */
  get spawned(): number {
    return this.#spawned;
  }

  get(id: number): WorkerRecord<T> | undefined {
    return this.#records.get(id);
  }

  all(): Iterable<WorkerRecord<T>> {
    return this.#records.values();
  }

  /** Those that have nothing to do, longest first; a list of its own. */
  allIdle(): WorkerRecord<T>[] {
    return [...this.#idle];
  }

  /** The idle worker to be given tasks next: the one that was busy last. */
  nextIdle(): WorkerRecord<T> | undefined {
    return this.#idle[this.#idle.length - 1];
  }

  /** How many have started of which nobody knows yet whether they can do anything. */
  get unproven(): number {
    let count = 0;
    for (const { state, proven } of this.#records.values()) {
      if (state.phase !== "starting" && !proven) count++;
    }
    return count;
  }

  /** When those began that have been starting since then. */
  startsSince(then: number): number[] {
    const starts: number[] = [];
    for (const { state } of this.#records.values()) {
      if (state.phase === "starting" && state.since > then) starts.push(state.since);
    }
    return starts;
  }

  /** A new worker, which starts. */
  add(generation: number, now: number): WorkerRecord<T> {
    const id = ++this.#spawned;
    const state: Starting = { phase: "starting", since: now, initializingSince: undefined };
    const worker: WorkerRecord<T> = { id, generation, state, handed: 0, proven: false, nextSeq: 0 };
    this.#records.set(id, worker);
    this.#starting++;
    return worker;
  }

  /** It has started, or has nothing more to do. */
  rest(worker: WorkerRecord<T>, now: number): void {
    const started = worker.state.phase === "starting";
    this.#leave(worker);
    worker.state = { phase: "idle", since: now };
    if (started) this.#idle.unshift(worker);
    else this.#idle.push(worker);
  }

  /** Gives it tasks; it may have some already. */
  give(worker: WorkerRecord<T>, tasks: readonly T[], now: number): Busy<T> {
    worker.handed += tasks.length;
    if (worker.state.phase === "busy") {
      for (const task of tasks) worker.state.offered.push(task);
      return worker.state;
    }
    this.#leave(worker);
    this.#busy++;
    return worker.state = {
      phase: "busy",
      offered: new Offered([...tasks]),
      since: now,
      softened: -1,
      stuck: false,
      condemned: -1,
      disordered: false,
      stolenAt: -Infinity,
    };
  }

  /** It is told to end, or has ended. */
  remove(worker: WorkerRecord<T>): void {
    this.#leave(worker);
    this.#records.delete(worker.id);
  }

  /** Counts it out of what it was doing. */
  #leave(worker: WorkerRecord<T>): void {
    switch (worker.state.phase) {
      case "starting":
        this.#starting--;
        return;
      case "idle":
        this.#idle.splice(this.#idle.lastIndexOf(worker), 1);
        return;
      case "busy":
        this.#busy--;
        return;
      default:
        worker.state satisfies never;
    }
  }
}
