import type { ErrorOutcome, OkOutcome, Outcome } from "./outcome.ts";
import type { CheckedPushOptions } from "./options.ts";
import { HAS_CALLBACK, HAS_ERROR_CALLBACK } from "./protocol.ts";
import { findTarget, splitSpecifier, type Target } from "./task_module.ts";

/** Asks a worker which callbacks a module has. */
type Inspect = (specifier: string) => Promise<number>;

type Callback = (value: never, outcome: never) => unknown;

/** Fires callbacks in the entry, and keeps what they throw from harming anything. */
export class Callbacks {
  readonly #inspect: Inspect;
  readonly #onError: (error: unknown, outcome: Outcome) => void;
  /** Imported modules, by specifier; promises while they are being imported. */
  readonly #targets = new Map<string, Target | Promise<Target>>();
  #running = 0;
  #errors = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(
    inspect: Inspect,
    onError: ((error: unknown, outcome: Outcome) => void) | undefined,
    name: string,
  ) {
    this.#inspect = inspect;
    this.#onError = onError ?? ((error, outcome) => printError(name, error, outcome));
  }

  /** How many callbacks threw, rejected, or could not be imported. */
  get errors(): number {
    return this.#errors;
  }

  /** Resolves when no callback is running. */
  async idle(): Promise<void> {
    if (this.#running === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  /**
   * Fires the callback that the outcome calls for, if there is one: at once, unless the module has to be looked at or
   * imported first.
   *
   * @param bits Which callbacks the module has; undefined if no worker has loaded it.
   * @returns Undefined if it was called; else resolves when it has been.
   */
  fire(
    outcome: Outcome,
    options: CheckedPushOptions | undefined,
    bits: number | undefined,
  ): Promise<void> | undefined {
    const closure = outcome.status === "ok" ? options?.callback : options?.errorCallback;
    if (closure !== undefined) {
      this.#call(closure as Callback, outcome);
    } else if (bits === undefined || bits & (outcome.status === "ok" ? HAS_CALLBACK : HAS_ERROR_CALLBACK)) {
      const target = bits === undefined ? undefined : this.#targets.get(outcome.task.specifier);
      if (target === undefined || target instanceof Promise) {
        return this.#fireLater(outcome, bits);
      }
      this.#callModule(target, outcome);
    }
    return undefined;
  }

  /** Counts and reports what a callback threw. */
  report(error: unknown, outcome: Outcome): void {
    this.#errors++;
    try {
      this.#onError(error, outcome);
    } catch (thrown) {
      console.error("multiprocess: onCallbackError itself threw:", thrown);
    }
  }

  async #fireLater(outcome: Outcome, bits: number | undefined): Promise<void> {
    this.#running++;
    try {
      const has = bits ?? await this.#inspect(outcome.task.specifier);
      if (has & (outcome.status === "ok" ? HAS_CALLBACK : HAS_ERROR_CALLBACK)) {
        this.#callModule(await this.#import(outcome.task.specifier), outcome);
      }
    } catch (error) {
      this.report(error, outcome);
    } finally {
      this.#done();
    }
  }

  #import(specifier: string): Target | Promise<Target> {
    const known = this.#targets.get(specifier);
    if (known !== undefined) return known;
    const importing = importTarget(specifier);
    this.#targets.set(specifier, importing);
    importing.then(
      (target) => this.#targets.set(specifier, target),
      () => this.#targets.delete(specifier),
    );
    return importing;
  }

  #callModule(target: Target, outcome: Outcome): void {
    const callback = outcome.status === "ok" ? target.callback : target.errorCallback;
    if (callback !== undefined) this.#call(callback as Callback, outcome);
  }

  #call(callback: Callback, outcome: Outcome): void {
    const argument = outcome.status === "ok" ? (outcome as OkOutcome).value : (outcome as ErrorOutcome).error;
    try {
      const result = callback(argument as never, outcome as never);
      if (isThenable(result)) void this.#await(result, outcome);
    } catch (error) {
      this.report(error, outcome);
    }
  }

  async #await(result: PromiseLike<unknown>, outcome: Outcome): Promise<void> {
    this.#running++;
    try {
      await result;
    } catch (error) {
      this.report(error, outcome);
    } finally {
      this.#done();
    }
  }

  #done(): void {
    if (--this.#running > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

async function importTarget(specifier: string): Promise<Target> {
  const { url, exported } = splitSpecifier(specifier);
  return findTarget(await import(url), exported);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as PromiseLike<unknown>).then === "function";
}

function printError(name: string, error: unknown, outcome: Outcome): void {
  const which = outcome.status === "ok" ? "callback" : "errorCallback";
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  console.error(`${name}: the ${which} of task ${outcome.taskId} threw ${text}`);
}
