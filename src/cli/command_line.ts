import { parseArgs } from "@std/cli/parse-args";
import type { MultiProcessOptions } from "../../mod.ts";
import { type Halt, readHalt } from "./halt.ts";

/** What is run for each input: an export of a module, or a command. */
export type Work =
  | { kind: "module"; specifier: string }
  | { kind: "command"; template: readonly string[] };

/** Where the inputs come from. */
export type Source =
  | { kind: "stdin" }
  | { kind: "values"; values: readonly string[] }
  | { kind: "files"; paths: readonly string[] };

/** What the command line asks for. */
export interface CommandLine {
  readonly work: Work;
  readonly source: Source;
  /** Each line of the input is JSON. */
  readonly ndjson: boolean;
  readonly jobs: number | undefined;
  /** Milliseconds, `Infinity` for none. */
  readonly timeout: number;
  readonly softTimeout: number | undefined;
  /** How often each input is tried. */
  readonly retries: number;
  readonly keepOrder: boolean;
  readonly isolation: "auto" | "thread" | "process" | "cell" | undefined;
  readonly memoryLimit: number | undefined;
  readonly permissions: MultiProcessOptions["permissions"];
  readonly halt: Halt | undefined;
  readonly joblog: string | undefined;
  readonly resume: "no" | "rest" | "rest-and-failed";
  readonly results: string | undefined;
  readonly trace: string | undefined;
  readonly dryRun: boolean;
  /** Values as they are, instead of a line of JSON each. */
  readonly plain: boolean;
  /** Undefined: a bar on a terminal, lines elsewhere. */
  readonly progress: boolean | undefined;
}

/** What is wrong with a command line, as a sentence. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Shown by `--help`. */
export const HELP =
  `Runs a module's function, or a command, for every input: many at once, each within its limit.

Usage: multiprocess [options] MODULE[#EXPORT] [::: INPUT...]
       multiprocess [options] -- COMMAND...   [::: INPUT...]

Inputs are the lines of stdin, or what follows ":::", or the lines of the files that follow "::::".
In a command {} is the input, {.} without its extension, {/} its file name, {//} its folder,
{/.} its file name without extension, {#} its number. One argument is a line for the shell.

  -j, --jobs N           as many at once (default: the number of cores)
  -t, --timeout TIME     limit of each: 1.5 (seconds), 200ms, 2m (default: none)
      --soft-timeout TIME  aborts the task's signal, so that it can finish cleanly
      --retries N        tries of each input (default: 1)
  -k, --keep-order       results in the order of the inputs
      --ndjson           each line of input is JSON
      --plain            values as they are, instead of a line of JSON each
      --isolation KIND   thread, process or auto (commands: process)
      --memory-limit MIB memory that a worker may use
      --permissions P    none, or read, net=example.com, ... (may be repeated)
      --halt WHEN,fail=N stops soon or now, after N or N% have failed
      --joblog FILE      a line for each input that is done
      --resume           leaves out what the joblog has; --resume-failed: tries what failed again
      --results DIR      a file for each result
      --trace FILE       a time line, for Perfetto or chrome://tracing
      --dry-run          shows what would run
      --[no-]progress    progress on stderr

Ctrl-C once: takes no more inputs and finishes; twice: stops now. Exit code: 0, the number of inputs
that failed (101: more than 100), 130 after Ctrl-C, 255 for a mistake in the command line.

  seq 10 | multiprocess -t 1 ./square.ts --plain
  multiprocess -j 8 -t 30 --joblog log --resume ./hash.ts ::: *.iso
  multiprocess -t 10 --retries 3 -- convert {} {.}.png ::: *.jpg`;

const BOOLEAN = ["keep-order", "ndjson", "plain", "resume", "resume-failed", "dry-run", "progress", "help"];
const STRING = [
  "jobs",
  "timeout",
  "soft-timeout",
  "retries",
  "isolation",
  "memory-limit",
  "permissions",
  "halt",
  "joblog",
  "results",
  "trace",
];

/**
 * Reads a command line.
 *
 * @returns What it asks for, or `"help"`.
 * @throws {UsageError} If it cannot be understood.
 */
