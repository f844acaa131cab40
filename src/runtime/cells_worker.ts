/**
 * The entry of the thread that keeps cells.
 *
 * @module
 */
import { Cells } from "../cells/cells.ts";
import type { FromNurseryThread, ToDispatcher, ToEntry, ToNurseryThread } from "../wire/protocol.ts";
import { parent } from "./parent.ts";

const entry = parent<ToDispatcher | ToNurseryThread, ToEntry | FromNurseryThread>();

const cells = new Cells((message, transfer) => entry.postMessage(message, transfer));
entry.listen((message) => {
  if (message instanceof ArrayBuffer) cells.receive(message);
  else if (message.type === "end") void cells.end().then(() => entry.postMessage({ type: "ended" }));
  else if (message.type !== "serve") cells.receive(message);
});
