/**
 * The entry of the nursery's thread.
 *
 * @module
 */
import { serve } from "../nursery/nursery.ts";

// A local interface: `/// <reference lib="deno.worker" />` is not allowed in the module graph of a package.
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<{ port: MessagePort } | "end">) => void) | null;
  postMessage(message: "ended"): void;
};

let end = (): void => {};
scope.onmessage = ({ data }) => {
  if (data !== "end") {
    end = serve(data.port);
    return;
  }
  end();
  scope.postMessage("ended");
};
