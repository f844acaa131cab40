/**
 * The entry of the dispatcher's thread in a cell.
 *
 * @module
 */
import { Dispatcher } from "../dispatcher/dispatcher.ts";
import type { ToDispatcher, ToEntry } from "../wire/protocol.ts";
import { Frames } from "./frames.ts";
import { parent } from "./parent.ts";

/** A number: how many workers there are to be from now on. */
const main = parent<{ path: string; nursery: MessagePort }, "connected" | "lost" | number>();

main.listen(async ({ path, nursery }) => {
  const dispatcher = new Dispatcher({ post: (message) => frames.post(message) });
  const socket = await Deno.connect({ transport: "unix", path });
  main.postMessage("connected");
  const frames = new Frames<ToDispatcher, ToEntry>(socket, (message) => {
    if (!(message instanceof ArrayBuffer)) {
      if (message.type === "hello") message.nursery = nursery;
      if (message.type === "resize") main.postMessage(message.sizes.size);
    }
    dispatcher.receive(message);
  });
  await frames.ended;
  main.postMessage("lost");
});
