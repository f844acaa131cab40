/**
 * Hashes every file under a directory, several at once, each within a time limit.
 *
 * ```sh
 * deno task example:hash [--limit MS] DIR
 * ```
 *
 * Prints a line for each file as it is done: SHA-256, bytes, path. What cannot be read, or not in time, is a line
 * too, and stops nothing. Symbolic links are not followed. On a terminal a bar below shows how far it is. Ctrl-C
 * finishes the files that are being hashed, and tells the sum of what is done. The exit code is 1 if DIR cannot be
 * read, 2 if the arguments are wrong, 130 after Ctrl-C, else 0.
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";
import { join } from "@std/path";
import { parseArgs } from "node:util";

const USAGE = `Usage: deno task example:hash [--limit MS] DIR

Prints the SHA-256 of every file under DIR.

  --limit MS   time limit of each file, in milliseconds (default 10000)`;

const { root, limit } = readArguments();
try {
  for await (const _ of Deno.readDir(root)) break;
} catch (error) {
  quit(1, `Cannot hash the files under "${root}": ${reasonOf(error)}`);
}

// However many files there are, no more than 256 wait in memory.
const mp = new MultiProcess({ maxQueue: 256 });
await mp.start();

const task = import.meta.resolve("./hash_task.ts");
const startedAt = performance.now();
let found = 0;
let done = 0;
let bytes = 0;
let errors = 0;
let skipped = 0;
let interrupted = false;
const terminal = Deno.stdout.isTerminal();
const timer = terminal ? setInterval(draw, 100) : undefined;

const interrupt = () => interrupted = true;
Deno.addSignalListener("SIGINT", interrupt);

for await (const item of walk(root)) {
  if (interrupted) break;
  switch (item.type) {
    case "file":
      found++;
      await mp.room();
      mp.push(new InfoTask<typeof import("./hash_task.ts")>(task, limit, join(root, item.path)), {
        callback: (hashed) => {
          done++;
          bytes += hashed.bytes;
          print(hashed.hash, "green", `${format(hashed.bytes).padStart(13)}  ${item.path}`);
        },
        errorCallback: (error) => {
          done++;
          printError(item.path, error);
        },
      });
      break;
    case "error":
      printError(item.path, item.error);
      break;
    default:
      skipped++;
      print("skipped", "gray", `${item.path}: ${item.type}`);
  }
}

const { ok } = await mp.stop();
Deno.removeSignalListener("SIGINT", interrupt);
clearInterval(timer);
erase();
if (interrupted) Deno.exitCode = 130;
const seconds = (performance.now() - startedAt) / 1_000;
const speed = bytes / 1e6 / seconds;
console.log(
  `\n${count(ok, "file")}, ${count(bytes, "byte")} in ${seconds.toFixed(2)} s (${speed.toFixed(1)} MB/s),`,
  `${count(errors, "error")}, ${format(skipped)} skipped`,
);

/** Something under the directory, by its path from there. */
type Found =
  | { type: "file" | "symbolic link" | "not a regular file"; path: string }
  | { type: "error"; path: string; error: unknown };

/** Finds what is under a directory, one by one; a directory that cannot be read does not end the walk. */
async function* walk(root: string): AsyncGenerator<Found> {
  const directories = ["."];
  for (let directory; (directory = directories.pop()) !== undefined;) {
    try {
      for await (const entry of Deno.readDir(join(root, directory))) {
        const path = join(directory, entry.name);
        if (entry.isDirectory) directories.push(path);
        else if (entry.isFile) yield { type: "file", path };
        else yield { type: entry.isSymlink ? "symbolic link" : "not a regular file", path };
      }
    } catch (error) {
      yield { type: "error", path: directory, error };
    }
  }
}

function readArguments(): { root: string; limit: number } {
  try {
    const { values, positionals } = parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: { limit: { type: "string", default: "10000" }, help: { type: "boolean", short: "h" } },
    });
    if (values.help) {
      console.log(USAGE);
      Deno.exit(0);
    }
    const limit = Number(values.limit);
    if (!(limit > 0 && limit < 2 ** 31)) throw new RangeError("--limit must be above 0 and below 2^31");
    const [root, ...more] = positionals;
    if (root === undefined || more.length > 0) throw new TypeError("Name one directory");
    return { root, limit };
  } catch (error) {
    quit(2, `${reasonOf(error)}\n\n${USAGE}`);
  }
}

function quit(code: number, message: string): never {
  console.error(message);
  Deno.exit(code);
}

function printError(path: string, error: unknown): void {
  errors++;
  print("error", "red", `${path}: ${reasonOf(error)}`);
}

/** One line, whatever the name of a file holds. `%c` colors it only on a terminal, and not under `NO_COLOR`. */
function print(first: string, color: string, rest: string): void {
  erase();
  const escaped = rest.replace(
    /\p{Cc}/gu,
    (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  console.log(`%c${first}%c  %s`, `color: ${color}`, "", escaped);
}

/** A line that changes in place, below all others: how many of the files found so far are done. */
function draw(): void {
  const bar = "█".repeat(Math.floor(20 * done / Math.max(1, found))).padEnd(20, "░");
  write(`\r${bar}  ${format(done)} of ${count(found, "file")} found, ${(bytes / 1e6).toFixed(1)} MB`);
}

function erase(): void {
  if (terminal) write("\r\x1b[2K");
}

function write(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

/** The message, without the path that Deno ends some with: the line names it already. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/: \w+ '.*'$/s, "") : String(error);
}

function count(n: number, noun: string): string {
  return `${format(n)} ${noun}${n === 1 ? "" : "s"}`;
}

function format(n: number): string {
  return n.toLocaleString("en");
}
