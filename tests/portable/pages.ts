/**
 * Pages for tests and benches: Debian's Chromium, and a server for it.
 *
 * @module
 */
import { join } from "@std/path";
import { type Browser, chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Starts Chromium. */
export async function launchChromium(...args: string[]): Promise<Browser> {
  const executablePath = PLACES.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (executablePath === undefined) throw new Error("There is no Chromium");
  return await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", ...args] });
}

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
 */
export function servePages(
  folders: readonly (readonly [prefix: string, folder: string])[],
  headers: () => Record<string, string>,
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    const all = {
      "content-type": TYPES[pathname.slice(pathname.lastIndexOf(".") + 1)] ?? "text/plain",
      "access-control-allow-origin": "*",
      "cross-origin-resource-policy": "cross-origin",
      ...headers(),
    };
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
