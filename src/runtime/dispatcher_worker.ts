/**
 * The entry of the dispatcher's thread.
 *
 * @module
 */
import { Dispatcher } from "../dispatcher/dispatcher.ts";
import type { ToDispatcher, ToEntry } from "../wire/protocol.ts";
import { parent } from "./parent.ts";

const entry = parent<ToDispatcher, ToEntry>();

const dispatcher = new Dispatcher({
  post: (message, transfer) => entry.postMessage(message, transfer),
});
entry.listen((message) => dispatcher.receive(message));
