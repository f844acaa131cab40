/**
 * What a child process and the nursery say to each other.
 *
 * Apart from `process.ts`, because what a child loads may name no package: it looks for its import map in the working
 * directory, where that of this package need not be.
 *
 * @module
 */
import { deserialize, Deserializer, serialize, Serializer } from "node:v8";
import type { DeathData, FromWorker, ToWorker, WorkerSetup } from "../wire/protocol.ts";
import { host } from "./host.ts";

/**
 * From the nursery to the child. All messages travel as bytes made by `encodeMessage`: what `send` cannot clone it
 * reports late, and on Deno not before half of it is written (seen up to 2.9.6).
 */
export type ToChild =
  | { type: "start"; setup: WorkerSetup }
  | { type: "message"; message: ToWorker };

/** From the child to the nursery. */
export type FromChild =
  | { type: "message"; message: FromWorker }
  | { type: "dying"; death: DeathData };

/** How long the last messages of a thread or process that has ended are waited for, in milliseconds. */
export const DRAIN_MS = 100;

/**
 * The bytes of a message. Not those of `serialize`, whose counterpart makes views of the message itself: a `DataView`
 * would show all of it (seen up to Deno 2.9.6), while here a view is cloned along with its buffer, as between threads.
 *
 * @throws {DOMException} `DataCloneError`, if it cannot be cloned.
 */
export function encodeMessage(message: ToChild | FromChild): Uint8Array {
  try {
    return bytesOf(message);
  } catch (error) {
    throw new DOMException((error as Error).message, "DataCloneError");
  }
}

/** Whether it can be part of a message. */
export function isSendable(value: unknown): boolean {
  try {
    bytesOf(value);
    return true;
  } catch {
    return false;
  }
}

function bytesOf(value: unknown): Uint8Array {
  // Bun has none of the classes (seen up to 1.4.5).
  if (host === "bun") return serialize(value);
  const serializer = new Serializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}

/** The message of the bytes. */
export function decodeMessage<T extends ToChild | FromChild>(bytes: Uint8Array): T {
  if (host === "bun") return deserialize(bytes);
  const deserializer = new Deserializer(bytes);
  deserializer.readHeader();
  return deserializer.readValue();
}
