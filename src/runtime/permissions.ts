import { fromFileUrl } from "@std/path";
import { host } from "./host.ts";
import { isUrl } from "./kinds.ts";
import { type PermissionName as Name, PERMISSIONS, type Permissions } from "../permissions.ts";

/** What a child process may do, as command line flags. */
export interface ChildPermissions {
  flags: string[];
  /** Whether it may read everything; else the files of the task modules are added when it is started. */
  readsAll: boolean;
  /** Whether it names files or folders that may be read. */
  readsSome: boolean;
}

/**
 * The flags for a permission set, which can never be more than this process has.
 *
 * @throws {Deno.errors.NotCapable} If the set asks for what this process may not do itself.
 * @throws {TypeError} Where there are no such permissions.
 */
export function childPermissions(set: Permissions | undefined): ChildPermissions {
  if (host !== "deno") return inheritedPermissions(set);
  const flags: string[] = [];
  for (const name of PERMISSIONS) {
    const wanted = set === undefined || set === "inherit"
      ? "inherit"
      : set === "none"
      ? false
      : set[name] ?? false;
    const flag = flagOf(name, wanted);
    if (flag !== undefined) flags.push(flag);
  }
  return {
    flags,
    readsAll: flags.includes("--allow-read"),
    readsSome: flags.some((flag) => flag.startsWith("--allow-read=")),
  };
}

/** Node hands on what this process may do by itself, and cannot express all that a set denies; Bun denies nothing. */
function inheritedPermissions(set: Permissions | undefined): ChildPermissions {
  if (set === undefined || set === "inherit") return { flags: [], readsAll: true, readsSome: false };
  if (host === "bun") {
    throw new TypeError('Cannot create a pool: "permissions" needs Deno: Bun cannot deny a process anything');
  }
  // `new Worker(file, { execArgv: [] })` is under no permissions (seen up to Node 26.10), and tasks run in threads, which
  // need `--allow-worker`.
  throw new TypeError(
    'Cannot create a pool: "permissions" needs Deno: on Node a task can start a thread that may do everything, and the ' +
      "environment cannot be denied at all; to keep well-meaning tasks from files, start the program itself with " +
      '"node --permission": they inherit what that denies',
  );
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
    isUrl(item) && item.protocol === "file:" ? fromFileUrl(item) : String(item)
  );
  const whole = grantedWhole(name);
  for (const item of items) {
    checkItem(name, item);
    if (!whole && !grantedAll(name, item)) throw refused(`${name}: ${JSON.stringify(item)}`);
  }
  return items;
}

function allow(name: Name, items: readonly string[]): string {
  return `--allow-${name}=${items.join(",")}`;
}

/** What a command line cannot name would keep every worker from starting, or allow something else. */
function checkItem(name: Name, item: string): void {
  const reason = unnameable(item) ?? refusal(name, item);
  if (reason === undefined) return;
  throw new RangeError(
    `Cannot create a pool: "permissions" cannot name ${name}: ${JSON.stringify(item)}: ${reason}`,
  );
}

/** Why a command line of Deno cannot name it as a part of a list. */
export function unnameable(item: string): string | undefined {
  if (item === "") return "it is empty";
  if (item.includes(",")) return "it has a comma, which Deno takes for the end of an item (seen up to 2.9.6)";
  if (item.includes("\0")) return "it has a null character";
  return undefined;
}

/** Hosts as Deno takes them: names and all below one, addresses and blocks of them, with a port or without. */
const HOSTS = [
  /^(\*\.)?[\w-]+(\.[\w-]+)*\.?(:\d{1,5})?$/,
  /^\[[\da-fA-F:.]+\](:\d{1,5})?$/,
  /^[\da-fA-F:.]+(\/\d{1,3})?$/,
  /^(unix|vsock):/,
];

/** Why Deno would refuse it on its command line; asked for it, it says so only of some (seen up to 2.9.6). */
function refusal(name: Name, item: string): string | undefined {
  switch (name) {
    case "net":
    case "import":
      return HOSTS.some((host) => host.test(item)) ? undefined : "it is no host";
    case "env":
      return item.includes("=") ? "the name of a variable has no equals sign" : undefined;
    case "sys":
      return /^[a-zA-Z]+$/.test(item) ? undefined : "there is no such kind of information";
    default:
      return undefined;
  }
}

/** Granted without exceptions. A part of it cannot be listed, so it cannot be handed on unless it is named. */
export function grantedWhole(name: Name): boolean {
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

/** Granted without exceptions. */
export function isGranted(name: Name, item: string): boolean {
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
