interface Call {
  /** The id of the last task that was pushed before. */
  readonly upTo: number;
  readonly reason: unknown;
  count: number;
  readonly resolve: (count: number) => void;
}

/** The calls of `cancelWaiting` that are not answered yet: the outcomes that follow from one come before its answer. */
export class WaitingCancels {
  /** The oldest first. */
  readonly #calls: Call[] = [];

  /** Whether one is not answered. */
  get open(): boolean {
    return this.#calls.length > 0;
  }

  /** Resolves with how many tasks were cancelled, when it is answered. */
  add(upTo: number, reason: unknown): Promise<number> {
    return new Promise((resolve) => this.#calls.push({ upTo, reason, count: 0, resolve }));
  }

  /** A task was cancelled, and not by its signal: it was the first call since its push, as none waits after that. */
  reasonOf(id: number): unknown {
    const call = this.#calls.find(({ upTo }) => id <= upTo);
    if (call === undefined) return undefined;
    call.count++;
    return call.reason;
  }

  /** The oldest call is answered. */
  answer(): void {
    const call = this.#calls.shift();
    call?.resolve(call.count);
  }

  /** There is nobody to answer any more. */
  answerAll(): void {
    while (this.#calls.length > 0) this.answer();
  }
}
