/**
 * A command line for the pool: runs a function of a module, or a command, for every input, many at once, each within
 * its limit. For people who would reach for GNU parallel or xargs.
 *
 * ```sh
 * seq 10 | deno run -A jsr:@cm/multiprocess/cli --timeout 1 ./square.ts --plain
 * deno run -A jsr:@cm/multiprocess/cli --help
 * ```
 *
 * A line of JSON for each input goes to stdout, and how far it is to stderr. Memory does not grow with the number of
 * inputs, which are read only as fast as they are run.
 *
 * @example From a program
 * ```ts
 * import { main } from "@cm/multiprocess/cli";
 * import { assertEquals } from "@std/assert";
 *
 * const square = "data:text/javascript,export default (n) => n ** 2";
 * assertEquals(await main(["--plain", "--jobs", "1", square, ":::", "2", "3"]), 0); // prints 4 and 9
 * ```
 *
 * @module
 */
import { HELP, readCommandLine, UsageError } from "./command_line.ts";
import { Session } from "./session.ts";

/**
 * Runs a command line.
 *
 * @param args The arguments, as in `Deno.args`.
 * @returns The exit code: 0, or how many inputs failed (101 for more than 100), 130 after Ctrl-C, 255 for a mistake in
 * the command line.
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const commandLine = readCommandLine(args);
    if (commandLine === "help") {
      console.log(HELP);
      return 0;
    }
    return await new Session(commandLine).run();
  } catch (error) {
    if (!isMistake(error)) throw error;
    console.error(`multiprocess: ${error.message}`);
    return 255;
  }
}

/** Something that the user can mend: shown without a stack. */
function isMistake(error: unknown): error is Error {
  return error instanceof UsageError || error instanceof TypeError || error instanceof RangeError ||
    error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable ||
    error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.IsADirectory;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
