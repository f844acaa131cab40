import { SHARE_ENV, Worker as NodeWorker } from "node:worker_threads";
import { describeError } from "../wire/error_data.ts";
import type { DeathData } from "../wire/protocol.ts";
import type { StartWorker } from "./port.ts";
import { isAtLeast } from "./version.ts";

/** What a thread is given when it starts. */
export interface ThreadData {
  port: MessagePort | undefined;
  memory: SharedArrayBuffer | undefined;
  initializer: string | undefined;
  memoryLimit: number | undefined;
}

/**
 * Starts a thread: a `node:worker_threads` worker, since on Deno from 2.9.4 on only those can be interrupted, and
 * only they tell when they exit.
 */
export const startThread: StartWorker = (spec, port, memory, events) => {
  const { initializer, memoryLimit } = spec;
  const workerData: ThreadData = { port, memory, initializer, memoryLimit };
  let thrown: unknown;
  const worker = new NodeWorker(bootstrap(new URL("./thread_worker.ts", import.meta.url)), {
    workerData,
    transferList: [port as never],
    // Else the environment is copied, which asks for leave to read it. Deno 2.6 does neither, and chokes on the symbol.
    ...(isAtLeast([2, 7]) && { env: SHARE_ENV }),
    ...(memoryLimit !== undefined && { resourceLimits: { maxOldGenerationSizeMb: memoryLimit } }),
  });
  worker.on("error", (error) => thrown = error);
  worker.on("exit", (exitCode) => events.gone(deathOf(exitCode, thrown)));
  // Nothing that it says comes this way.
  return { kill: () => void worker.terminate(), drained: () => Promise.resolve() };
};

/**
 * A `data:` module that imports the real one: node workers on Deno take only `file:` and `data:` URLs, and the
 * package may have been loaded from `https:`.
 */
export function bootstrap(module: URL): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(`import ${JSON.stringify(module.href)};`)}`);
}

function deathOf(exitCode: number, thrown: unknown): DeathData {
  if (thrown === undefined) return { reason: "exit", exitCode, message: `exited with code ${exitCode}` };
  const error = describeError(thrown);
  // `resourceLimits` ends a worker with this code on Node, and on Deno while it loads.
  const code = (thrown as { code?: unknown }).code;
  return code === "ERR_WORKER_OUT_OF_MEMORY"
    ? { reason: "memory", exitCode, error, message: "ran out of memory" }
    : { reason: "error", exitCode, error, message: `ended with an uncaught error: ${error.message}` };
}
