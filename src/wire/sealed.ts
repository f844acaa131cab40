/**
 * Values that nobody in between reads: put into a channel at one end, whose port is handed on.
 *
 * What passes through a thread counts for its garbage collector while it is there. Fifty megabytes are more than a small
 * heap is allowed, so each such value had the dispatcher collect all its garbage, though it never looked at one: 4 ms
 * instead of 0.2. A channel costs 0.08 ms, so small values go without.
 *
 * @module
 */
import { hasNodeWorkers, need } from "../runtime/host.ts";
import { kinds } from "../runtime/kinds.ts";

/** Buffers of this size together are sealed. */
const LEAST_BYTES = 1 << 22;

// This file also runs in workers: it takes what it needs before a task can patch it.
const apply = Reflect.apply;
// Bun takes 3 ms to load it, on each thread, for the sake of one in 50 MiB there and back (1.4.5).
const threads = hasNodeWorkers ? need("node:worker_threads") : undefined;
const Channel = threads?.MessageChannel;
const { postMessage, close } = MessagePort.prototype;
const receive = threads?.receiveMessageOnPort;
// Deno looks for ports to adapt in all that it hands over, number by number: a typed array of 5 MB takes it two seconds
// (seen up to 2.9.6). It does not look into maps.
const Wrapping = Map;
const { get } = Map.prototype;
const { isArrayBuffer } = kinds;
const bufferLength = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")!.get!;

/**
 * How many bytes there are to seal in the buffers that are moved; 0 for too few, and where a port cannot be read without
 * waiting.
 */
export function bytesToSeal(moved: readonly ArrayBuffer[]): number {
  if (receive === undefined) return 0;
  let bytes = 0;
  for (let i = 0; i < moved.length; i++) {
    if (isArrayBuffer(moved[i])) bytes += apply(bufferLength, moved[i], []);
  }
  return bytes >= LEAST_BYTES ? bytes : 0;
}

/**
 * Seals the value as it is now, and has the port sent, which is to be moved.
 *
 * @throws {DOMException} `DataCloneError`, if it cannot be cloned.
 */
export function seal(value: unknown, moved: ArrayBuffer[], send: (sealed: MessagePort) => void): void {
  // Its own properties: a task that patched their prototype would else get hold of the values of others.
  const { port1, port2 } = new Channel!();
  try {
    apply(postMessage, port1, [new Wrapping([[0, value]]), moved]);
    send(port2 as unknown as MessagePort);
  } catch (error) {
    // Never sent.
    apply(close, port2, []);
    throw error;
  } finally {
    // Not before: a port that is still here goes with its other end, and what is in it too.
    apply(close, port1, []);
  }
}

/** Takes the value out. */
export function open(sealed: MessagePort): unknown {
  const { message } = receive!(sealed as never) as { message: Map<0, unknown> };
  discard(sealed);
  return apply(get, message, [0]);
}

/** Lets go of the value. */
export function discard(sealed: MessagePort): void {
  apply(close, sealed, []);
}
