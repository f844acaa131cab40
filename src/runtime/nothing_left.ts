import { host, need } from "./host.ts";

const waiting = new Set<() => void>();
let listening = false;

/**
 * Calls back when nothing keeps this program running any more, where that can be known: on Deno and in a browser the pool's
 * own threads keep it.
 *
 * @returns What takes that back.
 */
export function onNothingLeft(callback: () => void): () => void {
  if (host !== "node" && host !== "bun") return () => {};
  if (!listening) {
    listening = true;
    // One for all pools: Node warns of many.
    need("node:process").on("beforeExit", () => {
      for (const each of [...waiting]) each();
    });
  }
  waiting.add(callback);
  return () => void waiting.delete(callback);
}
