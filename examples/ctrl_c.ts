/**
 * A program that ends well: the first Ctrl-C takes no more work and finishes what runs, the second stops it now.
 *
 * ```sh
 * deno task example:ctrl-c
 * ```
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";

const mp = new MultiProcess(2);
await mp.start();

const task = import.meta.resolve("./ctrl_c_task.ts");
const noMore = new AbortController();

Deno.addSignalListener("SIGINT", () => {
  if (noMore.signal.aborted) {
    console.log("\nStopping now");
    void mp.terminate("Ctrl-C");
  } else {
    console.log("\nFinishing what runs; Ctrl-C once more stops it now");
    noMore.abort();
  }
});

/** Work without an end, until it is told to end. */
function* jobs(): Generator<number> {
  for (let n = 1; !noMore.signal.aborted; n++) yield n;
}

console.log("Ctrl-C ends this");
let sum = 0;
try {
  // No more than two at once: then there is little to finish.
  const toTask = (n: number) => new InfoTask<typeof import("./ctrl_c_task.ts")>(task, 10_000, n);
  for await (const outcome of mp.map(jobs(), toTask, { concurrency: 2 })) {
    if (outcome.status !== "ok") continue;
    sum++;
    console.log(`job ${outcome.value} is done`);
  }
} catch {
  // Stopped now.
}

const { ok, cancelled } = await mp.stop();
console.log(`${ok} jobs done, ${cancelled} cancelled`);
// What listens to signals would keep the process.
Deno.exit(sum === ok && cancelled === 0 ? 0 : 130);
