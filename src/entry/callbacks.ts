import { deadline } from "@std/async";
import { TaskLoadError } from "../errors.ts";
import { type InfoTask, MAX_DELAY } from "../info_task.ts";
import type { ErrorOutcome, OkOutcome, Outcome, Status } from "../outcome.ts";
import { importable } from "../runtime/host.ts";
import { neverRan, shortName } from "./outcome_error.ts";
import type { CheckedPushOptions, PoolOptions } from "./read_options.ts";
import { HAS_CALLBACK, HAS_ERROR_CALLBACK } from "../wire/protocol.ts";
import { findTarget, splitSpecifier, type Target } from "../wire/task_module.ts";
import { isInline } from "../util/specifier.ts";
import { isThenable } from "../util/thenable.ts";
import { within } from "../util/within.ts";
import { withoutStack } from "../util/without_stack.ts";

/** How many modules' callbacks are remembered. Beyond that all are forgotten: a worker can be asked again. */
const MAX_KNOWN = 1_000;

/** How long the outcome of a task that never ran waits for its module to be looked at, in milliseconds. */
const INSPECT_MS = 5_000;

/** Asks a worker which callbacks a module has. */
type Inspect = (specifier: string) => Promise<number>;

type Callback = (value: never, outcome: never) => unknown;

/** Fires callbacks in the entry, and keeps what they throw from harming anything. */
export class Callbacks {
  readonly #inspect: Inspect;
  readonly #options: Pick<PoolOptions, "onCallbackError" | "name" | "loadTimeout">;
  /** Imported modules, by specifier; promises while they are being imported. */
  readonly #targets = new Map<string, Target | Promise<Target>>();
  /** Which callbacks each module has. */
  readonly #known = new Map<string, number>();
  #lastSpecifier = "";
  #lastBits = 0;
  #orphaned = false;
  readonly #closing = new AbortController();
  #running = 0;
  #errors = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(inspect: Inspect, options: Pick<PoolOptions, "onCallbackError" | "name" | "loadTimeout">) {
    this.#inspect = inspect;
    this.#options = options;
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

  /** No worker can be asked any more: a module that no worker has loaded has no callbacks. */
  orphan(): void {
    this.#orphaned = true;
  }

  /** Stops waiting for modules that are being imported. */
  close(): void {
    this.#closing.abort();
  }

