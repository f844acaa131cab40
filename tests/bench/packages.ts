import { tmpdir } from "node:os";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import { output } from "./child.ts";
import { RUNTIMES, VERSIONS } from "./versions.mjs";

const INSTALL_SECONDS = 180;

/**
 * Fetches the peers, so that no run has to: for Node into a folder under the system's temporary one, where they stay
 * for the next time.
 *
 * @returns The folder, for `packages.mjs`.
 */
export async function fetchPackages(): Promise<URL> {
  const names = Object.entries(VERSIONS).map(([name, version]) => `${name}@${version}`);
  const folder = join(tmpdir(), `multiprocess-bench-${names.join("-").replaceAll(/[^\w.-]/g, "_")}`);
  await Deno.mkdir(folder, { recursive: true });
  const done = join(folder, "installed");
  if (!await exists(done)) {
    await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify({ private: true }));
    const flags = ["--save-exact", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder];
    const answer = await output("npm", ["install", ...flags, ...names], INSTALL_SECONDS);
    for (const name of Object.keys(VERSIONS)) {
      const lines = [
        `import * as all from "${name}";`,
        `export * from "${name}";`,
        "export default all.default;",
      ];
      await Deno.writeTextFile(join(folder, `${name}.mjs`), lines.join("\n"));
    }
    // Without it, the rows of Node say what is missing.
    if (!("error" in answer) && answer.code === 0) await Deno.writeTextFile(done, "");
  }
  const deno = ["cache", "--no-lock", "--no-config", "--quiet", ...names.map((name) => `npm:${name}`)];
  await output(Deno.execPath(), deno, INSTALL_SECONDS);
  return toFileUrl(`${folder}/`);
}

/**
 * Makes one file of each of the packages, for pages.
 *
 * @returns Their folder.
 */
export async function bundlePackages(names: readonly string[]): Promise<string> {
  const folder = fromFileUrl(await fetchPackages());
  for (const name of names) {
    const file = join(folder, "web", `${name}.mjs`);
    if (await exists(file)) continue;
    const args = ["bundle", "--quiet", "--no-config", "--node-modules-dir=manual", "--platform", "browser"];
    const answer = await output(
      Deno.execPath(),
      [...args, "--output", file, join(folder, `${name}.mjs`)],
      INSTALL_SECONDS,
    );
    if ("error" in answer || answer.code !== 0) throw new Error(`${name} could not be bundled`);
  }
  return join(folder, "web");
}

/** Fetches the other runtimes likewise, and gives their paths. */
export async function fetchRuntimes(): Promise<Record<keyof typeof RUNTIMES, string>> {
  const names = Object.entries(RUNTIMES).map(([name, version]) => `${name}@${version}`);
  const folder = join(tmpdir(), `multiprocess-bench-${names.join("-")}`);
  await Deno.mkdir(folder, { recursive: true });
  const paths = {
    node: join(folder, "node_modules/node/bin/node"),
    bun: join(folder, "node_modules/bun/bin/bun.exe"),
  };
  if (await exists(paths.node) && await exists(paths.bun)) return paths;
  await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify({ private: true }));
  const flags = ["--save-exact", "--no-audit", "--no-fund", "--prefix", folder];
  const answer = await output("npm", ["install", ...flags, ...names], INSTALL_SECONDS);
  if ("error" in answer || answer.code !== 0) throw new Error("Node and Bun could not be installed");
  return paths;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
