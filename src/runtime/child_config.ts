import { dirname, fromFileUrl, join } from "@std/path";

/**
 * The configuration file that Deno found for the main module, so that tasks in child processes resolve the same bare
 * names. Undefined where there is none, or where it may not be looked for: then a child takes that of the working
 * directory. One given with `--config` cannot be known.
 */
export function findConfig(): string | undefined {
  try {
    if (!Deno.mainModule.startsWith("file:")) return undefined;
    let directory = dirname(fromFileUrl(Deno.mainModule));
    for (;;) {
      for (const name of ["deno.json", "deno.jsonc"]) {
        const path = join(directory, name);
        if (exists(path)) return path;
      }
      const parent = dirname(directory);
      if (parent === directory) return undefined;
      directory = parent;
    }
  } catch {
    return undefined;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
