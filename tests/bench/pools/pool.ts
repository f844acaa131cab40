/**
 * What a bench knows of a pool. Every file in this folder exports one as `pool`; those that also run on Node are
 * written in JavaScript.
 *
 * @module
 */

/**
 * What a pool is set up for: many tasks that take no time, or tasks that keep a core busy. Where a pool has a setting
 * that is fast for the one and slow for the other, it gets the better one for each.
 */
export type Profile = "short" | "long";

/** See the module's description. */
export interface Pool {
  /** There is no pool: only threads, which can be started and answer. */
  readonly bare?: true;
  /** What a limit is counted from. */
  readonly limitFrom?: "push" | "start";
  /** Resolves when the workers are ready. `run` may be called right after, without waiting. */
  start(size: number, profile: Profile): Promise<unknown>;
  /** Runs a task of `work/`. The buffers are moved, not copied; `move` also moves the result. */
  run(name: string, arg?: unknown, transfer?: ArrayBuffer[]): Promise<unknown>;
  /** Runs a task of `work/`, and resolves whatever becomes of it. */
  push?(name: string): Promise<unknown>;
  /** Runs a task that is to be stopped after so many milliseconds, which the pool tells by a rejection. */
  runWithin?(limit: number, name: string, arg: unknown): Promise<unknown>;
  /** Whether every worker is there and idle, and every stopped one gone, where the pool can tell. */
  rested?(): Promise<boolean>;
  /** Has so many workers from now on. */
  resize?(size: number): void;
  /** Ends the pool at once, with what runs and what waits. */
  terminate?(): Promise<unknown>;
  /** Waits until the pool has ended. */
  stop(): Promise<unknown>;
}
