import { join } from "@std/path";
import { InfoTask, MultiProcess, type MultiProcessOptions, type Outcome, TaskLoadError } from "../../mod.ts";
import { writeTrace } from "../trace/mod.ts";
import { type CommandLine, UsageError } from "./command_line.ts";
import { isTime } from "./halt.ts";
import { countOf, type Input, readInputs } from "./inputs.ts";
import { Joblog, readJoblog } from "./joblog.ts";
import { Output } from "./output.ts";
import { Progress } from "./progress.ts";
import { commandResult, endedOf, exitOf, refusedResult, type Result, resultOf, toLine } from "./result.ts";
import { fillIn, quote } from "./template.ts";

/** So many inputs a job are on their way at once, so that short tasks do not wait for the next. */
const AHEAD = 16;
/** The exit code says how many failed up to this. */
const MAX_EXIT = 100;
/** So much of a command is shown in a message about it. */
const MAX_LABEL = 60;
const INTERRUPTED = 130;
const MISTAKE = 255;

/** How a run comes to its end before the inputs do. */
type Ending = "no" | "soon" | "now";

/** One run of a command line. */
export class Session {
  readonly #line: CommandLine;
  readonly #specifier: string;
  readonly #noMore = new AbortController();
  #ending: Ending = "no";
  #interrupted = false;
  #closed = false;
  #done = 0;
  #failed = 0;
  /** Nothing has come of any input but that the module cannot be loaded. */
  #unloadable: Error | undefined;
  #output = this.#createOutput(undefined);
  #progress: Progress | undefined;
  #mp: MultiProcess | undefined;

  constructor(line: CommandLine) {
    this.#line = line;
    this.#specifier = line.work.kind === "command"
      ? import.meta.resolve("./command_task.ts")
      : toSpecifier(line.work.specifier);
  }

  /** @returns The exit code. */
  async run(): Promise<number> {
    const { joblog, resume, dryRun, results, trace, source, progress } = this.#line;
    const done = joblog === undefined || resume === "no"
      ? undefined
      : await readJoblog(joblog, resume === "rest-and-failed");
    this.#failed = done?.failed ?? 0;
    const inputs = readInputs({
      source,
      ndjson: this.#line.ndjson,
      skip: (seq) => done?.seqs.has(seq) ?? false,
      refused: (input, error) => this.#refuse(input, error),
      signal: this.#noMore.signal,
    });
    if (dryRun) return await this.#show(inputs);
    const log = joblog === undefined ? undefined : await Joblog.open(joblog, resume !== "no");
    this.#output = this.#createOutput(log);
    if (results !== undefined) await Deno.mkdir(results, { recursive: true });
    // Better to fail now than when all is done.
    if (trace !== undefined) await Deno.writeTextFile(trace, "");
    const interrupt = () => this.#interrupt();
    const signals = Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const;
    for (const signal of signals) Deno.addSignalListener(signal, interrupt);
    if (progress !== false) this.#progress = new Progress(countOf(source));
    try {
      await this.#runAll(inputs);
    } finally {
      for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
      await this.#output.flush();
      this.#progress?.end();
      log?.close();
    }
    if (this.#unloadable !== undefined) {
      this.#complain(this.#unloadable.message);
      await this.#output.flush();
      return MISTAKE;
    }
    return this.#interrupted ? INTERRUPTED : Math.min(this.#failed, MAX_EXIT + 1);
  }

  async #runAll(inputs: AsyncIterable<Input>): Promise<void> {
    const mp = this.#mp = new MultiProcess(this.#poolOptions());
    const size = this.#line.jobs ?? navigator.hardwareConcurrency;
    const { trace } = this.#line;
    const traced = trace === undefined ? undefined : writeTrace(mp.events(), trace);
    mp.start();
    try {
      const of = new WeakMap<InfoTask, Input>();
      const toTask = (input: Input) => {
        const task = new InfoTask(this.#specifier, this.#line.timeout, this.#argumentOf(input));
        of.set(task, input);
        return task;
      };
      const { softTimeout, retries, keepOrder } = this.#line;
      const outcomes = mp.map(inputs, toTask, {
        softTimeout,
        retry: retries > 1
          ? { maxAttempts: retries, minTimeout: 100, on: ["failed", "crashed", "timed-out"] }
          : undefined,
        ordered: keepOrder,
        concurrency: AHEAD * size,
        // The module of a command is one of ours.
        label: this.#line.work.kind === "command" ? (input) => shortened(this.#describe(input)) : undefined,
      });
      for await (const outcome of outcomes) {
        await this.#take(of.get(outcome.task)!, outcome);
        if (this.#ending === "now" || this.#closed) break;
      }
    } catch (error) {
      if (this.#ending !== "now") throw error;
    } finally {
      if (this.#ending === "now" || this.#closed) await mp.terminate();
      else await mp.stop();
      await traced;
    }
  }

  #poolOptions(): MultiProcessOptions {
    const { jobs, isolation, memoryLimit, permissions, work } = this.#line;
    if (work.kind === "command" && isolation === "thread") {
      throw new UsageError("Commands run in processes, with which they are killed at their limit");
    }
    return {
      size: jobs,
      isolation: work.kind === "command" ? "process" : isolation,
      memoryLimit,
      permissions,
    };
  }

  #argumentOf(input: Input): unknown {
    const { work } = this.#line;
    return work.kind === "command" ? fillIn(work.template, input) : input.value;
  }

  /** What is run for an input, for whoever reads it. */
  #describe(input: Input): string {
    const { work } = this.#line;
    if (work.kind === "module") return `${work.specifier} ${quote(input.text)}`;
    const command = fillIn(work.template, input);
    return typeof command === "string" ? command : command.map(quote).join(" ");
  }

