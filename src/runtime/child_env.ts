/**
 * The environment of a child process that is not to have that of the program.
 *
 * @module
 */
import { host } from "./host.ts";
import { environmentVariable } from "./surroundings.ts";

/** Variables that Deno itself looks at when it starts: which modules it has, and how it comes by others. */
const OF_DENO = [
  "DENO_DIR",
  "DENO_AUTH_TOKENS",
  "DENO_CERT",
  "DENO_TLS_CA_STORE",
  "NPM_CONFIG_REGISTRY",
  "HOME",
  "XDG_CACHE_HOME",
  "USERPROFILE",
  "LOCALAPPDATA",
  "SystemRoot",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
];
/** The same for Node: Windows starts no program without it. */
const OF_NODE = ["SystemRoot"];

/** What a child is started with: beside what it is given, what the runtime needs, until `keepOnly` is called there. */
export function childEnv(given: Readonly<Record<string, string>>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of host === "deno" ? OF_DENO : OF_NODE) {
    const value = environmentVariable(name);
    if (value !== undefined) env[name] = value;
  }
  return { ...env, ...given };
}

/** In the child, before any task is there: leaves only what it is given. */
export function keepOnly(given: Readonly<Record<string, string>>): void {
  if (host !== "deno") return;
  try {
    for (const name of Object.keys(Deno.env.toObject())) {
      if (!Object.hasOwn(given, name)) Deno.env.delete(name);
    }
  } catch {
    // It may not see the environment, and so neither may its tasks.
  }
}
