/**
 * The entry of the dispatcher's thread.
 *
 * @module
 */
import { Dispatcher } from "../dispatcher/dispatcher.ts";
import type { ToDispatcher, ToEntry } from "../wire/protocol.ts";

// A local interface: `/// <reference lib="deno.worker" />` is not allowed in the module graph of a package.
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<ToDispatcher>) => void) | null;
  postMessage(message: ToEntry, transfer?: Transferable[]): void;
};

const dispatcher = new Dispatcher({
  post: (message, transfer) => scope.postMessage(message, transfer ?? []),
});
scope.onmessage = ({ data }) => dispatcher.receive(data);
