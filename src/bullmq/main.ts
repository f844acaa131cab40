/**
 * A machine of a fleet from the command line, for whoever has no code to write there.
 *
 * ```sh
 * deno run --allow-net --allow-read --allow-env --allow-sys jsr:@cm/multiprocess/serve \
 *   --queue images --root ./tasks/ --redis redis://redis:6379
 * ```
 *
 * `--help` lists all flags. SIGTERM and SIGINT have it take no more tasks, finish those that run, and end; a second one
 * ends it at once.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "@std/cli/parse-args";
import type { MachinePoolOptions, ServeOptions } from "./options.ts";
import { serve } from "./serve.ts";
import type { Server } from "./server.ts";

const HELP = `Takes tasks from a queue in Redis or Valkey and runs them.

Usage: serve --queue NAME --root FOLDER [--redis URL] [options]

  --queue NAME           the queue
  --root FOLDER          the folder of the task modules: a path or a URL
  --redis URL            where the queue is; default: $REDIS_URL, else redis://localhost:6379
  --modules URL          a module elsewhere that may run too, or a folder that ends with "/"; may be repeated
  --name NAME            shown in messages and dashboards; default: host:pid
  --size N               tasks at once; default: the number of cores
  --isolation KIND       thread, process or auto; default: auto
  --memory-limit MIB     memory of one worker
  --initializer MODULE   imported by every worker before its first task
  --prefetch N           tasks taken beyond those that run; default: 0
  --grace MS             how long tasks may run on when it is told to end; default: 10000
  --lock-duration MS     silence after which other machines take its tasks over; default: 15000
  --max-crashes N        machines that may be lost under one task; default: 3
  --max-bytes N          bytes of a result; default: 1048576
  --keep N               finished jobs kept for dashboards; default: 100
  --connect-timeout MS   how long to wait for the queue at the start; default: 10000
  --quiet                say nothing but errors
  --help                 this text`;

const STRINGS = ["queue", "root", "redis", "modules", "name", "isolation", "initializer"];
const NUMBERS = [
  "size",
  "memory-limit",
  "prefetch",
  "grace",
  "lock-duration",
  "max-crashes",
  "max-bytes",
  "keep",
  "connect-timeout",
];

/** What was asked for cannot be done: said in one line, with status 2. */
class UsageError extends Error {}

type Flags = Record<string, unknown>;

function readFlags(args: string[]): Flags {
  const flags: Flags = parseArgs(args, {
    string: [...STRINGS, ...NUMBERS],
    boolean: ["help", "quiet"],
    collect: ["modules"],
    unknown: (arg) => {
      throw new UsageError(`Unknown argument ${arg}; see --help`);
    },
  });
  for (const name of NUMBERS) {
    const value = flags[name];
    if (value === undefined) continue;
    flags[name] = Number(value);
    if (value === "" || Number.isNaN(flags[name])) {
      throw new UsageError(`--${name} must be a number, received ${JSON.stringify(value)}`);
    }
  }
  for (const name of ["queue", "root"]) {
    if (!flags[name]) throw new UsageError(`--${name} is required; see --help`);
  }
  return flags;
}

function toOptions(flags: Flags): ServeOptions {
  const pool: MachinePoolOptions = {
    size: flags.size as number | undefined,
    isolation: flags.isolation as MachinePoolOptions["isolation"],
    memoryLimit: flags["memory-limit"] as number | undefined,
    initializer: flags.initializer as string | undefined,
  };
  return {
    queue: flags.queue as string,
    root: flags.root as string,
    connection: (flags.redis as string | undefined) ?? process.env.REDIS_URL ?? "redis://localhost:6379",
    modules: flags.modules as string[] | undefined,
    name: flags.name as string | undefined,
    pool,
    prefetch: flags.prefetch as number | undefined,
    grace: flags.grace as number | undefined,
    lockDuration: flags["lock-duration"] as number | undefined,
    maxCrashes: flags["max-crashes"] as number | undefined,
    maxBytes: flags["max-bytes"] as number | undefined,
    keep: flags.keep as number | undefined,
    connectTimeout: flags["connect-timeout"] as number | undefined,
  };
}

/** What it did, in one line. */
function summary(machine: Server): string {
  const { ok, failed, timedOut, crashed, cancelled, givenBack } = machine.stats();
  return `${ok} ok, ${failed} failed, ${timedOut} timed out, ${crashed} crashed, ${cancelled} cancelled, ` +
    `${givenBack} given back`;
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const flags = readFlags(args);
  const machine = await serve(toOptions(flags));
  const say = (line: string) => {
    if (!flags.quiet) console.log(`${machine.name}: ${line}`);
  };
  let told = false;
  for (const [signal, status] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
    process.on(signal, () => {
      if (told) process.exit(status);
      told = true;
      say(`${signal}: finishing ${machine.stats().running} tasks`);
      void machine.stop();
    });
  }
  say(`serving ${flags.queue}, ${machine.size} tasks at once`);
  await machine.closed;
  say(`ended: ${summary(machine)}`);
  return 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    const { message } = error as Error;
    console.error(`serve: ${message}`);
    // What is wrong with an option is for whoever typed it; all else may be gone the next time.
    process.exit(
      error instanceof UsageError || error instanceof TypeError || error instanceof RangeError ? 2 : 1,
    );
  }
}
