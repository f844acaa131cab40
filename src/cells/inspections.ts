import type { CellRecord } from "./cell_record.ts";
import type { Specifiers } from "./specifiers.ts";

/** What it takes to find out which callbacks a module has. */
export interface InspectionHost {
  /** What is known of that, if it is known, or is not to be found out. */
  known(module: number): { callbacks: number | undefined } | undefined;
  /** The cell that is given tasks of the module, if there is one. */
  cellFor(module: number): CellRecord | undefined;
  /** The module waits for a cell: an outcome waits for that. */
  waits(): void;
  /** `callbacks` is undefined where nobody knows. */
  answer(module: number, callbacks: number | undefined): void;
}

/** Questions of which callbacks a module has: each is answered, by a cell, or when none can be had. */
export class Inspections {
  readonly #host: InspectionHost;
  readonly #specifiers: Specifiers;
  /** Modules that a cell is to be asked of when there is one. */
  readonly #waiting = new Set<number>();
  /** Modules that a cell was asked of which could not be started: another is asked, which is started after that. */
  readonly #askedAgain = new Set<number>();

  constructor(host: InspectionHost, specifiers: Specifiers) {
    this.#host = host;
    this.#specifiers = specifiers;
  }

  ask(module: number): void {
    const known = this.#host.known(module);
    if (known !== undefined) return this.#answer(module, known.callbacks);
    const to = this.#host.cellFor(module);
    if (to !== undefined) return to.inspect(module, this.#specifiers);
    this.#waiting.add(module);
    this.#host.waits();
  }

  /** Asks those that wait, where there is a cell for them by now. */
  askWaiting(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const module of waiting) this.ask(module);
  }

  /** Those that wait. */
  get waiting(): Iterable<number> {
    return this.#waiting;
  }

  /** Asks a cell of one of those. */
  askOf(record: CellRecord, module: number): void {
    this.#waiting.delete(module);
    record.inspect(module, this.#specifiers);
  }

  /** The cell has answered. */
  answered(from: CellRecord, module: number): void {
    from.inspections.delete(module);
    this.#askedAgain.delete(module);
  }

  /**
   * A cell has died that may have been asked.
   *
   * @param failed Before it was ready.
   * @param hopeless No other is there.
   */
  lost({ inspections }: CellRecord, failed: boolean, hopeless: boolean): void {
    for (const module of inspections) {
      // Where none can be started nobody is to wait for one.
      if (failed && hopeless && this.#askedAgain.has(module)) {
        this.#answer(module, undefined);
        continue;
      }
      if (failed) this.#askedAgain.add(module);
      this.ask(module);
    }
  }

  #answer(module: number, callbacks: number | undefined): void {
    this.#askedAgain.delete(module);
    this.#host.answer(module, callbacks);
  }
}
