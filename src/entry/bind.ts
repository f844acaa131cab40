import type { BoundTask } from "../bound_task.ts";
import { InfoTask } from "../info_task.ts";
import { type CheckedBindOptions, readBindOptions } from "./read_options.ts";

type Inputs = Iterable<unknown> | AsyncIterable<unknown>;
type ToTask = (input: unknown) => InfoTask;

/** The pool as users have it: its calls may have been replaced by ones that watch. */
export interface BindTarget {
  push(task: InfoTask, options: unknown): Promise<unknown>;
  run(task: InfoTask, options: unknown): Promise<unknown>;
  map(inputs: Inputs, toTask: ToTask, options: unknown): AsyncGenerator<unknown, void, undefined>;
  mapValues(inputs: Inputs, toTask: ToTask, options: unknown): AsyncGenerator<unknown, void, undefined>;
}

/** Makes a function of a module. See `MultiProcess.bind`. */
export function bindTask(pool: BindTarget, specifier: string | URL, options: unknown): BoundTask {
  // Refused now, not with the first call.
  const { specifier: resolved } = new InfoTask(specifier, Infinity);
  return bindChecked(pool, resolved, readBindOptions(options));
}

function bindChecked(pool: BindTarget, specifier: string, options: CheckedBindOptions): BoundTask {
  const { timeout, ...rest } = options;
  const { transfer: _, ...each } = rest;
  const pushOptions = Object.keys(rest).length === 0 ? undefined : rest;
  const task = (...args: unknown[]) => new InfoTask(specifier, timeout, ...args);
  const toTask = (input: unknown) => task(input);
  const bound = {
    specifier,
    task,
    push: (...args: unknown[]) => pool.push(task(...args), pushOptions),
    map: (inputs: Inputs, more?: object) => pool.map(inputs, toTask, { ...each, ...more }),
    mapValues: (inputs: Inputs, more?: object) => pool.mapValues(inputs, toTask, { ...each, ...more }),
    with: (more: object) => bindChecked(pool, specifier, readBindOptions({ ...options, ...more })),
  };
  return Object.assign((...args: unknown[]) => pool.run(task(...args), pushOptions), bound) as BoundTask;
}
