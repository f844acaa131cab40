/** So many modules that are to be forgotten are worth looking which of them can be. */
const MANY = 64;

/** Task modules by number: as long as a task of them may have to be sent to another cell. */
export class Specifiers {
  readonly #specifiers = new Map<number, string>();
  /** Nothing is pushed any more with these numbers. */
  readonly #forgotten = new Set<number>();

  set(module: number, specifier: string): void {
    this.#specifiers.set(module, specifier);
  }

  get(module: number): string | undefined {
    return this.#specifiers.get(module);
  }

  /** Whether there is a module of that specifier. */
  has(specifier: string): boolean {
    for (const known of this.#specifiers.values()) if (known === specifier) return true;
    return false;
  }

  all(): Iterable<string> {
    return this.#specifiers.values();
  }

  /**
   * @param used Finds the modules of tasks that have no outcome.
   * @returns Those that are let go of now.
   */
  forget(module: number, used: () => ReadonlySet<number>): number[] {
    this.#forgotten.add(module);
    if (this.#forgotten.size < MANY) return [];
    const kept = used();
    const gone = [...this.#forgotten].filter((each) => !kept.has(each));
    for (const each of gone) {
      this.#forgotten.delete(each);
      this.#specifiers.delete(each);
    }
    return gone;
  }
}
