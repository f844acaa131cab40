/**
 * What a pool's workers are given beside their tasks: checked, and as it is at the moment.
 *
 * @module
 */
import { fromFileUrl, resolve } from "@std/path";
import { resolveSpecifier } from "../info_task.ts";
import type { Initializer, MultiProcessOptions } from "../options.ts";
import { isUrl } from "../runtime/kinds.ts";
import { environmentVariable, mayBeDirectory } from "../runtime/surroundings.ts";
import { show } from "../util/show.ts";
import { refuseLossy } from "../wire/lossy.ts";
import type { WorkerSetup } from "../wire/protocol.ts";
import { type Check, integer, isRecord, oneOf, read, specifier, text } from "./checks.ts";

const texts: Check = (value, what) => {
  if (!Array.isArray(value)) {
    throw new TypeError(`${what} must be an array of strings, received ${show(value)}`);
  }
  for (const item of value) {
    text(item, `${what}: each`);
    if (item.includes("\0")) {
      throw new RangeError(`${what}: each must have no NUL in it, received ${show(item)}`);
    }
  }
};

const variable: Check = (name, what) => {
  text(name, `${what}: each name`);
  if (name === "" || /[=\0]/.test(name as string)) {
    throw new RangeError(`${what}: each must be the name of an environment variable, received ${show(name)}`);
  }
};

const environment: Check = (value, what) => {
  if (value === "inherit" || value === "none") return;
  if (Array.isArray(value)) {
    for (const name of value) variable(name, what);
    return;
  }
  if (!isRecord(value)) {
    throw new TypeError(
      `${what} must be "inherit", "none", an array of names or an object of strings, received ${show(value)}`,
    );
  }
  for (const [name, each] of Object.entries(value)) {
    variable(name, what);
    texts([each], `${what}: ${show(name)}`);
  }
};

const directory: Check = (value, what) => {
  specifier(value, what);
  if (isUrl(value) && value.protocol !== "file:") {
    throw new TypeError(`${what} must be a path or a "file:" URL, received ${show(value.href)}`);
  }
};

const flags: Check = (value, what) => {
  texts(value, what);
  for (const flag of value as string[]) {
    if (/^--[^,]+$/.test(flag)) continue;
    throw new RangeError(`${what}: each must begin with "--" and have no comma, received ${show(flag)}`);
  }
};

const INITIALIZER: Record<keyof Initializer, Check> = { module: specifier, data: () => {} };

const initializer: Check = (value, what) => {
  if (typeof value === "string" || isUrl(value)) return;
  if (!isRecord(value)) {
    throw new TypeError(`${what} must be a string, a URL or { module, data }, received ${show(value)}`);
  }
  const { module } = read<Initializer>(value, INITIALIZER, what, what);
  if (module === undefined) throw new TypeError(`${what} must have a "module"`);
};

/** As of `nice`. */
const priority: Check = (value, what) => {
  integer(0)(value, what);
  if (value as number > 19) throw new RangeError(`${what} must be at most 19, received ${value}`);
};
/** Where both want a core, a task gets a quarter of it. */
const DEFAULT_NICE = 5;

/** What can be given to workers. */
type Setup = Pick<
  MultiProcessOptions,
  "initializer" | "env" | "argv" | "cwd" | "v8Flags" | "output" | "nice"
>;

/** See the module's description. */
export const SETUP: Record<keyof Setup, Check> = {
  initializer,
  env: environment,
  argv: texts,
  cwd: directory,
  v8Flags: flags,
  output: oneOf("inherit", "capture", "ignore"),
  nice: priority,
};

/** The options of workers, as they are now. */
export function readSetup(
  { initializer, env, argv, cwd, v8Flags, output = "inherit", nice = DEFAULT_NICE }: Setup,
  what: string,
): Omit<WorkerSetup, "memoryLimit" | "maxMemoryBeforeRecycle"> & {
  cwd: string | undefined;
  v8Flags: readonly string[];
} {
  return {
    initializer: readInitializer(initializer, `${what}: "initializer"`),
    env: readEnv(env),
    argv: argv && [...argv],
    output,
    nice,
    cwd: cwd === undefined ? undefined : readDirectory(cwd, `${what}: "cwd"`),
    v8Flags: [...v8Flags ?? []],
  };
}

function readInitializer(given: Setup["initializer"], what: string): WorkerSetup["initializer"] {
  if (given === undefined) return undefined;
  if (typeof given === "string" || isUrl(given)) {
    return { module: resolveSpecifier(given, what), data: undefined };
  }
  const { module, data } = read<Initializer>(given, INITIALIZER, what, what);
  refuseLossy(data, "the data of the initializer", "thread");
  return { module: resolveSpecifier(module!, `${what}: "module"`), data: structuredClone(data) };
}

/** @throws {Deno.errors.NotCapable} If a variable is named that this process may not read itself. */
function readEnv(env: Setup["env"]): WorkerSetup["env"] {
  if (env === undefined || env === "inherit") return undefined;
  if (env === "none") return {};
  if (!Array.isArray(env)) return { ...env as Record<string, string> };
  const values = (env as string[]).map((name) => [name, environmentVariable(name)] as const);
  return Object.fromEntries(
    values.filter((each): each is readonly [string, string] => each[1] !== undefined),
  );
}

function readDirectory(given: string | URL, what: string): string {
  const path = isUrl(given) ? fromFileUrl(given) : resolve(given);
  // Where it may not be looked at, the start of the first worker tells.
  if (!mayBeDirectory(path)) throw new RangeError(`${what} must be a directory, received ${show(path)}`);
  return path;
}
