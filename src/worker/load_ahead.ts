import { importable } from "../runtime/host.ts";
import type { ModuleData } from "../wire/protocol.ts";
import { within } from "../util/within.ts";

/** A module that takes longer is not waited for, in milliseconds: the worker may be needed for the tasks of others. */
const MAX_MS = 1_000;

/**
 * Imports task modules before the first task comes, so that a worker that takes the place of another one does not begin
 * with that. They have loaded well elsewhere: where one does not, its first task will tell.
 *
 * @param changed Whether the globals have changed since it was asked last.
 * @returns The module that has changed the globals, after which no other is loaded.
 */
export async function loadAhead(
  modules: readonly ModuleData[],
  changed: () => boolean,
): Promise<ModuleData | undefined> {
  for (const module of modules) {
    await within(load(module.url), MAX_MS);
    if (changed()) return module;
  }
  return undefined;
}

async function load(url: string): Promise<void> {
  try {
    await import(importable(url));
  } catch {
    // See above.
  }
}
