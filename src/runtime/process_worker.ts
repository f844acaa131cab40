/**
 * The main thread of a child process. It hosts one thread worker and passes messages on; no task runs here, so it
 * can always end the process: when its parent has gone, when its worker has ended, when memory runs out.
 *
 * @module
 */
import process from "node:process";
import { MessageChannel } from "node:worker_threads";
import { describeError } from "../error_data.ts";
import { type DeathData, type FromWorker, RESULTS, type ToWorker } from "../protocol.ts";
import { decodeMessage, encodeMessage, type FromChild, type ToChild } from "./process_message.ts";
import { startThread } from "./thread.ts";

/** How often the memory of the process is looked at, in milliseconds. */
const MEMORY_POLL_MS = 50;
/** How long the last messages of a thread that has ended are waited for, in milliseconds. */
const DRAIN_MS = 100;
/** How often the parent is looked for, in milliseconds. */
const PARENT_POLL_MS = 1_000;
const MIB = 2 ** 20;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function send(message: FromWorker): void {
  let bytes: Uint8Array;
  try {
    bytes = encodeMessage({ type: "message", message });
  } catch (error) {
    if (message === RESULTS || message.type !== "result") return;
    const { value: _, ...facts } = message.result;
    const result = { ...facts, error: describeError(error) };
    bytes = encodeMessage({ type: "message", message: { type: "result", result } });
  }
  process.send?.(bytes);
}

function die(death: DeathData): void {
  // The exit follows when the message has left, or was refused because the parent has gone.
  const message: FromChild = { type: "dying", death };
  process.send?.(encodeMessage(message), undefined, undefined, () => Deno.exit(1));
  setTimeout(() => Deno.exit(1), 100);
}

function host(initializer: string | undefined, memoryLimit: number | undefined): (message: ToWorker) => void {
  const { port1, port2 } = new MessageChannel();
  port1.on("message", send);
  // The end of a thread may be told before what it posted last; when its port closes, all has come.
  const drained = new Promise((resolve) => port1.on("close", resolve));
  startThread(
    { isolation: "thread", initializer, memoryLimit, flags: [], readable: [] },
    port2 as unknown as MessagePort,
    undefined,
    {
      gone: (death) => void Promise.race([drained, wait(DRAIN_MS)]).then(() => die(death)),
      undeliverable: () => {},
    },
  );
  if (memoryLimit !== undefined) watchMemory(memoryLimit);
  return (message) => port1.postMessage(message);
}

/**
 * The thread's heap has a limit of its own; buffers are outside it and count here, by what the process grew since its
 * start. Looking often enough, this comes before V8 ends the process, which takes it a second and 40 lines on stderr.
 */
function watchMemory(memoryLimit: number): void {
  const base = Deno.memoryUsage().rss;
  setInterval(() => {
    if (Deno.memoryUsage().rss - base < memoryLimit * MIB) return;
    die({ reason: "memory", exitCode: null, message: `ran out of memory (memoryLimit: ${memoryLimit} MiB)` });
  }, MEMORY_POLL_MS);
}

/** The parent has gone: nobody wants to know any more, and what the tasks have started goes along. */
function endGroup(): void {
  try {
    process.kill(-process.pid, "SIGKILL");
  } finally {
    Deno.exit(0);
  }
}

let deliver: ((message: ToWorker) => void) | undefined;
process.on("message", (bytes: Uint8Array) => {
  const message = decodeMessage<ToChild>(bytes);
  if (message.type === "start") deliver = host(message.initializer, message.memoryLimit);
  else deliver?.(message.message);
});

process.on("disconnect", endGroup);
// That event is not to be relied on: a parent that died while its tasks spun has been seen to leave children behind
// that were never told (Deno 2.9.6).
const parent = Deno.ppid;
setInterval(() => {
  if (Deno.ppid !== parent) endGroup();
}, PARENT_POLL_MS);
