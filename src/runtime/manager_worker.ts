/**
 * The entry of a thread that is dispatcher and nursery in one, for runtimes where starting a worker blocks nobody: there a
 * thread more would only make the start of a pool longer.
 *
 * @module
 */
import { Dispatcher } from "../dispatcher/dispatcher.ts";
import { createNursery } from "../nursery/nursery.ts";
import type { FromNurseryThread, ToDispatcher, ToEntry, ToNurseryThread } from "../wire/protocol.ts";
import { parent } from "./parent.ts";

const entry = parent<ToDispatcher | ToNurseryThread, ToEntry | FromNurseryThread>();

const nursery = createNursery(() => entry.postMessage({ type: "ended" }));
const dispatcher = new Dispatcher({
  post: (message, transfer) => entry.postMessage(message, transfer),
});
entry.listen((message) => {
  if (message instanceof ArrayBuffer) dispatcher.receive(message);
  else if (message.type === "serve" || message.type === "end") void nursery(message);
  else dispatcher.receive(message);
});
