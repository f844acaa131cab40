import { delay } from "@std/async";

const HOST = "127.0.0.1";

/** Whether there is a Redis to test with; says loudly if there is none. */
export const hasRedis: boolean = has("redis-server");
if (!hasRedis) console.error("NO redis-server ON THIS MACHINE: THE TESTS OF MANY MACHINES ARE SKIPPED");

function has(command: string): boolean {
  try {
    return new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

export function freePort(): number {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** A Redis of the tests' own: on a free port of this host only, with its data in a folder of its own. */
export class RedisServer implements AsyncDisposable {
  readonly port = freePort();
  readonly #folder = Deno.makeTempDirSync({ prefix: "fleet-redis-" });
  readonly #flags: string[];
  #child: Deno.ChildProcess | undefined;

  private constructor(flags: string[]) {
    this.#flags = flags;
  }

  static async start(...flags: string[]): Promise<RedisServer> {
    const server = new RedisServer(flags);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://${HOST}:${this.port}`;
  }

  /** Also again, with what it had written down. */
  async start(): Promise<void> {
    this.#child = new Deno.Command("redis-server", {
      args: [
        ...["--port", String(this.port), "--bind", HOST, "--dir", this.#folder],
        ...["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"],
        ...this.#flags,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let i = 0; i < 200; i++) {
      try {
        (await Deno.connect({ hostname: HOST, port: this.port })).close();
        return;
      } catch {
        await delay(50);
      }
    }
    throw new Error("redis-server does not answer");
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    child.kill(signal);
    await child.status;
  }

  /** The answer to a command, as `redis-cli` prints it. */
  async ask(...command: string[]): Promise<string> {
    const { stdout } = await new Deno.Command("redis-cli", {
      args: ["-h", HOST, "-p", String(this.port), "--no-auth-warning", ...command],
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout).trim();
  }

  /** The keys that match. */
  async keys(pattern: string): Promise<string[]> {
    return (await this.ask("--scan", "--pattern", pattern)).split("\n").filter((key) => key !== "").sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** The Redis that the tests of a file share. */
let shared: RedisServer | undefined;

/** Starts it with the first test that needs it, and ends it with the last. */
export function useRedis(): () => RedisServer {
  Deno.test.beforeAll(async () => {
    if (hasRedis) shared = await RedisServer.start();
  });
  Deno.test.afterAll(async () => {
    await shared?.[Symbol.asyncDispose]();
    shared = undefined;
  });
  return () => shared!;
}

let queues = 0;

/** A name that no other test has. */
export function newQueue(): string {
  return `test-${++queues}-${crypto.randomUUID().slice(0, 8)}`;
}
