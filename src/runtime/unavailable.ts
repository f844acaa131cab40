import { host, isWindows } from "./host.ts";
import { mayStartCells, mayStartProcesses } from "./isolation.ts";

/** Options that need more than some runtimes have. */
interface Wanted {
  isolation: "auto" | "thread" | "process" | "cell";
  memoryLimit: number | undefined;
  maxMemoryBeforeRecycle: number | undefined;
  permissions: unknown;
  output: "inherit" | "capture" | "ignore";
  env: unknown;
  argv: unknown;
  cwd: unknown;
  v8Flags: readonly string[];
}

/** @throws {TypeError} If an option asks for what cannot be kept here. */
export function refuseUnavailable(wanted: Wanted): void {
  const reason = host === "browser"
    ? inBrowser(wanted)
    : wanted.isolation === "cell"
    ? withoutCells()
    : host === "bun"
    ? onBun(wanted)
    : undefined;
  if (reason !== undefined) throw new TypeError(`Cannot create a pool: ${reason}`);
}

function inBrowser(wanted: Wanted): string | undefined {
  const { isolation, permissions, output, v8Flags } = wanted;
  if (permissions !== undefined && permissions !== "inherit") {
    return '"permissions" needs Deno: in a browser all workers may do what the page may';
  }
  if (output !== "inherit") return '"output" needs Deno, Node or Bun: a browser\'s console is its own';
  if (v8Flags.length > 0) return '"v8Flags" needs processes, and a browser has none';
  for (const name of ["memoryLimit", "maxMemoryBeforeRecycle", "env", "argv", "cwd"] as const) {
    if (wanted[name] === undefined || wanted[name] === Infinity) continue;
    return `"${name}" needs Deno, Node or Bun: a worker in a browser has ${
      /memory/i.test(name) ? "no memory of its own that could be measured" : "none"
    }`;
  }
  if (isolation === "process") {
    return 'isolation: "process" needs Deno, Node or Bun: a browser has no processes';
  }
  if (isolation === "cell") return withoutCells();
  return undefined;
}

function onBun({ isolation, memoryLimit }: Wanted): string | undefined {
  if (memoryLimit === undefined || isolation === "process" || (isolation === "auto" && mayStartProcesses())) {
    return undefined;
  }
  // Its threads take `resourceLimits`, and grow beyond them (seen up to 1.4.5).
  return '"memoryLimit" needs processes on Bun, which cannot limit the memory of a thread';
}

function withoutCells(): string | undefined {
  if (host !== "deno") return 'isolation: "cell" needs Deno; isolation: "process" is for Node and Bun, too';
  if (isWindows) {
    return 'isolation: "cell" needs sockets that Deno lacks on Windows; use isolation: "process"';
  }
  return mayStartCells()
    ? undefined
    : 'isolation: "cell" needs --allow-run, --allow-env, --allow-read, --allow-write and --allow-net, Deno 2.9.4 or later, and no compiled program';
}
