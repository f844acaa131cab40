/**
 * The package for npm keeps a handful of the promises on Node, in threads and in processes, and in Chromium: the whole portable check is
 * `deno task test:runtimes`. Where there is no Node that it is for, one comes from npm.
 */
import { assert, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join, toFileUrl } from "@std/path";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const RUN = join(ROOT, "tests/portable/run.ts");
/** From this version on, Node runs the check, which is TypeScript, as it is. */
const STRIPS_TYPES = [22, 18];
const LIMIT_MS = 240_000;

async function run(command: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const child = new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "piped", signal });
  const { code, stdout, stderr } = await child.output();
  return { code, output: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") };
}

/** Where Debian has it; the tests of pages are skipped where it is missing. */
const CHROMIUM = "/usr/bin/chromium";

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The version of the Node on the path; undefined if there is none. */
async function nodeVersion(): Promise<number[] | undefined> {
  try {
    const { output } = await run("node", "--version");
    return /v(\d+)\.(\d+)/.exec(output)?.slice(1).map(Number);
  } catch {
    return undefined;
  }
}

const [major = 0, minor = 0] = await nodeVersion() ?? [];
const suffices = major > STRIPS_TYPES[0]! || (major === STRIPS_TYPES[0] && minor >= STRIPS_TYPES[1]!);

Deno.test("the package for npm keeps its promises on Node and in pages", async (t) => {
  const work = await Deno.makeTempDir();
  try {
    const [built] = await Promise.all([
      run("bash", join(ROOT, ".ci/npm"), join(work, "node_modules/@cm/multiprocess")),
      suffices ||
      run("npm", "install", "--silent", "--prefer-offline", "--prefix", join(work, "node"), "node@24"),
    ]);
    assertMatch(built.output, /^$/);
    const url = toFileUrl(join(work, "node_modules/@cm/multiprocess/mod.js")).href;
    const node = suffices ? "node" : join(work, "node/node_modules/node/bin/node");
    const checks = ["thread", "process"].map((isolation) => run(node, RUN, url, isolation, "quick"));
    for (const { output } of await Promise.all(checks)) assertMatch(output, /^[1-9]\d* passed, 0 failed$/m);
    await t.step({
      name: "in pages of Chromium, with and without shared memory, under strict policies",
      ignore: !exists(CHROMIUM),
      async fn() {
        const browser = join(ROOT, "tests/portable/browser.ts");
        const { output } = await run(
          Deno.execPath(),
          "run",
          "-A",
          "--no-check",
          browser,
          "chromium",
          work,
          "quick",
        );
        assertMatch(output, /^[1-9]\d* passed, 0 failed$/m);
      },
    });
    await t.step("a bundle without the files that it starts says what to do about it", async () => {
      const bundled = join(work, "bundled.mjs");
      await Deno.copyFile(join(work, "node_modules/@cm/multiprocess/mod.js"), bundled);
      const script = (url: string) =>
        `import(${url}).then(({ MultiProcess }) => new MultiProcess(1).start()).catch((e) => console.log(e.message))`;
      const { output } = await run(node, "--eval", script(JSON.stringify(toFileUrl(bundled).href)));
      assertMatch(output, /manager_worker\.js is not there: a bundler must leave @cm\/multiprocess out/);
      // As CommonJS it does not even know where it is.
      const text = await Deno.readTextFile(bundled);
      await Deno.writeTextFile(bundled, text.replaceAll("import.meta.url", "undefined"));
      const { output: lost } = await run(node, "--eval", script(JSON.stringify(toFileUrl(bundled).href)));
      assertMatch(lost, /does not know where its files are: a bundler must leave it out/);
    });
    await t.step("a program that is its own runtime starts no copies of itself", async () => {
      const [own, program, runtime, log] = ["own.mjs", "copy.mjs", "runtime.sh", "copies"].map((name) =>
        join(work, name)
      ) as [string, string, string, string];
      // In all threads, as it is where a program was compiled.
      await Deno.writeTextFile(own, `process.execPath = ${JSON.stringify(runtime)};`);
      const script = `import { appendFileSync } from "node:fs";
        appendFileSync(${JSON.stringify(log)}, ".");
        const { MultiProcess } = await import("${url}");
        await new MultiProcess({ size: 1, isolation: "process" }).start();`;
      await Deno.writeTextFile(program, script);
      const command = `"${node}" --import "${toFileUrl(own).href}" "${program}"`;
      await Deno.writeTextFile(runtime, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
      const { output } = await run(runtime);
      assertStringIncludes(output, "this program was started in place of a worker");
      // Itself, and a worker and a spare three times.
      assert((await Deno.readTextFile(log)).length <= 7, output);
    });
    await t.step("a test environment that lacks globals of Node is named", async () => {
      const script = `delete globalThis.MessageChannel; await import("${url}")`;
      const { output } = await run(node, "--input-type=module", "--eval", script);
      assertStringIncludes(output, 'here is no MessageChannel: run this test in the environment "node"');
    });
    await t.step({
      name: "an older Node says which it needs",
      ignore: major === 0 || suffices,
      async fn() {
        const { output } = await run("node", "--input-type=module", "--eval", `await import("${url}")`);
        assertStringIncludes(output, "@cm/multiprocess needs Node 22.3 or later");
      },
    });
  } finally {
    await Deno.remove(work, { recursive: true });
  }
});
