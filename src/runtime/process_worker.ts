/**
 * The main thread of a child process. It hosts one thread worker and passes messages on; no task runs here, so it
 * can always end the process: when its parent has gone, when its worker has ended, when memory runs out.
 *
 * @module
 */
import process from "node:process";
import { MessageChannel } from "node:worker_threads";
import { describeError } from "../wire/error_data.ts";
import {
  type DeathData,
  type ErrorData,
  type FromWorker,
  RESULTS,
  type ToWorker,
  type WorkerSetup,
} from "../wire/protocol.ts";
import { listen } from "./listen.ts";
import {
  decodeMessage,
  DRAIN_MS,
  encodeMessage,
  type FromChild,
  isSendable,
  type ToChild,
} from "./process_message.ts";
import { keepOnly } from "./child_env.ts";
import { watchMemory } from "./child_memory.ts";
import { endWithParent } from "./orphan.ts";
import { startThread } from "./thread.ts";

/** How long it may take for large messages to leave before the process ends. */
const UNSENT_MS = 30_000;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** How many messages are on their way out. */
let unsent = 0;
/** Shared with the thread, which waits there: the number of the last task whose beginning was told to the parent. */
const told = new Int32Array(new SharedArrayBuffer(4)).fill(-1);

/** @param begun The number of the task whose beginning the message tells. */
function post(bytes: Uint8Array, begun?: number): void {
  unsent++;
  process.send?.(bytes, undefined, undefined, () => {
    unsent--;
    if (begun === undefined) return;
    Atomics.store(told, 0, begun);
    Atomics.notify(told, 0);
  });
}

/** A task some progress of which could not be sent: that is how it ended, unless it fails by itself. */
let refused: { seq: number; error: ErrorData } | undefined;

function send(message: FromWorker): void {
  if (message !== RESULTS && message.type === "result" && refused !== undefined) {
    const { value: _, ...facts } = message.result;
    const { error } = refused;
    if (facts.seq === refused.seq && facts.error === undefined) {
      message = { type: "result", result: { ...facts, error } };
    }
    refused = undefined;
  }
  let bytes: Uint8Array;
  try {
    bytes = encodeMessage({ type: "message", message });
  } catch (error) {
    const other = instead(message, describeError(error));
    if (other === undefined) return;
    bytes = encodeMessage({ type: "message", message: other });
  }
  post(bytes, message !== RESULTS && message.type === "started" ? message.seq : undefined);
}

/** What is told instead of a message that cannot be sent to another process: there is shared memory in it, say. */
function instead(message: FromWorker, reason: ErrorData): FromWorker | undefined {
  if (message === RESULTS) return undefined;
  switch (message.type) {
    case "result": {
      const { value: _, ...facts } = message.result;
      const { error, load } = facts;
      if (load?.cause !== undefined) {
        return { ...message, result: { ...facts, load: { ...load, cause: sendable(load.cause) } } };
      }
      return { ...message, result: { ...facts, error: error === undefined ? reason : sendable(error) } };
    }
    case "progress":
      refused ??= { seq: message.seq, error: reason };
      deliver?.({ type: "refused", seq: message.seq, message: reason.message });
      return undefined;
    case "failed-start":
      return { ...message, error: sendable(message.error) };
    case "dying":
      return { ...message, death: sendableDeath(message.death) };
    default:
      return undefined;
  }
}

/** The error without what cannot be sent to another process, as one arrives without what cannot be cloned. */
function sendable(error: ErrorData): ErrorData {
  const properties: ErrorData["properties"] = [];
  for (const [key, value, isError] of error.properties) {
    if (isError) properties.push([key, sendable(value as ErrorData), true]);
    else if (isSendable(value)) properties.push([key, value, false]);
  }
  const { errors } = error;
  return { ...error, properties, ...(errors !== undefined && { errors: errors.map(sendable) }) };
}

function sendableDeath(death: DeathData): DeathData {
  return death.error === undefined ? death : { ...death, error: sendable(death.error) };
}

function die(death: DeathData): void {
  // The exit follows when the message has left, or was refused because the parent has gone. What was sent before it may
  // be large, and is waited for: the parent cannot make sense of half a message. Except where memory runs out: the task
  // fills more of it meanwhile.
  const message: FromChild = { type: "dying", death: sendableDeath(death) };
  process.send?.(encodeMessage(message), undefined, undefined, () => process.exit(1));
  const until = performance.now() + (death.reason === "memory" ? 0 : UNSENT_MS);
  setInterval(() => {
    if (unsent === 0 || performance.now() > until) process.exit(1);
  }, DRAIN_MS);
}

function host(setup: WorkerSetup): (message: ToWorker) => void {
  const { memoryLimit, env } = setup;
  if (env !== undefined) keepOnly(env);
  const { port1, port2 } = new MessageChannel();
  listen(port1, send);
  // The end of a thread may be told before what it posted last; when its port closes, all has come.
  const drained = new Promise((resolve) => port1.on("close", resolve));
  startThread(
    // It shares the environment of this process.
    { isolation: "process", setup: { ...setup, env: undefined }, hurried: true },
    port2 as unknown as MessagePort,
    told.buffer,
    {
      gone: (death) => void Promise.race([drained, wait(DRAIN_MS)]).then(() => die(death)),
      undeliverable: () => {},
    },
  );
  if (memoryLimit !== undefined) {
    const message = `ran out of memory (memoryLimit: ${memoryLimit} MiB)`;
    watchMemory(() => memoryLimit, () => die({ reason: "memory", exitCode: null, message }));
  }
  return (message) => port1.postMessage(message);
}

let deliver: ((message: ToWorker) => void) | undefined;
process.on("message", (bytes: Uint8Array) => {
  const message = decodeMessage<ToChild>(bytes);
  if (message.type === "start") deliver = host(message.setup);
  else deliver?.(message.message);
});

endWithParent();
