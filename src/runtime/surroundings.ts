/**
 * What this process has around it: variables of the environment, folders.
 *
 * @module
 */
import { builtin, host } from "./host.ts";

/** @throws {Deno.errors.NotCapable} If this process may not read the variable. */
export function environmentVariable(name: string): string | undefined {
  return host === "deno" ? Deno.env.get(name) : builtin("node:process")?.env[name];
}

/** Whether there is a folder; true also where it may not be looked for. */
export function mayBeDirectory(path: string): boolean {
  try {
    if (host === "deno") return Deno.statSync(path).isDirectory;
    return builtin("node:fs")?.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    return host !== "deno" || !(error instanceof Deno.errors.NotFound);
  }
}