  /** Which callbacks a module has, as far as anybody knows. */
  known(specifier: string): number | undefined {
    if (specifier === this.#lastSpecifier) return this.#lastBits;
    const bits = this.#known.get(specifier);
    if (bits !== undefined) return bits;
    return this.#orphaned || isInline(specifier) ? 0 : undefined;
  }

  /** Remembers which callbacks a module has: when the pool is terminated, no worker can be asked. */
  learn(specifier: string, bits: number): void {
    if (specifier === this.#lastSpecifier && bits === this.#lastBits) return;
    if (this.#known.get(specifier) !== bits) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(specifier, bits);
    }
    this.#lastSpecifier = specifier;
    this.#lastBits = bits;
  }

  /** Whether a callback may be called for a task that is pushed now. */
  mayCall({ specifier }: InfoTask, options: CheckedPushOptions | undefined): boolean {
    return this.known(specifier) !== 0 ||
      (options !== undefined && (options.callback !== undefined || options.errorCallback !== undefined));
  }

  /** Whether the outcome calls for a callback, or may: a module that nobody has looked at may have one. */
  isDue(
    { status }: Outcome,
    options: CheckedPushOptions | undefined,
    bits: number | undefined,
  ): boolean {
    return bits === undefined || (bits & bitOf(status)) !== 0 || closureFor(status, options) !== undefined;
  }

  /** A callback is on its way to be called. Whoever waits until no callback is running waits for it. */
  begin(): void {
    this.#running++;
  }

  /** It was called. */
  end(): void {
    if (--this.#running > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  /**
   * Fires the callback that the outcome calls for, if there is one: at once, unless the module has to be looked at or
   * imported first.
   *
   * @param bits Which callbacks the module has; undefined where nobody knows.
   * @returns Undefined if it was called; else resolves when it has been.
   */
  fire(
    outcome: Outcome,
    options: CheckedPushOptions | undefined,
    bits: number | undefined,
  ): Promise<void> | undefined {
    const { task: { specifier }, status } = outcome;
    const closure = closureFor(status, options);
    if (closure !== undefined) {
      this.#call(closure, outcome);
    } else if (bits === undefined || bits & bitOf(status)) {
      const target = bits === undefined ? undefined : this.#targets.get(specifier);
      if (target === undefined || target instanceof Promise) {
        return this.#fireLater(outcome, bits);
      }
      this.#callModule(target, outcome);
    }
    return undefined;
  }

  /**
   * Passes on what a task reported.
   *
   * @returns Undefined if it was taken; else resolves when it has been.
   */
  progress(
    onProgress: NonNullable<CheckedPushOptions["onProgress"]>,
    value: unknown,
    task: InfoTask,
    taskId: number,
  ): Promise<void> | undefined {
    const failed = (error: unknown) => this.#report(error, progressing(task, taskId), "onProgress");
    try {
      const taken = onProgress(value, task);
      if (isThenable(taken)) return this.#await(taken, failed);
    } catch (error) {
      failed(error);
    }
    return undefined;
  }

  /** Counts and reports what a callback threw. */
  #report(
    error: unknown,
    outcome: Outcome,
    what = outcome.status === "ok" ? "callback" : "errorCallback",
  ): void {
    this.#errors++;
    const { onCallbackError, name } = this.#options;
    if (onCallbackError === undefined) {
      return printError(`${name}: the ${what} of task ${outcome.taskId}`, error);
    }
    const failed = (thrown: unknown) => printError(`${name}: onCallbackError itself`, thrown);
    try {
      const reported = onCallbackError(error, outcome);
      if (isThenable(reported)) void this.#await(reported, failed);
    } catch (thrown) {
      failed(thrown);
    }
  }

  async #fireLater(outcome: Outcome, bits: number | undefined): Promise<void> {
    this.begin();
    try {
      const has = bits ?? await this.#ask(outcome.task.specifier);
      if (has & bitOf(outcome.status)) {
        this.#callModule(await this.#import(outcome.task), outcome);
      }
    } catch (error) {
      this.#report(error, outcome);
    } finally {
      this.end();
    }
  }

  /** Has a worker load the module. A module that does not load in time has no callbacks that could fire. */
  async #ask(specifier: string): Promise<number> {
    let bits = 0;
    await within(this.#inspect(specifier).then((answer) => bits = answer), INSPECT_MS);
    return bits;
  }

  #import(task: InfoTask): Target | Promise<Target> {
    const { specifier } = task;
    const known = this.#targets.get(specifier);
    if (known !== undefined) return known;
    const importing = importTarget(specifier);
    const bounded = this.#bounded(importing, task);
    this.#targets.set(specifier, bounded);
    // A late module may still come; a failed one may be tried again.
    importing.then(
      (target) => this.#targets.set(specifier, target),
      () => this.#targets.delete(specifier),
    );
    return bounded;
  }

  /** A module that hangs here must not hold the pool. */
  async #bounded(importing: Promise<Target>, task: InfoTask): Promise<Target> {
    const { loadTimeout } = this.#options;
    try {
      await deadline(
        Promise.allSettled([importing]),
        Math.min(Math.ceil(loadTimeout), MAX_DELAY),
        this.#closing,
      );
    } catch (cause) {
      const how = this.#closing.signal.aborted
        ? "when the pool ended"
        : `after ${loadTimeout} ms (loadTimeout)`;
      const message = `Cannot call back ${
        shortName(task)
      }: its module was still loading in your thread ${how}`;
      throw withoutStack(() => new TaskLoadError(message, { task, cause }));
    }
    return await importing;
  }

  #callModule(target: Target, outcome: Outcome): void {
    const callback = outcome.status === "ok" ? target.callback : target.errorCallback;
    if (callback !== undefined) this.#call(callback as Callback, outcome);
  }

  #call(callback: Callback, outcome: Outcome): void {
    const argument = outcome.status === "ok" ? (outcome as OkOutcome).value : (outcome as ErrorOutcome).error;
    const failed = (error: unknown) => this.#report(error, outcome);
    try {
      const result = callback(argument as never, outcome as never);
      if (isThenable(result)) void this.#await(result, failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Whoever waits until no callback is running waits for this one too. */
  async #await(result: PromiseLike<unknown>, failed: (error: unknown) => void): Promise<void> {
    this.begin();
    try {
      await result;
    } catch (error) {
      failed(error);
    } finally {
      this.end();
    }
  }
}

function bitOf(status: Status): number {
  return status === "ok" ? HAS_CALLBACK : HAS_ERROR_CALLBACK;
}

/** The push's own callback. */
function closureFor(status: Status, options: CheckedPushOptions | undefined): Callback | undefined {
  return (status === "ok" ? options?.callback : options?.errorCallback) as Callback | undefined;
}

async function importTarget(specifier: string): Promise<Target> {
  const { url, exported } = splitSpecifier(specifier);
  return findTarget(await import(/* webpackIgnore: true */ /* @vite-ignore */ importable(url)), exported);
}

/** The outcome that `onCallbackError` is given for a task that goes on. */
function progressing(task: InfoTask, taskId: number): Outcome {
  const error = new Error("The task has not ended: its onProgress threw");
  return { status: "failed", error, ...neverRan(task, taskId) };
}

function printError(what: string, error: unknown): void {
  let text = "something that cannot be shown";
  try {
    text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    // It cannot be made a string.
  }
  console.error(`${what} threw ${text}`);
}
