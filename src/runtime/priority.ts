/**
 * How much of the cores tasks get where there are more threads than cores: less than the program, the dispatcher and
 * workers that start. Linux gives each thread a priority of its own; elsewhere it is one for the whole process.
 *
 * @module
 */
import { builtin, host, isLinux } from "./host.ts";

const query = host === "deno" ? Deno.permissions.querySync.bind(Deno.permissions) : undefined;

/** The lowest there is. */
const LOWEST = 19;

/**
 * Lowers the priority of this thread, and of what it starts, for good. It stays as it is where the system or the runtime
 * refuses that: kernel calls may be filtered, in a container say.
 *
 * @param by As of `nice(1)`.
 */
export function lowerPriority(by: number): void {
  if (by === 0 || !isLinux) return;
  try {
    if (!may("getPriority") || !may("setPriority")) return;
    const { getPriority, setPriority } = builtin("node:os")!;
    // 0 is whoever calls: on Linux a thread.
    setPriority(0, Math.min(LOWEST, getPriority(0) + by));
  } catch {
    // Nothing but the priority depends on it.
  }
}

/** Deno would ask at the terminal, and keep the thread until there is an answer. */
function may(kind: "getPriority" | "setPriority"): boolean {
  return query === undefined || query({ name: "sys", kind }).state === "granted";
}
