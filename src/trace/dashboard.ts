import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TaskPool } from "../../mod.ts";
import { pageOf } from "./page.ts";
import { Picture } from "./picture.ts";

/** How often the page is told, in milliseconds. */
const TELL_MS = 500;
/** How far back it looks, in milliseconds. */
const WINDOW_MS = 60_000;
const MAX_SEGMENTS = 5_000;
const HOST = "127.0.0.1";

/** Options for {@linkcode dashboard}. */
export interface DashboardOptions {
  /** The port on this machine. Default 0: any that is free. */
  port?: number | undefined;
  /** The name of the pool on the page. Default `"multiprocess"`. */
  name?: string | undefined;
}

/** A page that shows a pool as it is. */
export interface Dashboard extends AsyncDisposable {
  /** Where it is. */
  readonly url: string;
  /** Ends it; the pool goes on. */
  close(): Promise<void>;
}

/**
 * Shows a pool as it is, on a page for browsers on this machine: the last minute of its workers' lanes, the queue, and
 * the rest that {@linkcode timeline} shows. What runs is there from its start, with its label: so is what hangs.
 *
 * The page can be asked for nothing else, and only from this machine. It shows labels and messages of tasks to whoever
 * may open a connection here. Ends when the pool does.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess } from "@cm/multiprocess";
 * import { dashboard } from "@cm/multiprocess/trace";
 * import { assertStringIncludes } from "@std/assert";
 *
 * await using mp = new MultiProcess(2);
 * mp.start();
 * await using page = await dashboard(mp, { name: "doubles" });
 * const response = await fetch(page.url); // or: console.log(page.url)
 * assertStringIncludes(await response.text(), "<title>doubles: live</title>");
 * ```
 *
 * @param pool The pool.
 * @param options The port and the name.
 * @returns Resolves when the page can be opened.
 * @throws {Error} (as a rejection) If the port is taken, or may not be listened on.
 */
export async function dashboard(pool: TaskPool, options: DashboardOptions = {}): Promise<Dashboard> {
  const name = options.name ?? "multiprocess";
  const picture = new Picture(name, { segments: MAX_SEGMENTS, window: WINDOW_MS });
  const readers = new Set<ServerResponse>();
  const page = pageOf(name, undefined);
  const server = createServer((request, response) => {
    switch (pathOf(request)) {
      case "/":
        response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
        response.end(page);
        return;
      case "/events":
        response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
        readers.add(response);
        response.on("close", () => readers.delete(response));
        tell(response);
        return;
      default:
        response.writeHead(404, { "content-type": "text/plain" });
        response.end("There is nothing else here\n");
    }
  });
  const tell = (reader: ServerResponse) => {
    // Who does not read does not have it kept for them.
    if (reader.writableNeedDrain) return;
    reader.write(`data: ${JSON.stringify(picture.data(Date.now()))}\n\n`);
  };
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen(options.port ?? 0, HOST, listening);
  });
  const timer = setInterval(() => {
    for (const reader of readers) tell(reader);
  }, TELL_MS);

  const events = pool.events();
  let closing: Promise<void> | undefined;
  const close = () =>
    closing ??= (async () => {
      clearInterval(timer);
      for (const reader of readers) {
        tell(reader);
        reader.end("event: end\ndata:\n\n");
      }
      await events.return?.();
      await new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeIdleConnections();
      });
    })();
  void (async () => {
    for await (const event of events) picture.add(event);
    await close();
  })();
  const { port } = server.address() as AddressInfo;
  return { url: `http://${HOST}:${port}/`, close, [Symbol.asyncDispose]: close };
}

/** What is asked for; a page of somebody else, who had a name of theirs point here, is given nothing. */
function pathOf({ method, url, headers }: IncomingMessage): string | undefined {
  const host = headers.host?.replace(/:\d+$/, "");
  return method === "GET" && (host === HOST || host === "localhost") ? url : undefined;
}