  async #show(inputs: AsyncIterable<Input>): Promise<number> {
    for await (const input of inputs) {
      this.#output.print(`${this.#describe(input)}\n`);
      await this.#output.room();
    }
    await this.#output.flush();
    return 0;
  }

  async #take(input: Input, outcome: Outcome): Promise<void> {
    // Not done: the log is to have it when the rest is run.
    if (outcome.status === "cancelled") return;
    const startedAt = Date.now() - outcome.ranMs;
    if (this.#done === 0 && outcome.status === "failed" && outcome.error instanceof TaskLoadError) {
      this.#unloadable = outcome.error;
      this.#end("now");
      return;
    }
    const { work } = this.#line;
    const result = work.kind === "command" ? commandResult(input, outcome) : resultOf(input, outcome);
    await this.#tell(input, result, outcome);
    const { ranMs } = outcome;
    this.#output.row({
      seq: input.seq,
      startedAt,
      ranMs,
      ...exitOf(outcome),
      command: this.#describe(input),
    });
    this.#count(result);
    await this.#output.room();
  }

  /** An input that is no JSON is one that failed. */
  #refuse(input: Input, error: Error): void {
    const result = refusedResult(input, error);
    if (this.#line.plain) this.#complain(`input ${input.seq} is no JSON: ${error.message}`);
    else this.#output.print(`${toLine(result)}\n`);
    this.#output.row({
      seq: input.seq,
      startedAt: Date.now(),
      ranMs: 0,
      exitValue: 1,
      signal: 0,
      command: this.#describe(input),
    });
    this.#count(result);
  }

  #count({ status }: Result): void {
    const failed = status !== "ok";
    this.#done++;
    if (failed) this.#failed++;
    this.#progress?.add(failed);
    const { halt } = this.#line;
    if (halt !== undefined && isTime(halt, this.#done, this.#failed)) this.#end(halt.when);
  }

  async #tell(input: Input, result: Result, outcome: Outcome): Promise<void> {
    const { plain, results } = this.#line;
    const ended = endedOf(outcome);
    if (results !== undefined) await this.#keep(results, result, outcome);
    if (!plain) return this.#output.print(`${toLine(result)}\n`);
    if (ended !== undefined) {
      this.#output.print(ended.stdout);
      this.#output.complain(ended.stderr);
    }
    if (outcome.status !== "ok") this.#complain(`${this.#describe(input)}: ${outcome.error.message}`);
    else if (ended === undefined) this.#output.print(`${textOf(outcome.value)}\n`);
  }

  /** A file for the result; for a command its output apart, as the bytes that it printed. */
  async #keep(directory: string, result: Result, outcome: Outcome): Promise<void> {
    const path = join(directory, String(result.seq));
    const ended = endedOf(outcome);
    if (ended !== undefined) {
      await Deno.writeFile(`${path}.stdout`, ended.stdout);
      await Deno.writeFile(`${path}.stderr`, ended.stderr);
    }
    await Deno.writeTextFile(`${path}.json`, `${toLine(result)}\n`);
  }

  #createOutput(log: Joblog | undefined): Output {
    return new Output(log, () => this.#progress?.clear(), () => {
      this.#closed = true;
      this.#noMore.abort();
    });
  }

  #complain(text: string): void {
    this.#output.complain(`multiprocess: ${text}\n`);
  }

  #interrupt(): void {
    if (this.#interrupted || this.#ending !== "no") {
      this.#interrupted = true;
      this.#complain("stopped");
      return this.#end("now");
    }
    this.#interrupted = true;
    this.#complain("taking no more inputs; what runs is finished; once more to stop it now");
    this.#end("soon");
  }

  #end(how: "soon" | "now"): void {
    if (this.#ending === "now") return;
    this.#ending = how;
    this.#noMore.abort();
    if (how === "now") void this.#mp?.terminate();
  }
}

/** A path may be given without `./`: nobody means a package. */
function toSpecifier(given: string): string {
  const isUrl = /^[a-z][a-z\d+.-]+:/i.test(given);
  return isUrl || /^\.{0,2}\//.test(given) ? given : `./${given}`;
}

function shortened(text: string): string {
  return text.length > MAX_LABEL ? `${text.slice(0, MAX_LABEL)}…` : text;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : toLine(value ?? null);
}
