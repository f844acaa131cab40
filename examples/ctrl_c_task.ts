/**
 * The task of `ctrl_c.ts`.
 *
 * @module
 */

/** Takes a second. */
export async function runnable(n: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return n;
}
