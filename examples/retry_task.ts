/**
 * The task of `retry.ts`: it needs some luck.
 *
 * @module
 */
import type { TaskContext } from "@cm/multiprocess";
import { delay } from "@std/async";

/** Fails more often than not, in one of two ways. */
export async function runnable(this: TaskContext): Promise<string> {
  this.progress(this.attempt);
  await delay(20 + 80 * Math.random());
  const luck = Math.random();
  // Takes the worker with it: the task crashed. That is tried again too, on another worker.
  if (luck < 0.15) Deno.exit(70);
  if (luck < 0.6) throw new Error("out of luck");
  return `${Math.round(100 * luck)} % luck`;
}
