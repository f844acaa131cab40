/**
 * The task of `fleet.ts`.
 *
 * @module
 */
import { type Hashed, runnable as hash } from "./hash_task.ts";

/** Hashes a file, and takes its time, so that there is something to see. */
export async function runnable(path: string): Promise<Hashed> {
  const hashed = await hash(path);
  await new Promise((resolve) => setTimeout(resolve, 200));
  return hashed;
}
