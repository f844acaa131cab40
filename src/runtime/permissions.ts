import { fromFileUrl } from "@std/path";

/** The kinds of permissions. */
export const NAMES = ["read", "write", "net", "env", "run", "ffi", "sys", "import"] as const;
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
  if (name === "import") return importFlag(wanted);
  if (wanted === false) return undefined;
  if (wanted === "inherit") return grantedWhole(name) ? `--allow-${name}` : undefined;
  if (wanted === true) {
    if (!grantedWhole(name)) throw refused(name);
    return `--allow-${name}`;
  }
  const items = listed(name, wanted as readonly (string | URL)[]);
  return items.length === 0 ? undefined : allow(name, items);
}

/** Some hosts are open to imports by default, unless others are named: here, at least one that there is not. */
function importFlag(wanted: unknown): string | undefined {
  const whole = grantedWhole("import");
  if (wanted === true && !whole) throw refused("import");
  if (wanted === true || (wanted === "inherit" && whole)) return "--allow-import";
  const items = wanted === "inherit" ? openHosts() : Array.isArray(wanted) ? listed("import", wanted) : [];
  if (wanted === "inherit" && items.length === OPEN_HOSTS.length) return undefined;
  // The package itself may have come from a host.
  const { protocol, hostname, port } = new URL(import.meta.url);
  if (protocol !== "file:") items.push(`${hostname}:${port || (protocol === "http:" ? 80 : 443)}`);
  return allow("import", items.length === 0 ? ["none.invalid:1"] : items);
}

/** Hosts that are open to imports by default, as far as they are no registries. */
const OPEN_HOSTS = [
  "esm.sh",
  "raw.esm.sh",
  "cdn.jsdelivr.net",
  "raw.githubusercontent.com",
  "gist.githubusercontent.com",
]
  .map((host) => `${host}:443`);

/** Those that are open to this process. With all denied, Deno still says of each that it is granted (seen up to 2.9.6). */
function openHosts(): string[] {
  const { state } = Deno.permissions.querySync({ name: "import" });
  return state === "denied" ? [] : OPEN_HOSTS.filter((host) => isGranted("import", host));
}

/** The parts of a kind that are asked for, all of which this process must have. */
function listed(name: Name, wanted: readonly (string | URL)[]): string[] {
  const items = wanted.map((item) =>
    item instanceof URL && item.protocol === "file:" ? fromFileUrl(item) : String(item)
  );
  const whole = grantedWhole(name);
  for (const item of items) {
    if (!whole && !grantedAll(name, item)) throw refused(`${name}: ${JSON.stringify(item)}`);
  }
  return items;
}

function allow(name: Name, items: readonly string[]): string {
  return `--allow-${name}=${items.map((item) => item.replaceAll(",", ",,")).join(",")}`;
}

/** Granted without exceptions. A part of it cannot be listed, so it cannot be handed on unless it is named. */
function grantedWhole(name: Name): boolean {
  const { state, partial } = Deno.permissions.querySync({ name });
  return state === "granted" && !partial;
}

/** Granted without exceptions, also where the item stands for many: Deno looks for those within paths only. */
function grantedAll(name: Name, item: string): boolean {
  if (name === "env" && item.includes("*")) return false;
  if ((name !== "net" && name !== "import") || item.startsWith("unix:")) return isGranted(name, item);
  if (/[*/]/.test(item)) return false;
  if (!isGranted(name, item)) return false;
  if (/^(\[.*\]|[^:]*):\d+$/.test(item)) return true;
  for (let port = 0; port < 65_536; port++) if (!isGranted(name, `${item}:${port}`)) return false;
  return true;
}

function isGranted(name: Name, item: string): boolean {
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
  const { state, partial } = Deno.permissions.querySync(
    { name, ...descriptors[name] } as Deno.PermissionDescriptor,
  );
  return state === "granted" && !partial;
}

function refused(what: string): Error {
  return new Deno.errors.NotCapable(
    `Cannot create a pool: "permissions" asks for ${what}, which this process is not allowed itself, or not as a whole`,
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

/** Whether this process may read it, and it is not a folder: leave for one would be leave for all that is in it. */
export function isReadableFile(path: string): boolean {
  if (!isGranted("read", path)) return false;
  try {
    return !Deno.statSync(path).isDirectory;
  } catch {
    // It is missing.
    return true;
  }
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
