import { VERSIONS } from "./versions.mjs";

/**
 * Loads a package by the means of the runtime. For Node and Bun, which look for packages only beside the importing
 * file, the bench has installed them elsewhere, with a module for each that exports all of it; pages are served those.
 *
 * @param {keyof typeof VERSIONS} name
 */
export function load(name) {
  if ("Deno" in globalThis) return import(`npm:${name}@${VERSIONS[name]}`);
  return import(
    new URL(`${name}.mjs`, globalThis.process?.env.BENCH_PACKAGES ?? `${location.origin}/packages/`).href
  );
}
