/** Machines and producers of the tests, as processes of their own. */
import { assert } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { TextLineStream } from "./lines.ts";
import type { QueueSpec } from "./spec.ts";

/** The folder of the tests' task modules. */
export const ROOT: string = import.meta.resolve("../fixtures/fleet/");

/** The specifier of a task of the tests. */
export const task = (name: string): string => `${ROOT}tasks.ts#${name}`;
export const TOLD: string = `${ROOT}told.ts`;

/** The lock of the tests' machines, in milliseconds. */
export const LOCK = 3_000;

const config = fromFileUrl(new URL("../../deno.json", import.meta.url));

/** A process that tells what it does in lines. */
export class Script implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly #reading: Promise<unknown>;
  #heard = Promise.withResolvers<void>();
  ended = false;

  /** @param by What runs it, if not Deno. */
  constructor(specifier: string, args: string[], by?: { program: string; env: Record<string, string> }) {
    const flags = by === undefined ? ["run", "-A", "--no-check", "--no-prompt", "--config", config] : [];
    this.child = new Deno.Command(by?.program ?? Deno.execPath(), {
      args: [...flags, fromFileUrl(specifier), ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1", ...by?.env },
    }).spawn();
    this.#reading = Promise.all([
      this.#read(this.child.stdout, this.lines),
      this.#read(this.child.stderr, this.errors),
      this.child.status.then(() => {
        this.ended = true;
        this.#heard.resolve();
      }),
    ]);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Waits for a line that begins with this, and gives the rest of it. */
  async line(beginning: string, ms = 60_000): Promise<string> {
    const until = performance.now() + ms;
    for (;;) {
      const line = this.lines.find((line) => line.startsWith(beginning));
      if (line !== undefined) return line.slice(beginning.length);
      assert(
        !this.ended,
        `It ended without "${beginning}":\n${this.lines.join("\n")}\n${this.errors.join("\n")}`,
      );
      assert(performance.now() < until, `No "${beginning}" within ${ms} ms:\n${this.errors.join("\n")}`);
      let timer;
      await Promise.race([this.#heard.promise, new Promise((resolve) => timer = setTimeout(resolve, 500))]);
      clearTimeout(timer);
    }
  }

  kill(signal: Deno.Signal = "SIGKILL"): void {
    try {
      this.child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /** Waits for its end. */
  async end(): Promise<Deno.CommandStatus> {
    const status = await this.child.status;
    await this.#reading;
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGCONT");
    this.kill();
    await this.end();
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, into: string[]): Promise<void> {
    for await (const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      into.push(line);
      const heard = this.#heard;
      this.#heard = Promise.withResolvers();
      heard.resolve();
    }
  }
}

/** A machine from the command line, that serves already. */
export async function startMachine(url: string, queue: string, ...flags: string[]): Promise<Script> {
  const args = ["--queue", queue, "--root", ROOT, "--redis", url, "--lock-duration", String(LOCK), ...flags];
  const machine = new Script(import.meta.resolve("../../src/bullmq/main.ts"), args);
  while (!machine.lines.some((line) => line.includes(": serving "))) {
    await machine.line("", 60_000).then(wait);
  }
  return machine;
}

/** A machine in any store, that serves already. */
export async function startIn(spec: QueueSpec, options: object = {}): Promise<Script> {
  const argument = JSON.stringify({ spec, options });
  const machine = new Script(import.meta.resolve("./machine_script.ts"), [argument]);
  await machine.line("serving");
  return machine;
}

const wait = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A file of the tests' own, in which runs and callbacks are noted. */
export class Notes implements Disposable {
  readonly file: string = Deno.makeTempFileSync({ prefix: "fleet-notes-" });

  lines(): string[] {
    return Deno.readTextFileSync(this.file).split("\n").filter((line) => line !== "");
  }

  /** How often each id was noted. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const line of this.lines()) {
      const [id] = line.split(" ", 1) as [string];
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.file);
  }
}
