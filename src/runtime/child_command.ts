/**
 * The command line of a child process: the one place where it is put together.
 *
 * | part | where it comes from |
 * |---|---|
 * | permissions | what the pool is given, or what this process has: see `permissions.ts` |
 * | files that may be read | the graphs of the modules that are to run, where not all may be read |
 * | what names stand for, and what the runtime can do | how this program was started: see `program.ts` |
 * | arguments | those of this program |
 * | environment, working directory | what the pool is given, or those of this process when the child is started |
 *
 * @module
 */
import { isAbsolute, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ChildSpec } from "../wire/protocol.ts";
import { host, sibling } from "./host.ts";
import { localFiles } from "./module_graph.ts";
import { isReadableFile, unnameable } from "./permissions.ts";
import { ownProgram, type Program } from "./program.ts";
import { bootstrap } from "./thread.ts";

/** The most bytes of one argument, and of all that are lists of files: Linux takes 128 KiB and about 2 MiB. */
const MAX_ARGUMENT = 100_000;
const MAX_LISTS = process.platform === "win32" ? 20_000 : process.platform === "linux" ? 1_000_000 : 400_000;

let program: Program | undefined;

/** The arguments for the runtime to start a child with. */
export async function childArguments(
  spec: ChildSpec,
  what: "process" | "cell" = "process",
): Promise<string[]> {
  return host === "deno" ? await denoArguments(spec, what) : nodeArguments(spec);
}

/** Those of this program, too, also behind the script. */
function nodeArguments({ v8Flags }: ChildSpec): string[] {
  return [...nodeFlags(process.execArgv), ...v8Flags, fileURLToPath(PROCESS), ...process.argv.slice(2)];
}

/** Flags that say what this program is, and where it listens for a debugger: a child is another. */
const OWN_FLAGS =
  /^(-e|--eval|-p|-pe|--print|-i|--interactive|-c|--check|--input-type|--test|--watch|--inspect)\b/;
/** Those of them that the next argument belongs to. */
const WITH_VALUE = /^(-e|--eval|-p|-pe|--print|--input-type|--watch-path)$/;

/** The flags that a child of Node is to have, of those that its parent has. */
export function nodeFlags(flags: readonly string[]): string[] {
  return flags.filter((flag, i) => !OWN_FLAGS.test(flag) && !(i > 0 && WITH_VALUE.test(flags[i - 1]!)));
}

async function denoArguments(
  { permissions, readable, v8Flags, main }: ChildSpec,
  what: "process" | "cell",
): Promise<string[]> {
  const { resolution, runtime, args } = program ??= ownProgram(main);
  const all = permissions.includes("--allow-read");
  const files = all
    ? []
    : await filesOf([THREAD, ...(what === "cell" ? CELL_THREADS : []), ...readable], resolution);
  return [
    "run",
    "--no-prompt",
    "--quiet",
    ...permissions,
    ...lists(READ, files),
    ...resolution,
    ...withV8Flags(runtime, v8Flags),
    // Not the file itself: for a `data:` module Deno looks for no configuration by itself.
    bootstrap(what === "cell" ? CELL : PROCESS).href,
    ...args,
  ];
}

/**
 * Whether a child with these permissions may read all files of a module that it may be given leave to read at all.
 *
 * @param permissions Those of `ChildSpec`.
 */
export async function mayReadModule(
  specifier: string,
  { permissions, main }: Pick<ChildSpec, "permissions" | "main">,
): Promise<boolean> {
  const folders = readFolders(permissions);
  if (folders.length === 0) return false;
  const { resolution } = program ??= ownProgram(main);
  const files = await filesOf([specifier], resolution);
  return files.every((file) => folders.some((folder) => isWithin(folder, file)));
}

const READ = "--allow-read=";

/** Relative ones are left out: a child may be started in another folder. */
function readFolders(permissions: readonly string[]): string[] {
  return permissions.filter((flag) => flag.startsWith(READ)).flatMap((flag) => {
    return flag.slice(READ.length).split(",").filter(isAbsolute);
  });
}

function isWithin(folder: string, file: string): boolean {
  const path = relative(folder, file);
  return !isAbsolute(path) && path !== ".." && !path.startsWith(`..${sep}`);
}

/** Deno takes that flag once. */
function withV8Flags(runtime: readonly string[], more: readonly string[]): string[] {
  if (more.length === 0) return [...runtime];
  const flag = "--v8-flags=";
  const own = runtime.filter((each) => each.startsWith(flag)).map((each) => each.slice(flag.length));
  return [...runtime.filter((each) => !each.startsWith(flag)), flag + [...own, ...more].join(",")];
}

const PROCESS = sibling("./process_worker", import.meta.url);
const CELL = sibling("./cell_worker", import.meta.url);
const CELL_THREADS = ["./cell_dispatcher_worker", "./nursery_worker"]
  .map((file) => sibling(file, import.meta.url).href);
const THREAD = sibling("./thread_worker", import.meta.url).href;

const told = new Set<string>();

/**
 * The files of the modules that are to run: those that may be read here, since a task module can name whatever it likes
 * as a part of it. What the command line cannot name is left out: that costs the tasks of its module, and no others.
 */
async function filesOf(modules: readonly string[], resolution: readonly string[]): Promise<string[]> {
  const files = new Set<string>();
  let bytes = 0;
  for (const graph of await Promise.all(modules.map((module) => localFiles(module, resolution)))) {
    for (const file of graph) {
      if (files.has(file) || !isReadableFile(file)) continue;
      const reason = unnameable(file) ??
        (bytes + file.length > MAX_LISTS ? "the list is too long" : undefined);
      if (reason === undefined) {
        files.add(file);
        bytes += new TextEncoder().encode(file).length + 1;
      } else if (!told.has(file)) {
        told.add(file);
        console.error(
          `multiprocess: tasks may not read ${JSON.stringify(file)}, a part of their module: ${reason}`,
        );
      }
    }
  }
  return [...files];
}

/** The items as arguments, none of which is too long. */
function lists(flag: string, items: readonly string[]): string[] {
  const result: string[] = [];
  let from = 0;
  let length = 0;
  for (let i = 0; i <= items.length; i++) {
    const more = i < items.length ? new TextEncoder().encode(items[i]).length + 1 : Infinity;
    if (length > 0 && length + more > MAX_ARGUMENT) {
      result.push(flag + items.slice(from, i).join(","));
      from = i;
      length = 0;
    }
    length += more;
  }
  return result;
}
