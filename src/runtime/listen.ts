import type { MessagePort as NodePort } from "node:worker_threads";
import { host } from "./host.ts";

/**
 * Listens to a port of `node:worker_threads`, on Deno as to one of the web: it looks for ports to adapt in all that `on` hands
 * over, number by number; a typed array of 10 MB takes it a second and 400 MB (seen up to 2.9.6). On Node an event would
 * have the port as its target, and a task could get hold of it there; and the first of them loads 50 ms worth of code, on
 * each thread (seen up to 26).
 */
export function listen<T>(port: NodePort | MessagePort, take: (message: T) => void): void {
  if (host === "node") return void (port as NodePort).on("message", take);
  const web = port as unknown as MessagePort;
  web.addEventListener("message", ({ data }: MessageEvent<T>) => take(data));
  web.start();
}
