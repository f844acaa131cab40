import { builtin } from "./host.ts";

/**
 * Interrupts the code that runs here, in a thread that was told to end but lost its interrupt, or its exit. Deno makes no
 * second one, but its inspector does (seen with 2.9.6), where the program may use it: with `--allow-sys=inspector`.
 */
export function interruptAgain(): void {
  try {
    // Not taken before: it would be loaded while somebody waits for the thread.
    const session = new (builtin("node:inspector")!.Session)();
    session.connect();
    session.post("Runtime.terminateExecution");
  } catch {
    // It may not, or there is none: the thread may be a zombie.
  }
}
