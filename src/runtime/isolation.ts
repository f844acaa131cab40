/** From this version on, Deno can interrupt a worker that holds a Web Lock. */
const INTERRUPTS_SINCE = [2, 9, 4];

let told = false;

/**
 * Threads where the runtime can stop them, else processes where they may be started, else threads all the same: then
 * a hung task burns its core until the process ends, and is counted as a zombie.
 */
export function chooseIsolation(wanted: "auto" | "thread" | "process", name: string): "thread" | "process" {
  if (wanted !== "auto") return wanted;
  if (canInterrupt()) return "thread";
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

/** Whether this Deno can stop a thread that is stuck. */
export function canInterrupt(version: string = Deno.version.deno): boolean {
  const numbers = version.split(/[.+-]/).map(Number);
  for (const [i, least] of INTERRUPTS_SINCE.entries()) {
    const number = numbers[i] ?? 0;
    if (number !== least) return number > least;
  }
  return true;
}
