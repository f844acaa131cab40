import { isAtLeast } from "./version.ts";

/** From this version on, Deno can interrupt a worker that holds a Web Lock. */
const INTERRUPTS_SINCE = [2, 9, 4];

let told = false;

/**
 * Threads where the runtime can stop them, else processes where they may be started, else threads all the same: then
 * a hung task burns its core until the process ends, and is counted as a zombie.
 */
export function chooseIsolation(wanted: "auto" | "thread" | "process", name: string): "thread" | "process" {
  if (wanted !== "auto") return wanted;
  if (isAtLeast(INTERRUPTS_SINCE)) return "thread";
  const processes = granted("run") && granted("env");
  if (!told) {
    told = true;
    const version = `Deno ${Deno.version.deno} cannot stop threads that are stuck`;
    console.error(
      processes
        ? `${name}: ${version}, so tasks run in processes; Deno 2.9.4 and later run them in threads`
        : `${name}: ${version}, and processes need --allow-run and --allow-env; a task that hangs will burn its core until the process ends`,
    );
  }
  return processes ? "process" : "thread";
}

function granted(name: "run" | "env"): boolean {
  return Deno.permissions.querySync({ name }).state === "granted";
}
