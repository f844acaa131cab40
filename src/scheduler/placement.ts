import { LET_GO_MS } from "./departures.ts";
import type { ModuleBook } from "./module_book.ts";
import type { Task } from "./scheduling.ts";
import type { WorkerRecord, Workers } from "./workers.ts";

/** What is at stake. */
export interface Risks {
  /** Whether the restart budget allows for the end of a worker. */
  mayRisk(now: number): boolean;
  /** Whether a thread that ran a task of the file may be one that cannot be stopped: it is not known yet. */
  doubts(file: number, now: number): boolean;
}

/**
 * Which worker may run the tasks of which module.
 *
 * | a module | its tasks |
 * |---|---|
 * | that the worker could not load | go to another, if there is one or the restart budget allows for one |
 * | whose file came after the worker, which may not read it | go to another; the worker goes when it is not its turn |
 * | of which a thread could not be stopped | go to processes only, where those may be started |
 * | of which a thread does not seem to be stoppable | wait until it is known, unless there is a process |
 * | that changed a worker's globals while it was loaded | go to any worker, and that one runs no others than those of its file |
 * | of which several tasks in a row ended their worker | are *held*: one at a time is tried, on a worker that does nothing else, when the restart budget allows for its end |
 */
export class Placement<T extends Task> {
  readonly #modules: ModuleBook;
  readonly #workers: Workers<T>;
  readonly #risks: Risks;

  constructor(modules: ModuleBook, workers: Workers<T>, risks: Risks) {
    this.#modules = modules;
    this.#workers = workers;
    this.#risks = risks;
  }

  /** Whether the worker can ever be given tasks of the module. */
  suits(
    { kind, home, generation }: Pick<WorkerRecord<T>, "kind" | "home" | "generation">,
    module: number,
  ): boolean {
    if (generation < this.#modules.generationOf(module)) return false;
    if (home !== undefined && home !== this.#modules.fileOf(module)) return false;
    const wanted = this.#modules.kindOf(module);
    return wanted === undefined || wanted === kind;
  }

  /** Whether the worker may be given the task now. */
  may(worker: WorkerRecord<T>, { module }: T, now: number): boolean {
    if (!this.suits(worker, module)) return false;
    if (worker.kind === "thread" && this.#risks.doubts(this.#modules.fileOf(module), now)) return false;
    if (worker.unloaded.has(module)) return !this.hasFresh(module, now);
    if (!this.#modules.isHeld(module)) return true;
    return worker.state.phase === "idle" && !this.#modules.isProbed(module) && this.#risks.mayRisk(now);
  }

  /** Whether the worker lacks something that tasks need which have come since: it keeps none of them waiting. */
  lacks(worker: WorkerRecord<T>): boolean {
    return this.#workers.discarded && this.#workers.isDiscarded(worker);
  }

  /** Whether there is, or can be, a worker for the module that has not failed to load it. */
  hasFresh(module: number, now: number): boolean {
    for (const worker of this.#workers.all()) if (this.#isFresh(worker, module)) return true;
    return this.#risks.mayRisk(now);
  }

  /** How many workers for the module are free, or soon will be, that have not failed to load it. */
  soon(module: number, now: number): number {
    let count = 0;
    for (const worker of this.#workers.all()) {
      const { state } = worker;
      const late = state.phase === "letting-go" && state.since + LET_GO_MS <= now;
      if (state.phase !== "busy" && !late && this.#isFresh(worker, module)) count++;
    }
    return count;
  }

  #isFresh(worker: WorkerRecord<T>, module: number): boolean {
    return !worker.leaving && !worker.unloaded.has(module) && this.suits(worker, module);
  }
}
