/**
 * A server of pages, for tests and benches.
 *
 * @module
 */
import { join } from "@std/path";

/** Headers of a page that may share memory. */
export const ISOLATED: Record<string, string> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

const TYPES: Record<string, string> = {
  css: "text/css",
  html: "text/html",
  js: "text/javascript",
  json: "application/json",
  map: "application/json",
  mjs: "text/javascript",
};

/**
 * Serves files to pages of all origins.
 *
 * @param folders And what paths into them begin with: the first that has the file serves it.
 * @param headers More of them.
 * @param answered Called with what a page posts: what came of it.
 */
export function servePages(
  folders: readonly (readonly [prefix: string, folder: string])[],
  headers: () => Record<string, string>,
  answered: (text: string) => void = () => {},
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const all = {
      "content-type": TYPES[pathname.slice(pathname.lastIndexOf(".") + 1)] ?? "text/plain",
      "access-control-allow-origin": "*",
      "cross-origin-resource-policy": "cross-origin",
      ...headers(),
    };
    if (request.method === "POST") {
      answered(await request.text());
      return new Response("", { headers: all });
    }
    for (const [prefix, folder] of folders) {
      if (!pathname.startsWith(prefix)) continue;
      try {
        return new Response(await Deno.readFile(join(folder, pathname.slice(prefix.length))), {
          headers: all,
        });
      } catch {
        // Perhaps in the next.
      }
    }
    return new Response("not found", { status: 404 });
  });
}
