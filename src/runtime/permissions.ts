import { fromFileUrl } from "@std/path";

const NAMES = ["read", "write", "net", "env", "run", "ffi", "sys", "import"] as const;
type Name = typeof NAMES[number];

/** What a child process may do, as command line flags. */
export interface ChildPermissions {
  flags: string[];
  /** Whether it may read everything; else the files of the task modules are added when it is started. */
  readsAll: boolean;
}

/**
 * The flags for a permission set, which can never be more than this process has.
 *
 * @throws {Deno.errors.NotCapable} If the set asks for what this process may not do itself.
 */
export function childPermissions(set: Deno.PermissionOptions | undefined): ChildPermissions {
  const flags: string[] = [];
  for (const name of NAMES) {
    const wanted = set === undefined || set === "inherit"
      ? "inherit"
      : set === "none"
      ? false
      : set[name] ?? false;
    const flag = flagOf(name, wanted);
    if (flag !== undefined) flags.push(flag);
  }
  return { flags, readsAll: flags.includes("--allow-read") };
}

function flagOf(name: Name, wanted: unknown): string | undefined {
  if (wanted === false) return undefined;
  if (wanted === "inherit") return grantedWhole(name) ? `--allow-${name}` : undefined;
  if (wanted === true) {
    if (!grantedWhole(name)) throw refused(name);
    return `--allow-${name}`;
  }
  const items = (wanted as readonly (string | URL)[]).map(String);
  for (const item of items) if (!granted(name, item)) throw refused(`${name}: ${JSON.stringify(item)}`);
  return items.length === 0
    ? undefined
    : `--allow-${name}=${items.map((item) => item.replaceAll(",", ",,")).join(",")}`;
}

/** Granted without exceptions. A part of it cannot be listed, so it cannot be handed on unless it is named. */
function grantedWhole(name: Name): boolean {
  const { state, partial } = Deno.permissions.querySync({ name } as Deno.PermissionDescriptor);
  return state === "granted" && !partial;
}

function granted(name: Name, item: string): boolean {
  const descriptors: Record<Name, object> = {
    read: { path: item },
    write: { path: item },
    net: { host: item },
    env: { variable: item },
    run: { command: item },
    ffi: { path: item },
    sys: { kind: item },
    import: { host: item },
  };
  const { state } = Deno.permissions.querySync({ name, ...descriptors[name] } as Deno.PermissionDescriptor);
  return state === "granted";
}

function refused(what: string): Error {
  return new Deno.errors.NotCapable(
    `Cannot create a pool: "permissions" asks for ${what}, which this process is not allowed itself`,
  );
}

const graphs = new Map<string, Promise<string[]>>();

/**
 * The local files of the graph of a module: what a child must be able to read to import it at all.
 *
 * Deno checks what a worker imports against its read permission, also what is imported statically.
 */
export function localFiles(specifier: string): Promise<string[]> {
  let files = graphs.get(specifier);
  if (files === undefined) graphs.set(specifier, files = readGraph(specifier));
  return files;
}

async function readGraph(specifier: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--quiet", "--json", specifier],
    stdout: "piped",
    stderr: "null",
  }).output();
  const info: { modules?: { specifier: string }[] } = JSON.parse(
    new TextDecoder().decode(stdout) || "{}",
  );
  // Also what is missing: it must be looked for to be missed, and not be refused for want of permission.
  return (info.modules ?? []).map((each) => each.specifier).filter((each) => each.startsWith("file:")).map(
    fromFileUrl,
  );
}
