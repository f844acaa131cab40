import { delay } from "@std/async";
import { runMigrations } from "bullmq";
import pg from "pg";
import { freePort } from "./redis.ts";
import { postgresConfig } from "./spec.ts";

const HOST = "127.0.0.1";
/** PostgreSQL refuses to run as root: then it runs as the user that its package made. */
const USER = Deno.uid() === 0 ? "postgres" : undefined;

const folder = binaries();

/** Whether there is a PostgreSQL to test with. */
export const hasPostgres: boolean = folder !== undefined;
if (!hasPostgres) {
  console.error("No PostgreSQL on this machine: the tests of many machines with it are skipped");
}

/** Where its programs are: Debian keeps them out of the path, by version. */
function binaries(): string | undefined {
  const places = ["/usr/local/bin", "/usr/bin"];
  try {
    for (const { name } of Deno.readDirSync("/usr/lib/postgresql")) {
      places.push(`/usr/lib/postgresql/${name}/bin`);
    }
  } catch {
    // It was not installed from a package.
  }
  return places.find((place) => {
    try {
      return Deno.statSync(`${place}/initdb`).isFile && Deno.statSync(`${place}/postgres`).isFile;
    } catch {
      return false;
    }
  });
}

function command(program: string, args: string[]): Deno.Command {
  const path = `${folder}/${program}`;
  const [name, all] = USER === undefined ? [path, args] : ["setpriv", [
    `--reuid=${USER}`,
    `--regid=${USER}`,
    "--clear-groups",
    path,
    ...args,
  ]];
  return new Deno.Command(name, { args: all, stdin: "null", stdout: "null", stderr: "null", cwd: "/" });
}

/** A PostgreSQL of the tests' own: on a free port of this host only, with its data in a folder of its own. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number = freePort();
  readonly #folder = Deno.makeTempDirSync({ prefix: "fleet-postgres-" });
  #child: Deno.ChildProcess | undefined;

  private constructor() {}

  static async start(): Promise<PostgresServer> {
    const server = new PostgresServer();
    if (USER !== undefined) await new Deno.Command("chown", { args: [USER, server.#folder] }).output();
    const data = `${server.#folder}/data`;
    const made = await command("initdb", ["-D", data, "-U", "test", "-A", "trust", "-N"]).output();
    if (!made.success) throw new Error("initdb failed");
    await server.start();
    const client = new pg.Client(postgresConfig(server.port));
    await client.connect();
    await runMigrations(client, "bullmq");
    await client.end();
    return server;
  }

  async start(): Promise<void> {
    this.#child = command("postgres", [
      ...["-D", `${this.#folder}/data`, "-p", String(this.port), "-h", HOST, "-k", this.#folder],
      ...["-c", "max_connections=300"],
    ]).spawn();
    for (let i = 0; i < 200; i++) {
      const client = new pg.Client(postgresConfig(this.port));
      try {
        await client.connect();
        await client.end();
        return;
      } catch {
        await delay(50);
      }
    }
    throw new Error("postgres does not answer");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill("SIGINT");
    await this.#child?.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
