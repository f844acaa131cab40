import { Machine } from "./machine.ts";
import type { ServeOptions } from "./options.ts";
import { readServeOptions } from "./read_options.ts";
import type { Server } from "./server.ts";

/**
 * Makes this process a machine of a fleet: it takes tasks from a queue, runs them in a pool of its own, and sends their
 * outcomes to whoever pushed them.
 *
 * @example Usage
 * ```ts ignore
 * import { serve } from "@cm/multiprocess/bullmq";
 *
 * const machine = await serve({
 *   queue: "images",
 *   root: import.meta.resolve("./tasks/"),
 *   connection: "redis://redis:6379",
 *   pool: 4,
 * });
 * Deno.addSignalListener("SIGTERM", () => machine.stop());
 * ```
 *
 * @param options The queue, the folder of the task modules, where the queue is, and more.
 * @returns Resolves when the pool is warm and tasks are being taken.
 * @throws {TypeError} (as a rejection) If an option is missing, unknown or has the wrong type.
 * @throws {RangeError} (as a rejection) If an option has an impossible value, such as a `root` that is no folder.
 * @throws {Error} (as a rejection) If the queue cannot be reached in time, refuses, or the workers cannot be started.
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const machine = new Machine(readServeOptions(options));
  await machine.start();
  return machine;
}
