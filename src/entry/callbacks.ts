import { deadline } from "@std/async";
import { TaskLoadError } from "../errors.ts";
import { type InfoTask, MAX_DELAY } from "../info_task.ts";
import type { ErrorOutcome, OkOutcome, Outcome } from "../outcome.ts";
import { neverRan, shortName } from "./outcome_error.ts";
import type { CheckedPushOptions, PoolOptions } from "../options.ts";
import { HAS_CALLBACK, HAS_ERROR_CALLBACK } from "../wire/protocol.ts";
import { findTarget, splitSpecifier, type Target } from "../wire/task_module.ts";
import { isThenable } from "../util/thenable.ts";
import { within } from "../util/within.ts";

/** Modules whose callbacks are known are forgotten beyond that many: asking again is always possible but at the end. */
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
  /** Which callbacks modules have that have any. */
  readonly #known = new Map<string, number>();
  #lastKnown = "";
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

  /** No worker can be asked any more: a module that none has loaded has no callbacks. */
  orphan(): void {
    this.#orphaned = true;
  }

  /** Waits for no module any more that is being imported. */
  close(): void {
    this.#closing.abort();
  }

  /** Remembers which callbacks a module has: when the pool is terminated, no worker can be asked. */
  learn(specifier: string, bits: number): void {
    if (specifier === this.#lastKnown) return;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(specifier, bits);
    this.#lastKnown = specifier;
  }

  /**
   * Fires the callback that the outcome calls for, if there is one: at once, unless the module has to be looked at or
   * imported first.
   *
   * @param bits Which callbacks the module has; undefined if the worker did not load it.
   * @returns Undefined if it was called; else resolves when it has been.
   */
  fire(
    outcome: Outcome,
    options: CheckedPushOptions | undefined,
    bits: number | undefined,
  ): Promise<void> | undefined {
    const { specifier } = outcome.task;
    if (bits === undefined) bits = this.#known.get(specifier);
    else if (bits !== 0) this.learn(specifier, bits);
    if (bits === undefined && this.#orphaned) bits = 0;
    const closure = outcome.status === "ok" ? options?.callback : options?.errorCallback;
    if (closure !== undefined) {
      this.#call(closure as Callback, outcome);
    } else if (bits === undefined || bits & (outcome.status === "ok" ? HAS_CALLBACK : HAS_ERROR_CALLBACK)) {
      const target = bits === undefined ? undefined : this.#targets.get(specifier);
      if (target === undefined || target instanceof Promise) {
        return this.#fireLater(outcome, bits);
      }
      this.#callModule(target, outcome);
    }
    return undefined;
  }

  /**
   * Hands on what a task reported.
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
    this.#running++;
    try {
      const has = bits ?? await this.#ask(outcome.task.specifier);
      if (has & (outcome.status === "ok" ? HAS_CALLBACK : HAS_ERROR_CALLBACK)) {
        this.#callModule(await this.#import(outcome.task), outcome);
      }
    } catch (error) {
      this.#report(error, outcome);
    } finally {
      this.#done();
    }
  }

  /** Has a worker load the module. One that does not load in time has no callbacks that could fire. */
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
    // One that is late may still come; one that failed may be tried again.
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
      await deadline(Promise.allSettled([importing]), Math.min(loadTimeout, MAX_DELAY), this.#closing);
    } catch (cause) {
      const how = this.#closing.signal.aborted
        ? "when the pool ended"
        : `after ${loadTimeout} ms (loadTimeout)`;
      const message = `Cannot call back ${shortName(task)}: its module was still loading in the entry ${how}`;
      throw new TaskLoadError(message, { task, cause });
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
    this.#running++;
    try {
      await result;
    } catch (error) {
      failed(error);
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

/** What `onCallbackError` is told of a task that goes on. */
function progressing(task: InfoTask, taskId: number): Outcome {
  const error = new Error("The task has not ended: its onProgress threw");
  return { status: "failed", error, ...neverRan(task, taskId) };
}

function printError(what: string, error: unknown): void {
  let text = "something that cannot be shown";
  try {
    text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    // It has no way to be a string.
  }
  console.error(`${what} threw ${text}`);
}
