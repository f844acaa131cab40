import { host, need } from "./host.ts";
import { listen } from "./listen.ts";

/** The entry, as a thread of the pool's own sees it. */
export interface Parent<In, Out> {
  listen(take: (message: In) => void): void;
  postMessage(message: Out, transfer?: Transferable[]): void;
}

/** The way to the entry. */
export function parent<In, Out>(): Parent<In, Out> {
  if (host === "node") {
    const port = need("node:worker_threads").parentPort!;
    return {
      listen: (take) => listen(port, take),
      postMessage: (message, transfer) => port.postMessage(message, transfer as never),
    };
  }
  // Not `/// <reference lib="deno.worker" />`, which is not allowed in the module graph of a package.
  const worker = self as unknown as MessagePort;
  return {
    listen: (take) => void (worker.onmessage = ({ data }: MessageEvent<In>) => take(data)),
    postMessage: (message, transfer = []) => worker.postMessage(message, transfer),
  };
}
