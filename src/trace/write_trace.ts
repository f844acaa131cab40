import { open } from "node:fs/promises";
import type { PoolEvent } from "../../mod.ts";
import { TraceWriter } from "./trace_writer.ts";

/** So much is written at once, in characters. */
const FULL = 1 << 16;

/** Options for {@linkcode writeTrace}. */
export interface TraceOptions {
  /** The name of the pool in the trace. Default `"multiprocess"`. */
  name?: string | undefined;
}

/**
 * Writes what happens in a pool to a file that [Perfetto](https://ui.perfetto.dev) and chrome://tracing open: a lane
 * for each worker with its runs by outcome, the length of the queue and the workers as counters, kills as marks, and
 * arrows from each push to its run.
 *
 * Written as it comes: memory grows only with the tasks that have not ended. A file that was not finished, because the
 * program was killed, opens all the same.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess } from "@cm/multiprocess";
 * import { writeTrace } from "@cm/multiprocess/trace";
 * import { assert } from "@std/assert";
 *
 * const file = await Deno.makeTempFile({ suffix: ".json" });
 * const mp = new MultiProcess(2);
 * const written = writeTrace(mp.events(), file);
 * mp.start();
 * mp.push(new InfoTask("data:text/javascript,export default (n) => 2 * n", 1_000, 21));
 * await mp.stop();
 * await written;
 *
 * const trace = JSON.parse(await Deno.readTextFile(file));
 * assert(trace.some((event: { name: string; cat?: string }) => event.name === "task 1" && event.cat === "ok"));
 * await Deno.remove(file);
 * ```
 *
 * @param events What `mp.events()` gives, taken before the tasks are pushed.
 * @param file The path or `file:` URL of the file, which is replaced.
 * @param options The name of the pool.
 * @returns Resolves when the pool has ended and the file is written; rejects if it cannot be.
 */
export async function writeTrace(
  events: AsyncIterable<PoolEvent>,
  file: string | URL,
  options: TraceOptions = {},
): Promise<void> {
  const writer = new TraceWriter(options.name ?? "multiprocess");
  const handle = await open(file, "w");
  try {
    let text = writer.head;
    for await (const event of events) {
      text += writer.add(event);
      if (text.length < FULL) continue;
      await handle.write(text);
      text = "";
    }
    await handle.write(text + writer.tail);
  } finally {
    await handle.close();
  }
}
