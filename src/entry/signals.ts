/** A signal, and the tasks that it cancels. */
interface Watched {
  readonly ids: Set<number>;
  readonly abort: () => void;
}

/**
 * The signals of pushed tasks. Each has one listener, however many tasks it is for: a signal's listeners are added and
 * removed in time linear in their number. It has none when no task of this pool waits for it, so a signal that outlives
 * the pool keeps nothing of it.
 */
export class Signals {
  readonly #watched = new Map<AbortSignal, Watched>();
  readonly #cancel: (ids: number[]) => void;

  /** @param cancel Called when a signal aborts, with the tasks that have no outcome yet. */
  constructor(cancel: (ids: number[]) => void) {
    this.#cancel = cancel;
  }

  /** How many signals are watched. */
  get size(): number {
    return this.#watched.size;
  }

  /** The task is to be cancelled when the signal aborts. */
  add(signal: AbortSignal, id: number): void {
    let watched = this.#watched.get(signal);
    if (watched === undefined) {
      const ids = new Set<number>();
      const abort = () => {
        this.#watched.delete(signal);
        this.#cancel([...ids]);
      };
      this.#watched.set(signal, watched = { ids, abort });
      signal.addEventListener("abort", abort, { once: true });
    }
    watched.ids.add(id);
  }

  /** The task has its outcome. */
  delete(signal: AbortSignal, id: number): void {
    const watched = this.#watched.get(signal);
    if (watched === undefined) return;
    watched.ids.delete(id);
    if (watched.ids.size > 0) return;
    this.#watched.delete(signal);
    signal.removeEventListener("abort", watched.abort);
  }
}
