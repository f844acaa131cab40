/**
 * Ten tasks that sleep up to two seconds, on a pool of five, under a limit of one second: about half time out.
 *
 * ```sh
 * deno task example
 * ```
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";

const mp = new MultiProcess(5);
mp.start();

for (let test = 1; test <= 10; test++) {
  // A module, its time limit in milliseconds, its arguments. The type is there to have the arguments checked.
  mp.push(
    new InfoTask<typeof import("./demo_task.ts")>(import.meta.resolve("./demo_task.ts"), 1_000, test, 2_000),
  );
}

// Waits for every task and every callback, and closes the pool: the process ends by itself.
const { pushed, ok, timedOut, elapsedMs } = await mp.stop();
const seconds = (elapsedMs / 1_000).toFixed(1);
console.log(
  `\n${pushed} tasks in ${seconds} s: ${ok} ok, ${timedOut} timed out, ${pushed - ok - timedOut} failed`,
);
