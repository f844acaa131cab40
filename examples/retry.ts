/**
 * Six flaky tasks, each tried again until it returns, four times at most.
 *
 * ```sh
 * deno task example:retry
 * ```
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";

// The second attempt comes 100 ms after the first failed, the next 200 ms, the last 400 ms. Half of each wait is left
// to chance, so that tasks that failed together do not come back together. Waiting holds no worker.
const retry = { maxAttempts: 4, minTimeout: 100, jitter: 0.5 };

const mp = new MultiProcess({ size: 3, retry });
await mp.start();

const task = import.meta.resolve("./retry_task.ts");
const startedAt = performance.now();

for (const name of ["Ada", "Bob", "Cem", "Dag", "Eve", "Fay"]) {
  mp.push(new InfoTask<typeof import("./retry_task.ts")>(task, 1_000), {
    // The task tells its attempts. What the pool tells is the one outcome: of the last.
    onProgress: (attempt) => print("gray", name, `attempt ${attempt}`),
    callback: (luck, { attempts }) => print("green", name, "ok", `attempts: ${attempts}, ${luck}`),
    errorCallback: ({ message }, { status, attempts }) =>
      print("red", name, status, `attempts: ${attempts}, ${message}`),
  });
}

const { pushed, ok, failed, crashed } = await mp.stop();
console.log(`\n${pushed} tasks: ${ok} ok, ${failed} failed, ${crashed} crashed`);

/** `%c` colors it only on a terminal, and not under `NO_COLOR`. */
function print(color: string, name: string, what: string, rest = ""): void {
  const at = (performance.now() - startedAt).toFixed().padStart(5);
  console.log(`${at} ms  ${name}  %c${what.padEnd(9)}%c${rest && `  ${rest}`}`, `color: ${color}`, "");
}
