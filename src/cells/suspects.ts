import { ModuleBook } from "../scheduler/module_book.ts";
import type { DeathData } from "../wire/protocol.ts";

/** What a cell had begun when it died: a task, or a look at the callbacks of a module. */
export interface Ender {
  /** Of the task. */
  readonly id: number | undefined;
  readonly module: number;
}

/**
 * Which modules end their cells, by the rules by which the scheduler judges those that end their workers: of which several
 * tasks in a row did is *held*, one at a time is tried, in a cell that does nothing else, when the restart budget allows for
 * its end; of which many did, and none ever returned, is given up for a while.
 *
 * A cell may have begun tasks of several modules when it dies, and nobody knows which of them it was: all are suspected,
 * and those that are innocent are found to be so when they are tried.
 *
 * Pure: all times are milliseconds, and arguments.
 */
export class Suspects {
  readonly #book = new ModuleBook();
  /** Modules that are held. */
  readonly #held = new Set<number>();
  /** Tasks without outcome that had been begun in a cell that died. */
  readonly #crashed = new Set<number>();

  /** Whether any module is held. */
  get any(): boolean {
    return this.#held.size > 0;
  }

  /** Whether the module is held. */
  has(module: number): boolean {
    return this.#held.has(module);
  }

  /** Why no task of the module is run now; undefined if they are. */
  refused(module: number, now: number): DeathData | undefined {
    return this.#held.has(module) ? this.#book.refused(module, now) : undefined;
  }

  /** Which callbacks the module has, as bits; undefined where that is not known. */
  callbacks(module: number): number | undefined {
    return this.#book.callbacks(module);
  }

  /** A cell has loaded the module. */
  loaded(module: number, callbacks: number): void {
    this.#book.loaded(module, callbacks);
  }

  /** A task of the module came to an end of its own. True if it was held, and is no longer. */
  returned(module: number): boolean {
    this.#book.ran(module, 0);
    return this.#held.delete(module);
  }

  /**
   * A cell has died that had begun these.
   *
   * @param useful Whether tasks had come to an end of their own in it.
   * @returns Whether good work pays for the next: the restart budget does not.
   */
  blame(enders: readonly Ender[], useful: boolean, death: DeathData, now: number): boolean {
    const modules = new Set(enders.map(({ module }) => module));
    // Not where the end was to be expected: a task that is tried again after it was in one that died may do so each time.
    const again = ({ id }: Ender) => id !== undefined && this.#crashed.has(id);
    const paid = enders.every((ender) => !this.#held.has(ender.module) && !again(ender)) &&
      (useful || (enders.length > 0 && enders.every(({ module }) => this.#book.isSound(module))));
    for (const module of modules) {
      const own = enders.filter((ender) => ender.module === module);
      // A task counts once, however often it is tried, and an end once, however many tasks it took along.
      const crashed = own.every(again);
      this.#book.crashed({ module, crashed }, death, now);
      // What may have been lost in loading it has no callbacks that could fire.
      if (own.some(({ id }) => id === undefined)) this.#book.loaded(module, 0);
      for (const { id } of own) if (id !== undefined) this.#crashed.add(id);
      if (this.#book.isHeld(module)) this.#held.add(module);
    }
    return paid;
  }

  /** The task has its outcome. */
  ended(id: number): void {
    if (this.#crashed.size > 0) this.#crashed.delete(id);
  }

  /** There are no more tasks of the module. */
  forget(module: number): void {
    this.#book.forget(module);
    this.#held.delete(module);
  }
}
