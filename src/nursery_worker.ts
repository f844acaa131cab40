/**
 * The entry of the nursery's thread.
 *
 * @module
 */
import { serve } from "./nursery.ts";

// A local interface: `/// <reference lib="deno.worker" />` is not allowed in the module graph of a package.
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<MessagePort>) => void) | null;
  close(): void;
};

scope.onmessage = ({ data: port }) => serve(port, () => scope.close());
