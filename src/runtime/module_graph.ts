import { fromFileUrl } from "@std/path";

/** A longer specifier, a module in a `data:` URL, does not fit into a command line. */
const MAX_SPECIFIER = 100_000;
/** A file that was changed so short a time before it was read may have been changed since, in milliseconds. */
const UNSETTLED_MS = 2_000;

interface Graph {
  files: string[];
  /** How the files were when they were read; undefined if they may have changed meanwhile. */
  stamp: string | undefined;
}

const graphs = new Map<string, Promise<Graph>>();
/** How many are remembered. */
const MAX_GRAPHS = 1_000;

/**
 * The local files of the graph of a module: what a child must be able to read to import it at all. Looked up again when
 * one of them has changed.
 *
 * Deno checks what a worker imports against its read permission, also what is imported statically.
 *
 * @param flags Those that decide what names stand for.
 */
export async function localFiles(specifier: string, flags: readonly string[]): Promise<string[]> {
  const known = await graphs.get(specifier);
  if (known?.stamp !== undefined && known.stamp === stampOf(known.files)) return known.files;
  const graph = readGraph(specifier, flags);
  graphs.delete(specifier);
  graphs.set(specifier, graph);
  if (graphs.size > MAX_GRAPHS) graphs.delete(graphs.keys().next().value!);
  return (await graph).files;
}

/** Whether there may be local files in the graph of a module: those of others cannot be imported from elsewhere. */
export function mayHaveFiles(specifier: string): boolean {
  if (!specifier.startsWith("data:")) return specifier.startsWith("file:");
  // It is code, and imports nothing without the word.
  try {
    return /\b(import|from)\b/.test(sourceOf(specifier));
  } catch {
    return true;
  }
}

function sourceOf(dataUrl: string): string {
  const comma = dataUrl.indexOf(",");
  const content = decodeURIComponent(dataUrl.slice(comma + 1));
  return dataUrl.slice(0, comma).endsWith(";base64") ? atob(content) : content;
}

async function readGraph(specifier: string, flags: readonly string[]): Promise<Graph> {
  const began = Date.now();
  let files: string[] = [];
  try {
    if (specifier.length <= MAX_SPECIFIER && mayHaveFiles(specifier)) files = await infoOf(specifier, flags);
  } catch {
    // Importing it tells what is wrong with it.
  }
  return { files, stamp: stampOf(files, began - UNSETTLED_MS) };
}

/** @param settled When the last change must have been at the latest. */
function stampOf(files: readonly string[], settled = Infinity): string | undefined {
  const parts: string[] = [];
  for (const file of files) {
    try {
      const { mtime, size } = Deno.statSync(file);
      if (mtime !== null && mtime.getTime() > settled) return undefined;
      parts.push(`${mtime?.getTime()} ${size}`);
    } catch {
      parts.push("missing");
    }
  }
  return parts.join();
}

async function infoOf(specifier: string, flags: readonly string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--quiet", "--json", ...flags, specifier],
    stdout: "piped",
    stderr: "null",
  }).output();
  const info: { modules?: { specifier: string }[] } = JSON.parse(new TextDecoder().decode(stdout) || "{}");
  // Also what is missing: it must be looked for to be missed, and not be refused for want of permission.
  return (info.modules ?? []).map((each) => each.specifier).filter((each) => each.startsWith("file:")).map(
    fromFileUrl,
  );
}
