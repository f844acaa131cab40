import { TaskLoadError } from "../errors.ts";
import type { Outcome } from "../outcome.ts";

/** How many modules are remembered. Beyond that all are forgotten, and told again. */
const MAX_TOLD = 1_000;

/**
 * Tells of modules that cannot be loaded, where nothing else would: a `push` that is not awaited, with a typo in its
 * path, would do nothing and say nothing. Once a module, one line on stderr.
 */
export class LoadErrors {
  readonly #name: string;
  readonly #told = new Set<string>();

  /** @param name The pool's. */
  constructor(name: string) {
    this.#name = name;
  }

  /** A task has this outcome, of which no callback is told. */
  untold(outcome: Outcome): void {
    if (outcome.status !== "failed" || !(outcome.error instanceof TaskLoadError)) return;
    const { task: { specifier }, error } = outcome;
    if (this.#told.has(specifier)) return;
    if (this.#told.size >= MAX_TOLD) this.#told.clear();
    this.#told.add(specifier);
    const message = error.message.replaceAll(/\s*\n\s*/g, " ");
    console.error(`${this.#name}: ${message} (told once a module, for a push without an errorCallback)`);
  }
}
