import type { ArgsOf, InfoTask, ResultOf, YieldOf } from "./info_task.ts";
import type { BindOptions, MapOptions } from "./options.ts";
import type { MapOutcome, Outcome } from "./outcome.ts";

/** The one argument of a task that can be called with one: what its `map` takes as an input. */
export type InputOf<M> = number extends ArgsOf<M>["length"] ? ArgsOf<M>[number]
  : ArgsOf<M> extends [infer A, ...infer Rest] ? [] extends Rest ? A : never
  : ArgsOf<M> extends [(infer A)?, ...infer _Rest] ? A
  : never;

/** What `map` of a bound task takes; for a task that needs more than one argument, what to do instead. */
export type InputsOf<M, I> = [InputOf<M>] extends [never]
  ? "This task needs more than one argument: use mp.map(inputs, (input) => bound.task(input, …))"
  : Iterable<I> | AsyncIterable<I>;

/**
 * A task of a pool that is called like a function. See `MultiProcess.bind`.
 *
 * @example Usage
 * ```ts
 * import { type BoundTask, MultiProcess } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * await using mp = new MultiProcess(2);
 * mp.start();
 *
 * type Module = { runnable(text: string, times?: number): string };
 * const repeat: BoundTask<Module> = mp.bind<Module>(
 *   "data:text/javascript,export const runnable = (text, times = 2) => text.repeat(times)",
 *   { timeout: 1_000 },
 * );
 *
 * assertEquals(await repeat("ab", 3), "ababab");
 * assertEquals(await Array.fromAsync(repeat.mapValues(["a", "b"])), ["aa", "bb"]);
 * ```
 *
 * @typeParam M The type of the task's module or export.
 */
export interface BoundTask<M = unknown> {
  /** Runs the task with these arguments and gives its value, like `run`. */
  (...args: ArgsOf<M>): Promise<ResultOf<M>>;

  /** The absolute URL of the module, with the fragment that names its export. */
  readonly specifier: string;

  /** Makes the task that a call would run, to be pushed by hand or in the `toTask` of a `map`. */
  task(...args: ArgsOf<M>): InfoTask<M>;

  /** Runs the task with these arguments and gives its outcome, like `push`. */
  push(...args: ArgsOf<M>): Promise<Outcome<ResultOf<M>>>;

  /**
   * Runs the task for every input, its only argument, like `map`. What these options do not say, the bound ones do, but
   * for `transfer`.
   */
  map<I extends InputOf<M>>(
    inputs: InputsOf<M, I>,
    options?: MapOptions<ResultOf<M>, NoInfer<I>, YieldOf<M>>,
  ): AsyncGenerator<MapOutcome<ResultOf<M>, I>, void, undefined>;

  /** Runs the task for every input, its only argument, like `mapValues`. */
  mapValues<I extends InputOf<M>>(
    inputs: InputsOf<M, I>,
    options?: MapOptions<ResultOf<M>, NoInfer<I>, YieldOf<M>>,
  ): AsyncGenerator<ResultOf<M>, void, undefined>;

  /** The same task with some options changed, for one call or for many: `await hash.with({ signal })(path)`. */
  with(options: Partial<BindOptions<ResultOf<M>, YieldOf<M>>>): BoundTask<M>;
}