export function readCommandLine(args: readonly string[]): CommandLine | "help" {
  const colons = args.findIndex((arg) => arg === ":::" || arg === "::::");
  const [before, after] = colons < 0 ? [args, []] : [args.slice(0, colons), args.slice(colons + 1)];
  const dashes = before.indexOf("--");
  const [own, template] = dashes < 0
    ? [before, undefined]
    : [before.slice(0, dashes), before.slice(dashes + 1)];
  const flags = parse(own);
  if (flags.is("help")) return "help";
  return {
    work: readWork(flags.rest, template),
    source: colons < 0
      ? { kind: "stdin" }
      : args[colons] === ":::"
      ? { kind: "values", values: after }
      : { kind: "files", paths: after },
    ndjson: flags.is("ndjson"),
    jobs: flags.number("jobs", 1),
    timeout: flags.time("timeout") ?? Infinity,
    softTimeout: flags.time("soft-timeout"),
    retries: flags.number("retries", 1) ?? 1,
    keepOrder: flags.is("keep-order"),
    isolation: flags.oneOf("isolation", ["auto", "thread", "process", "cell"]),
    memoryLimit: flags.number("memory-limit", 1),
    permissions: readPermissions(flags.texts("permissions")),
    halt: flags.read("halt", readHalt),
    joblog: flags.text("joblog"),
    resume: flags.resume(),
    results: flags.text("results"),
    trace: flags.text("trace"),
    dryRun: flags.is("dry-run"),
    plain: flags.is("plain"),
    progress: flags.maybe("progress"),
  };
}

/** The flags of a command line, each read once. */
class Flags {
  readonly rest: string[];
  readonly #given: Record<string, unknown>;

  constructor(given: Record<string, unknown>, rest: string[]) {
    this.#given = given;
    this.rest = rest;
  }

  is(name: string): boolean {
    return this.#given[name] === true;
  }

  maybe(name: string): boolean | undefined {
    const value = this.#given[name];
    return typeof value === "boolean" ? value : undefined;
  }

  texts(name: string): string[] {
    const values = this.#given[name] as string[] | undefined ?? [];
    if (values.includes("")) throw new UsageError(`--${name} needs a value`);
    return values;
  }

  text(name: string): string | undefined {
    const values = this.texts(name);
    if (values.length > 1) throw new UsageError(`--${name} is given twice`);
    return values[0];
  }

  read<T>(name: string, reader: (text: string) => T | undefined): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = reader(text);
    if (value === undefined) throw new UsageError(`--${name} cannot be ${JSON.stringify(text)}; see --help`);
    return value;
  }

  number(name: string, min: number): number | undefined {
    return this.read(name, (text) => {
      const value = Number(text);
      return /^\d+$/.test(text) && value >= min ? value : undefined;
    });
  }

  time(name: string): number | undefined {
    return this.read(name, readTime);
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    return this.read(name, (text) => values.find((value) => value === text));
  }

  resume(): CommandLine["resume"] {
    const failed = this.is("resume-failed");
    if (!failed && !this.is("resume")) return "no";
    if (this.text("joblog") === undefined) {
      throw new UsageError(`--resume${failed ? "-failed" : ""} needs --joblog`);
    }
    return failed ? "rest-and-failed" : "rest";
  }
}

function parse(args: readonly string[]): Flags {
  const parsed = parseArgs(args, {
    boolean: BOOLEAN,
    string: [...STRING, "_"],
    collect: STRING,
    negatable: ["progress"],
    alias: { j: "jobs", t: "timeout", k: "keep-order", h: "help" },
    unknown: (arg, key) => {
      if (key !== undefined) throw new UsageError(`There is no option ${arg}; see --help`);
    },
  });
  // What was not given is false or empty here, and is to be told apart from what was.
  const given = Object.fromEntries(
    Object.entries(parsed).filter(([name, value]) =>
      name !== "progress" || value !== false || args.includes("--no-progress")
    ),
  );
  return new Flags(given, parsed._.map(String));
}

function readWork(rest: readonly string[], template: readonly string[] | undefined): Work {
  if (template !== undefined) {
    if (rest.length > 0) {
      throw new UsageError(`"${rest[0]}" stands before "--", where a module or a command ends`);
    }
    if (template.length === 0) throw new UsageError('There is no command after "--"');
    return { kind: "command", template };
  }
  const [specifier, surplus] = rest;
  if (specifier === undefined) throw new UsageError("There is no module to run; see --help");
  if (surplus !== undefined) {
    throw new UsageError(`There is one module at a time, and "${surplus}" is one more; inputs follow ":::"`);
  }
  return { kind: "module", specifier };
}

const UNITS: Record<string, number> = { "": 1_000, s: 1_000, ms: 1, m: 60_000, h: 3_600_000 };

/** Milliseconds of a time such as `1.5`, `200ms`, `2m`; undefined if it is none. */
function readTime(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * UNITS[match[2] ?? ""]!;
  return ms > 0 && ms < 2 ** 31 ? ms : undefined;
}

function readPermissions(given: readonly string[]): MultiProcessOptions["permissions"] {
  if (given.length === 0) return undefined;
  const [first] = given;
  if (given.length === 1 && (first === "none" || first === "inherit")) return first;
  const set: Record<string, true | string[]> = {};
  for (const each of given) {
    for (const permission of each.includes("=") ? [each] : each.split(",")) {
      const at = permission.indexOf("=");
      if (at < 0) set[permission] = true;
      else set[permission.slice(0, at)] = permission.slice(at + 1).split(",");
    }
  }
  return set;
}
