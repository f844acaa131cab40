/**
 * The async context of a push, such as what an `AsyncLocalStorage` holds there: what a message brings later is handled
 * in the context of the message's port, where that is lost.
 *
 * A promise's reaction runs in the context in which it was registered, wherever the promise is settled. That is all that
 * is needed. It costs 0.3 µs a push of which a callback may be called, where `AsyncLocalStorage.snapshot()` takes 1.6 µs
 * and 10 ms to load `node:async_hooks` (Deno 2.9.6), and nothing for one of a module that is known to have none.
 *
 * @module
 */
import type { Outcome } from "../outcome.ts";
import type { CheckedPushOptions } from "./read_options.ts";

/** Calls things, one after the other, in the context in which it was made. Each in a microtask of its own. */
export class PushContext {
  #calls: (() => void)[] = [];
  #open: (() => void) | undefined;

  constructor() {
    this.#arm();
  }

  /** The call must not throw. */
  run(call: () => void): void {
    this.#calls.push(call);
    this.#open?.();
  }

  #arm(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#open = resolve;
    void promise.then(() => {
      // Registered here, so again in the context of the first.
      this.#arm();
      const calls = this.#calls;
      this.#calls = [];
      for (const call of calls) call();
    });
  }
}

/** An outcome on its way to the context of its push, where its callback is called before the push's promise settles. */
export class Delivery {
  readonly outcome: Outcome;
  readonly options: CheckedPushOptions | undefined;
  /** Which callbacks its module has; undefined where nobody knows. */
  readonly bits: number | undefined;
  readonly #wantsValue: boolean;
  #called: PromiseWithResolvers<void> | undefined;

  /** @param wantsValue True for `run`, which gives the value and not the outcome. */
  constructor(
    outcome: Outcome,
    options: CheckedPushOptions | undefined,
    bits: number | undefined,
    wantsValue: boolean,
  ) {
    this.outcome = outcome;
    this.options = options;
    this.bits = bits;
    this.#wantsValue = wantsValue;
  }

  /** Resolves when the callback was called. */
  called(): Promise<void> {
    this.#called ??= Promise.withResolvers();
    return this.#called.promise;
  }

  /** The callback was called: what the push's promise settles with. */
  end(): unknown {
    this.#called?.resolve();
    const { outcome } = this;
    if (!this.#wantsValue) return outcome;
    if (outcome.status === "ok") return outcome.value;
    throw outcome.error;
  }
}
