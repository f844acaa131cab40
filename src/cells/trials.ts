import { now } from "../wire/now.ts";
import type { CellRecord } from "./cell_record.ts";
import type { HandOver } from "./hand_over.ts";
import type { Inspections } from "./inspections.ts";
import type { Suspects } from "./suspects.ts";

/** What it takes to try something. */
export interface TrialHost {
  /** The cell in which a task of the module may be tried, if one may be risked now. */
  cellFor(module: number): CellRecord | undefined;
  /** There is nothing to be tried. */
  none(): void;
}

/** What is tried: a task, or without an id a look at the callbacks of its module. */
interface Tried {
  readonly id: number | undefined;
  readonly module: number;
}

/** Trials of what may end its cell: of modules that are held, one at a time, in a cell in which nothing else runs. */
export class Trials {
  readonly #host: TrialHost;
  readonly #suspects: Suspects;
  readonly #inspections: Inspections;
  readonly #handOver: HandOver;
  /** What is tried now, and where. */
  #trial: Tried & { readonly record: CellRecord } | undefined;

  constructor(host: TrialHost, suspects: Suspects, inspections: Inspections, handOver: HandOver) {
    this.#host = host;
    this.#suspects = suspects;
    this.#inspections = inspections;
    this.#handOver = handOver;
  }

  /** Tries the next, if there is one and nothing is tried already. */
  tryNext(): void {
    if (this.#trial !== undefined) return;
    if (!this.#suspects.any) return this.#host.none();
    const next = this.#next();
    const record = next && this.#host.cellFor(next.module);
    if (record === undefined) return;
    const { id, module } = next!;
    this.#trial = { id, module, record };
    if (id === undefined) this.#inspections.askOf(record, module);
    else this.#handOver.giveHeld(id, record);
  }

  #next(): Tried | undefined {
    for (const module of this.#inspections.waiting) {
      if (this.#suspects.has(module)) return { id: undefined, module };
    }
    for (const task of this.#handOver.due(now())) if (this.#suspects.has(task.module)) return task;
    return undefined;
  }

  /** A run of the task is over: it has its outcome, or waits for its next attempt. */
  ran(id: number): void {
    if (this.#trial?.id === id) this.#over();
  }

  /** The cell has told which callbacks the module has. */
  inspected(from: CellRecord, module: number): void {
    const trial = this.#trial;
    if (trial?.record === from && trial.id === undefined && trial.module === module) this.#over();
  }

  /** The cell has died. */
  lost(record: CellRecord): void {
    if (this.#trial?.record === record) this.#over();
  }

  #over(): void {
    this.#trial = undefined;
    // Not in the middle of what came of it.
    queueMicrotask(() => this.tryNext());
  }
}
