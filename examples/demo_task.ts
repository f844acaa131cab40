/**
 * The task of `demo.ts`: a task module exports `runnable`, and a callback for each way a task can end.
 *
 * @module
 */
import type { Outcome } from "@cm/multiprocess";
import { delay } from "@std/async";

/** What `runnable` returns: any value that can be cloned. */
export interface Result {
  /** The number of the test, as given. */
  test: number;
  /** How long it slept, in milliseconds. */
  sleptMs: number;
}

/** Runs in a worker: sleeps at random, `longestMs` milliseconds at most. */
export async function runnable(test: number, longestMs: number): Promise<Result> {
  const sleptMs = Math.random() * longestMs;
  await delay(sleptMs);
  return { test, sleptMs };
}

/** Runs where the task was pushed, with what `runnable` returned. */
export function callback({ test, sleptMs }: Result, { workerId }: Outcome<Result>): void {
  console.log(`test ${pad(test)}  ok         slept ${sleptMs.toFixed()} ms on worker ${workerId}`);
}

/** Runs there instead if the task timed out, threw, crashed or was cancelled. */
export function errorCallback({ message }: Error, { status, task }: Outcome<Result>): void {
  console.log(`test ${pad(task.args[0])}  ${status.padEnd(9)}  ${message}`);
}

function pad(test: unknown): string {
  return String(test).padStart(2);
}
