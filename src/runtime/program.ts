/**
 * How this program was started, as far as that decides what a task sees: which modules names stand for, and what the
 * runtime can do. A task in a process of its own is to see the same.
 *
 * Deno tells a program nothing of its own flags (`process.execArgv` is empty, seen up to 2.9.6): on Linux they are read
 * where the system keeps them, which takes `--allow-all` or `--allow-run`. Elsewhere only the configuration file is
 * found, and what lies beside it.
 *
 * @module
 */
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { PERMISSIONS } from "../permissions.ts";
import { grantedWhole, isGranted } from "./permissions.ts";

/** See the module's description. */
export interface Program {
  /** Flags for `deno run` that decide what names stand for; also those that `deno info` knows. */
  resolution: string[];
  /** Other flags for `deno run`. */
  runtime: string[];
  /** `Deno.args`. */
  args: string[];
}

type Kind = "path" | "value" | "optional" | "switch";

/** Flags that are handed on, by what comes with them; an optional value comes behind an equals sign. */
const RESOLUTION: Record<string, Kind> = {
  "--config": "path",
  "--no-config": "switch",
  "--import-map": "path",
  "--lock": "path",
  "--no-lock": "switch",
  "--frozen": "optional",
  "--frozen-lockfile": "optional",
  "--node-modules-dir": "optional",
  "--node-modules-linker": "value",
  "--vendor": "optional",
  "--no-remote": "switch",
  "--no-npm": "switch",
  "--cert": "path",
  "--unsafely-ignore-certificate-errors": "optional",
  "--min-dep-age": "value",
};
const RUNTIME: Record<string, Kind> = {
  "--cached-only": "switch",
  "--conditions": "value",
  "--location": "value",
  "--v8-flags": "optional",
  "--seed": "value",
  "--use-env-proxy": "switch",
  "--no-code-cache": "switch",
};

/**
 * How this program was started.
 *
 * @param main Its main module.
 */
export function ownProgram(main: string): Program {
  const args = [...Deno.args];
  const line = commandLine();
  const { resolution, runtime } = handedOn(line.slice(0, Math.max(0, line.length - args.length)));
  const has = (...names: string[]) => resolution.some((flag) => names.includes(flag.split("=")[0]!));
  // Those of the command line come first.
  if (!has("--config", "--no-config")) {
    const { config, packages } = found(main);
    if (config !== undefined) resolution.push(`--config=${config}`);
    // What Deno does beside a package.json; for the `data:` module of a child it does not look for one.
    else if (packages && !has("--node-modules-dir")) resolution.push("--node-modules-dir=manual");
  }
  return { resolution, runtime, args };
}

/** The flags among the words of a command line, up to the script, that are handed on; paths are made absolute. */
export function handedOn(words: readonly string[]): Pick<Program, "resolution" | "runtime"> {
  const resolution: string[] = [];
  const runtime: string[] = [];
  for (let i = 1; i < words.length; i++) {
    const word = words[i]!.replace(/^-c(?==|$)/, "--config");
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (/^--unstable(-[a-z0-9-]+)?$/.test(word)) {
      runtime.push(word);
      continue;
    }
    const flags = Object.hasOwn(RESOLUTION, name) ? resolution : runtime;
    const kind = Object.hasOwn(RESOLUTION, name)
      ? RESOLUTION[name]!
      : Object.hasOwn(RUNTIME, name)
      ? RUNTIME[name]!
      : undefined;
    if (kind === undefined) continue;
    let value = equals < 0 ? undefined : word.slice(equals + 1);
    if (value === undefined && (kind === "path" || kind === "value")) {
      // Of these only `--lock` may stand alone.
      if (name !== "--lock" || isPath(words[i + 1])) value = words[++i];
    }
    if (value !== undefined && kind === "path") value = absolute(value);
    flags.push(value === undefined ? name : `${name}=${value}`);
  }
  return { resolution, runtime };
}

/** Whether the word behind `--lock` is its value, and not the script or another flag. */
function isPath(word: string | undefined): boolean {
  return word !== undefined && /\.lock$|\.json$/.test(word);
}

function absolute(path: string): string {
  if (/^[a-z][a-z0-9+.-]+:/i.test(path)) return path;
  try {
    return resolve(path);
  } catch {
    // The working directory may not be known: then it is that of the child.
    return path;
  }
}

/** The command line of this process, in words; empty where it is not known. */
function commandLine(): string[] {
  if (Deno.build.os !== "linux") return [];
  const path = `/proc/${Deno.pid}/cmdline`;
  try {
    // Asked before: else Deno would ask the user.
    if (PERMISSIONS.every(grantedWhole)) return wordsOf(Deno.readTextFileSync(path));
    if (!isGranted("run", "cat")) return [];
    const { stdout } = new Deno.Command("cat", { args: [path], stdout: "piped", stderr: "null" })
      .outputSync();
    return wordsOf(new TextDecoder().decode(stdout));
  } catch {
    return [];
  }
}

const wordsOf = (text: string) => text.split("\0").slice(0, -1);

/** What Deno finds for the main module, or would, if the program has none: the nearest of its configuration files. */
function found(main: string): { config?: string; packages: boolean } {
  let packages = false;
  try {
    let directory = main.startsWith("file:") ? dirname(fromFileUrl(main)) : Deno.cwd();
    for (;;) {
      for (const name of ["deno.json", "deno.jsonc"]) {
        const config = join(directory, name);
        if (isFile(config)) return { config, packages };
      }
      packages ||= isFile(join(directory, "package.json"));
      const parent = dirname(directory);
      if (parent === directory) return { packages };
      directory = parent;
    }
  } catch {
    // It may not be looked for.
    return { packages };
  }
}

function isFile(path: string): boolean {
  if (!isGranted("read", path)) throw new Deno.errors.NotCapable(path);
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}
