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
  // What could not be told dies with the cell: no more is to be lost than is known to have begun (see `claims.ts`). Not at
  // once: the dispatcher is in the middle of telling something.
  const backlog = (long: boolean) => queueMicrotask(() => dispatcher.hold(long));
  const socket = Deno.connect({ transport: "unix", path });
  const frames = new Frames<ToDispatcher, ToEntry>(socket, (message) => {
    if (!(message instanceof ArrayBuffer)) {
      if (message.type === "hello") {
        message.nursery = nursery;
        // Whoever says that has removed what it takes to connect.
        main.postMessage("connected");
      }
      if (message.type === "resize") main.postMessage(message.sizes.size);
    }
    dispatcher.receive(message);
  }, backlog);
  await frames.ended;
  main.postMessage("lost");
});
