/**
 * An HTTP server that runs its users' plugins: each request within 100 ms, in a process that may do nothing.
 *
 * ```sh
 * deno task example:server [PORT]
 * curl localhost:8000/run/shout?input=hello
 * curl localhost:8000/run/hang
 * curl localhost:8000/stats
 * ```
 *
 * A plugin that hangs is stopped, and answered with 504. When too many requests wait, the next are answered with 503 at
 * once. A client that leaves has its task cancelled.
 *
 * @module
 */
import { InfoTask, MultiProcess, type Outcome, QueueFullError, TaskTimeoutError } from "@cm/multiprocess";

/** How long a plugin may run, in milliseconds. */
const LIMIT_MS = 100;
const plugins = import.meta.resolve("./server_plugins.ts");
const NAMES = ["shout", "count", "hang", "exit", "peek"];

/** A server and its pool. */
export interface PluginServer {
  readonly port: number;
  /** Answers what has come, and ends. */
  stop(): Promise<void>;
}

/** Starts the server; port 0 is any that is free. */
export async function startServer(port: number, limit: number = LIMIT_MS): Promise<PluginServer> {
  const mp = new MultiProcess({
    name: "plugins",
    // Threads would have all permissions of this program.
    isolation: "process",
    permissions: "none",
    memoryLimit: 128,
    maxQueue: 64,
  });
  await mp.start();

  async function answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/stats") return Response.json(await mp.stats());
    const name = /^\/run\/(\w+)$/.exec(pathname)?.[1];
    if (name === undefined || !NAMES.includes(name)) {
      return new Response("There is no such plugin\n", { status: 404 });
    }

    const task = new InfoTask(`${plugins}#${name}`, limit, searchParams.get("input") ?? "");
    let outcome: Outcome;
    try {
      // The signal aborts when the client leaves: its task is cancelled, also while it waits.
      outcome = await mp.push(task, { signal: request.signal });
    } catch (error) {
      if (!(error instanceof QueueFullError)) throw error;
      // Whoever asks would rather hear now than wait.
      return new Response("Too busy\n", { status: 503, headers: { "retry-after": "1" } });
    }
    if (outcome.status === "ok") return new Response(`${outcome.value}\n`);
    const status = outcome.error instanceof TaskTimeoutError ? 504 : 500;
    return new Response(`${outcome.error.message}\n`, { status });
  }

  const server = Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, answer);
  return {
    port: server.addr.port,
    async stop() {
      await server.shutdown();
      await mp.stop();
    },
  };
}

if (import.meta.main) {
  const server = await startServer(Number(Deno.args[0] ?? 8000));
  console.log(`http://localhost:${server.port}/run/shout?input=hello`);
  Deno.addSignalListener("SIGINT", async () => {
    await server.stop();
    Deno.exit(0);
  });
}
