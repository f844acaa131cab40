import { fromFileUrl } from "@std/path";
import type { Contestant } from "./contestants.ts";
import { descendants, lives } from "./proc.mjs";

/** What a run gave: figures by name, or why there are none. */
export type Answer<Figures> = { figures: Figures } | { error: string };

const RUNNER = fromFileUrl(new URL("./runner.mjs", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));
/** How long processes may outlive the one that started them. */
const ORPHAN_MS = 5_000;

/** Runs a measurement with a pool in a process of its own, and gives it up after so many seconds. */
export async function runChild<Figures>(
  { runtime, file }: Contestant,
  measurement: string,
  params: Record<string, unknown>,
  bound: number,
  packages: URL,
): Promise<Answer<Figures>> {
  // The peers' packages are no part of this one's lock and configuration.
  const config = file.startsWith("ours") ? ["--config", CONFIG] : ["--no-config"];
  const flags = runtime === "node"
    ? ["--expose-gc"]
    : ["run", "-A", "--no-lock", "--no-prompt", "--quiet", "--v8-flags=--expose-gc", ...config];
  const command = [runtime === "node" ? "node" : Deno.execPath(), ...flags];
  return await runOn<Figures>(command, file, measurement, params, bound, { BENCH_PACKAGES: packages.href });
}

/** Runs a measurement with the pool of a file, in a process of its own of the runtime that the command starts. */
export async function runOn<Figures>(
  [command, ...flags]: readonly string[],
  file: string,
  measurement: string,
  params: Record<string, unknown>,
  bound: number,
  env: Record<string, string>,
): Promise<Answer<Figures>> {
  const args = [...flags, RUNNER, file, measurement, JSON.stringify(params)];
  const answer = await output(command!, args, bound, env);
  if ("error" in answer) return answer;
  try {
    return JSON.parse(lastLine(answer.stdout)) as Answer<Figures>;
  } catch {
    return { error: `ended with code ${answer.code}: ${lastLine(answer.stderr)}` };
  }
}

/** Runs a command to its end, or kills it after so many seconds, with the processes that it started. */
export async function output(
  command: string,
  args: string[],
  bound: number,
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string } | { error: string }> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args,
      env: { ...env, NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch {
    return { error: `${command} cannot be started` };
  }
  let orphans: number[] | undefined;
  const timer = setTimeout(() => {
    orphans = descendants(child.pid);
    child.kill("SIGKILL");
  }, bound * 1_000);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (orphans !== undefined) {
    await endAll(orphans);
    return { error: `not done within ${bound} s` };
  }
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Waits a while until the processes have ended, and kills those that have not; tells how many that were. */
export async function endAll(pids: readonly number[]): Promise<number> {
  const since = performance.now();
  let left = pids.filter((pid) => lives(pid, pid));
  while (left.length > 0 && performance.now() - since < ORPHAN_MS) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    left = left.filter((pid) => lives(pid, pid));
  }
  for (const pid of left) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended just now.
    }
  }
  return left.length;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
