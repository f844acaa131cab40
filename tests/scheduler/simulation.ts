import { assert } from "@std/assert";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Result, WorkerKind } from "../../src/scheduler/scheduling.ts";
import { looked, running } from "./events.ts";
import {
  DEATH,
  type FakeCommand,
  type FakeEvent,
  type FakeOptions,
  type FakeTask,
  options,
} from "./fakes.ts";

/** What becomes of a task that a worker runs, after so many milliseconds. */
export interface Fate {
  end: "ok" | "unloaded" | "exit" | "hang" | "stuck";
  ms?: number;
}

/** A worker of the simulation: it runs what it holds, one after the other. */
export interface SimulatedWorker {
  readonly id: number;
  readonly kind: WorkerKind;
  held: FakeTask[];
  current: { task: FakeTask; since: number } | undefined;
  /** Stopped, and does not end. */
  stuck: boolean;
  gone: boolean;
  /** For the test to note what it has run. */
  readonly notes: Set<unknown>;
}

/** A pool in simulated time, of which the test says what becomes of each task. */
export class Simulation {
  readonly scheduler: Scheduler<FakeTask, Result>;
  /** How each task ended, by its id. */
  readonly outcomes = new Map<number, { status: string; at: number; attempts: number }>();
  readonly workers = new Map<number, SimulatedWorker>();
  /** When each worker was started. */
  readonly starts: number[] = [];
  now = 0;
  readonly #fate: (task: FakeTask, worker: SimulatedWorker) => Fate;
  readonly #startMs: number;
  readonly #agenda: { at: number; act: () => void }[] = [];

  constructor(
    more: FakeOptions,
    fate: (task: FakeTask, worker: SimulatedWorker) => Fate,
    startMs = 50,
  ) {
    this.#fate = fate;
    this.#startMs = startMs;
    this.scheduler = new Scheduler(options(more));
    this.#carry(this.scheduler.start(0));
    this.run(startMs);
  }

  push(...tasks: FakeTask[]): void {
    for (const task of tasks) this.tell({ type: "push", task });
  }

  tell(event: FakeEvent): void {
    this.#carry(this.scheduler.handle(event, this.now));
  }

  /** Lets time pass. */
  run(until: number): void {
    for (let turns = 0;; turns++) {
      assert(turns < 200_000, `turns in circles at ${this.now}`);
      const next = this.#agenda.reduce<{ at: number; act: () => void } | undefined>(
        (first, each) => first === undefined || each.at < first.at ? each : first,
        undefined,
      );
      const at = Math.min(next?.at ?? Infinity, this.scheduler.wakeAt);
      if (at > until) break;
      this.now = Math.max(this.now, at);
      if (next === undefined || next.at > at) {
        this.tell({ type: "tick" });
        continue;
      }
      this.#agenda.splice(this.#agenda.indexOf(next), 1);
      next.act();
    }
    this.now = until;
  }

  /** How many tasks have ended in each way. */
  count(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { status } of this.outcomes.values()) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  #after(ms: number, act: () => void): void {
    this.#agenda.push({ at: this.now + ms, act });
  }

  #carry(commands: FakeCommand[]): void {
    const events: FakeEvent[] = [];
    for (const command of commands) {
      switch (command.type) {
        case "spawn":
          this.#spawn(command.worker, command.kind);
          break;
        case "offer": {
          const worker = this.workers.get(command.worker)!;
          worker.held.push(...command.tasks);
          this.#after(0, () => this.#next(worker));
          break;
        }
        case "take-back": {
          const worker = this.workers.get(command.worker)!;
          const seqs = worker.held.filter(({ seq }) => command.seqs.includes(seq)).map(({ seq }) => seq);
          worker.held = worker.held.filter(({ seq }) => !seqs.includes(seq));
          events.push({ type: "taken-back", worker: worker.id, seqs });
          break;
        }
        case "look":
          events.push(this.#look(command.worker));
          break;
        case "watch": {
          const { worker, at } = command;
          this.#after(Math.max(0, at - this.now), () => {
            if (!this.workers.get(worker)!.gone) this.tell(this.#look(worker));
          });
          break;
        }
        case "close":
        case "kill": {
          const worker = this.workers.get(command.worker)!;
          if (!worker.stuck) this.#after(1, () => this.end(worker));
          if (command.type === "kill") events.push({ type: "interrupted", worker: worker.id });
          break;
        }
        case "finish":
          this.#settle(command.task, command.result.ok ? "ok" : "failed");
          break;
        case "settle":
          this.#settle(command.task, command.verdict.status);
          break;
        default:
          break;
      }
    }
    for (const event of events) this.tell(event);
  }

  #settle({ id, attempts }: FakeTask, status: string): void {
    assert(!this.outcomes.has(id), `task ${id} has two outcomes`);
    this.outcomes.set(id, { status, at: this.now, attempts });
  }

  #spawn(id: number, kind: WorkerKind): void {
    const worker: SimulatedWorker = {
      id,
      kind,
      held: [],
      current: undefined,
      stuck: false,
      gone: false,
      notes: new Set(),
    };
    this.workers.set(id, worker);
    this.starts.push(this.now);
    this.#after(this.#startMs, () => {
      if (!worker.gone) this.tell({ type: "ready", worker: id });
    });
  }

  #look(id: number): FakeEvent {
    const current = this.workers.get(id)?.current;
    return looked(id, current && running(current.task.seq, current.since));
  }

  #next(worker: SimulatedWorker): void {
    if (worker.current !== undefined || worker.gone) return;
    const task = worker.held.shift();
    if (task === undefined) return;
    const since = this.now;
    worker.current = { task, since };
    const { end, ms = 1 } = this.#fate(task, worker);
    if (end === "hang" || end === "stuck") {
      worker.stuck = end === "stuck" && worker.kind === "thread";
      return;
    }
    this.#after(ms, () => {
      if (worker.gone || worker.current?.task !== task) return;
      if (end === "exit") return this.end(worker);
      worker.current = undefined;
      const result: Result = {
        seq: task.seq,
        ok: end === "ok",
        unloaded: end === "unloaded",
        callbacks: 0,
        startedAt: since,
        endedAt: this.now,
      };
      this.tell({ type: "results", worker: worker.id, results: [result] });
      this.#next(worker);
    });
  }

  /** A worker ends. */
  end(worker: SimulatedWorker): void {
    if (worker.gone) return;
    worker.gone = true;
    const { current } = worker;
    this.tell({
      type: "gone",
      worker: worker.id,
      death: DEATH,
      results: [],
      running: current && running(current.task.seq, current.since),
      unclaimed: worker.held.map(({ seq }) => seq),
    });
  }
}
