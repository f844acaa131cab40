import { builtin, host, isWindows, need, sibling } from "./host.ts";
import { isAtLeast } from "./version.ts";

/** From this version on, Deno can interrupt a worker that holds a Web Lock. */
const INTERRUPTS_SINCE = [2, 9, 4];

let told = false;

/**
 * Processes where memory is limited, since in a thread only the heap is, and they may be started. Otherwise threads where
 * the runtime can stop them, else processes where they may be started, else threads all the same: then
 * a hung task burns its core until the process ends, and is counted as a zombie.
 */
export function chooseIsolation(
  wanted: "auto" | "thread" | "process" | "cell",
  name: string,
  memoryLimit?: number,
): "thread" | "process" {
  // In a cell there are threads.
  if (wanted === "cell") return "thread";
  if (wanted === "auto" && memoryLimit !== undefined && mayStartProcesses()) return "process";
  if (wanted !== "auto") return wanted;
  if (memoryLimit !== undefined) {
    const flags = host === "deno" ? "--allow-run and --allow-env" : "--allow-child-process";
    console.error(
      `${name}: without ${flags} tasks run in threads, where memoryLimit counts the heap only: buffers do not count`,
    );
  }
  if (host !== "deno" || isAtLeast(INTERRUPTS_SINCE)) return "thread";
  const processes = mayStartProcesses();
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

/**
 * Whether this program can be started once more, for a process: one that `deno compile` made has no Deno, and would start
 * itself, again and again. Likewise with Node, with Bun, and with an app of Electron, whose runtime is the app.
 */
export function hasRuntime(): boolean {
  if (host === "browser") return false;
  if (host === "deno") return !Deno.build.standalone;
  if (host === "bun") {
    return !(globalThis as { Bun?: { isStandaloneExecutable?: boolean } }).Bun?.isStandaloneExecutable;
  }
  return !builtin("node:sea")?.isSea() && builtin("node:process")?.versions.electron === undefined;
}

/**
 * What this program takes for its runtime may be the program itself, in ways that nobody has thought of: then what was to be
 * a worker is another copy of it, whose pool would start more.
 *
 * @throws {Error} If this is such a copy.
 */
export function refuseCopy(): void {
  if (host !== "node" && host !== "bun") return;
  const { argv, execPath } = need("node:process");
  const worker = need("node:url").fileURLToPath(sibling("./process_worker", import.meta.url));
  // A worker is what is run, not an argument.
  if (argv.indexOf(worker) < 2) return;
  throw new Error(
    `Cannot create a pool: this program was started in place of a worker; "process.execPath" (${execPath}) is to be the runtime`,
  );
}

/** Whether child processes may be started. */
export function mayStartProcesses(): boolean {
  if (!hasRuntime()) return false;
  if (host === "deno") return granted("run") && granted("env");
  // Absent without `--permission`.
  return builtin("node:process")?.permission?.has("child") ?? true;
}

/** Whether cells may be started: each has a socket, and a file without a name. */
export function mayStartCells(): boolean {
  return host === "deno" && !isWindows && isAtLeast(INTERRUPTS_SINCE) && mayStartProcesses() &&
    (["read", "write", "net"] as const).every(granted);
}

function granted(name: "run" | "env" | "read" | "write" | "net"): boolean {
  return Deno.permissions.querySync({ name }).state === "granted";
}
