/**
 * The main thread of a child process. It hosts one thread worker and passes messages on; no task runs here, so it
 * can always end the process: when its parent has gone, when its worker has ended, when memory runs out.
 *
 * @module
 */
import process from "node:process";
import { MessageChannel } from "node:worker_threads";
import type { DeathData, FromWorker, ToWorker } from "../protocol.ts";
import type { FromChild, ToChild } from "./process.ts";
import { startThread } from "./thread.ts";

/** How often the memory of the process is looked at, in milliseconds. */
const MEMORY_POLL_MS = 50;
const MIB = 2 ** 20;

const send = (message: FromChild) => process.send?.(message);

function die(death: DeathData): void {
  // The exit follows when the message has left, or was refused because the parent has gone.
  process.send?.({ type: "dying", death } satisfies FromChild, undefined, undefined, () => Deno.exit(1));
  setTimeout(() => Deno.exit(1), 100);
}

function host(initializer: string | undefined, memoryLimit: number | undefined): (message: ToWorker) => void {
  const { port1, port2 } = new MessageChannel();
  port1.on("message", (message: FromWorker) => send({ type: "message", message }));
  startThread(
    { isolation: "thread", initializer, memoryLimit: undefined, flags: undefined },
    port2 as unknown as MessagePort,
    undefined,
    { gone: die, undeliverable: () => {} },
  );
  if (memoryLimit !== undefined) watchMemory(memoryLimit);
  return (message) => port1.postMessage(message);
}

/** The heap has V8's own limit; buffers are outside it and count here, by what the process grew since its start. */
function watchMemory(memoryLimit: number): void {
  const base = Deno.memoryUsage().rss;
  setInterval(() => {
    if (Deno.memoryUsage().rss - base < memoryLimit * MIB) return;
    die({ reason: "memory", exitCode: null, message: `ran out of memory (memoryLimit: ${memoryLimit} MiB)` });
  }, MEMORY_POLL_MS);
}

let deliver: ((message: ToWorker) => void) | undefined;
process.on("message", (message: ToChild) => {
  if (message.type === "start") deliver = host(message.initializer, message.memoryLimit);
  else deliver?.(message.message);
});
process.on("disconnect", () => Deno.exit(0));
// Ctrl-C reaches the whole group; the parent decides what becomes of its children.
