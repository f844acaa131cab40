/**
 * A child process, as whoever has started it sees it.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import type { DeathData, WorkerSetup } from "../wire/protocol.ts";
import { childEnv } from "./child_env.ts";
import { type Output, ownOutlets } from "./child_output.ts";

/** See the module's description. */
export type Child = ReturnType<typeof spawn>;

/** How V8 ends a process, whose heap may be full: a trap or an abort, as signal or as the shell's code for it. */
const TRAPS = ["SIGTRAP", "SIGABRT", "SIGILL", 133, 134, 132];

/** What children print that is still to be passed on. */
const printing = new Set<Promise<void>>();

/** Resolves when all that children have printed by now has been passed on. */
export async function printed(): Promise<void> {
  await Promise.all(printing);
}

/**
 * Starts one, with a channel for messages.
 *
 * @param stdin A file that is its standard input.
 * @param exited Resolves when it has ended.
 */
export function spawnChild(
  args: string[],
  { output, env }: WorkerSetup,
  cwd: string | undefined,
  stdin: "ignore" | number,
  exited: Promise<void>,
): Child {
  const outlets = ownOutlets();
  const child = spawn(process.execPath, args, {
    stdio: output === "ignore"
      ? [stdin, "ignore", "ignore", "ipc"]
      : [stdin, outlets[0].stdio, outlets[1].stdio, "ipc"],
    serialization: "advanced",
    // A group of its own, so that what the tasks start can be killed along with it.
    detached: true,
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env: childEnv(env) }),
  });
  for (const [i, { lines }] of outlets.entries()) {
    const output = child.stdio[i + 1] as Output | null;
    if (output === null) continue;
    const passed = lines.relay(output, exited);
    printing.add(passed);
    void passed.finally(() => printing.delete(passed));
  }
  return child;
}

/** Ends it, and what its tasks have started. */
export function killGroup(child: Child): void {
  // Not started at all.
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended already, or there are no process groups here.
    child.kill("SIGKILL");
  }
}

/** How it ended. */
export function deathOf(
  code: number | null,
  signal: string | null,
  memoryLimit: number | undefined,
): DeathData {
  const trapped = TRAPS.includes(signal ?? code ?? 0);
  if (trapped && memoryLimit !== undefined) {
    return {
      reason: "memory",
      exitCode: code,
      message: `ran out of memory (memoryLimit: ${memoryLimit} MiB)`,
    };
  }
  const perhaps = trapped ? " (it may have run out of memory)" : "";
  return signal === null
    ? { reason: "exit", exitCode: code, message: `exited with code ${code}${perhaps}` }
    : { reason: "signal", exitCode: code, message: `was killed by ${signal}${perhaps}` };
}
