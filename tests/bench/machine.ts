import os from "node:os";
import { output } from "./child.ts";
import { VERSIONS } from "./versions.mjs";

/** Where and with what the figures were taken. */
export interface Machine {
  readonly date: string;
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly deno: string;
  readonly node: string;
  readonly packages: Record<string, string>;
}

/** Looks it up. */
export async function describeMachine(): Promise<Machine> {
  const node = await output("node", ["--version"], 10);
  return {
    date: new Date().toISOString().slice(0, 10),
    system: `${Deno.build.os} ${os.release()} ${Deno.build.arch}`,
    processor: os.cpus()[0]?.model ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    deno: Deno.version.deno,
    node: nodeVersion(node),
    packages: VERSIONS,
  };
}

/** As one line. */
export function machineLine({ date, system, processor, cores, memoryGiB, deno, node }: Machine): string {
  return `${date}, ${system}, ${processor}, ${cores} cores, ${memoryGiB} GiB, Deno ${deno}, Node ${node}`;
}

/** Deno answers, too, where the name of the command is Node's and there is none. */
function nodeVersion(answer: Awaited<ReturnType<typeof output>>): string {
  return "error" in answer ? "none" : /^v([\d.]+)\s*$/.exec(answer.stdout)?.[1] ?? "none";
}
