/**
 * The task that runs a command: in a process of the pool, so that at its limit the command and all that it has started
 * are killed with it.
 *
 * @module
 */

/** A command: a program and its arguments, or a line for the shell. */
export type Command = readonly string[] | string;

/** What a command that ended has left. */
export interface Ended {
  readonly exitCode: number;
  readonly signal: string | null;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/** A command that did not end well; its own properties arrive with it. */
class CommandError extends Error implements Ended {
  override name = "CommandError";
  readonly exitCode: number;
  readonly signal: string | null;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;

  constructor({ exitCode, signal, stdout, stderr }: Ended) {
    super(signal === null ? `exited with code ${exitCode}` : `was killed by ${signal}`);
    this.exitCode = exitCode;
    this.signal = signal;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/** Runs it to its end. */
export async function runnable(command: Command): Promise<Ended> {
  const [program, ...args] = typeof command === "string" ? ["/bin/sh", "-c", command] : command;
  const { success, code, signal, stdout, stderr } = await new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const ended: Ended = { exitCode: code, signal, stdout, stderr };
  if (!success) throw new CommandError(ended);
  return ended;
}
