/**
 * The package on every runtime that it is for: Deno from the source; Node and Bun, of versions from npm, from the tarball,
 * installed into an empty folder; browsers likewise, bundled and not. Ends with code 1 on a failure. Everything is in a folder that is removed.
 *
 * `deno task test:runtimes [runtime…]`, for one `deno`, `node@22`, `node@24`, `node@26`, `bun`, `chromium`, and where Debian's
 * packages of these are installed also `firefox` (firefox-esr), `webkit` and `webkit-shared` (libwebkit2gtk-4.1-0, xvfb)
 */
import { fromFileUrl, join, toFileUrl } from "@std/path";
import { BROWSERS } from "./portable/browsers.ts";

/** Those that are taken where none is named. */
const RUNTIMES = ["deno", "node@22", "node@24", "node@26", "bun", "chromium"];
/** How long the portable check may take, in milliseconds: some minutes on a busy machine. */
const CHECK_MS = 1_200_000;
const INSTALL_MS = 300_000;

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const RUN_IN_BROWSER = fromFileUrl(new URL("./portable/browser.ts", import.meta.url));
const RUN = fromFileUrl(new URL("./portable/run.ts", import.meta.url));

/** A program in TypeScript that uses the package, for `tsc`. */
const TYPED = `
import { InfoTask, MultiProcess, type Outcome } from "@cm/multiprocess";
const mp = new MultiProcess({ size: 1, permissions: "inherit" });
const outcome: Outcome = await mp.push(new InfoTask("file:///task.js", 1_000, 2));
// @ts-expect-error: there is no such option
new MultiProcess({ sise: 1 });
console.log(outcome.status satisfies string);
`;

/** Runs a command to its end; gives what it printed, or prints it, and throws if it failed. */
async function run(
  command: string,
  args: string[],
  cwd: string,
  ms = INSTALL_MS,
  shows = false,
): Promise<string> {
  const out = shows ? "inherit" : "piped";
  const child = new Deno.Command(command, { args, cwd, stdin: "null", stdout: out, stderr: out }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), ms);
  if (shows) {
    const { code } = await child.status;
    clearTimeout(timer);
    if (code !== 0) throw new Error(`it ended with code ${code}`);
    return "";
  }
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with code ${code}\n${text}${errors}`);
  return text;
}

/** The README's first sample, in JavaScript as Node 22 takes it. */
async function sample(): Promise<string> {
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  const block = /^```[tj]s\n(\/\/ main[^]*?)^```/m.exec(readme)?.[1];
  if (block === undefined) throw new Error("The README has no sample");
  const script = block.replace("jsr:", "").replaceAll(": number", "").replace("await using", "const");
  return `${script}\nawait mp.stop();\n`;
}

/** Installs the package beside others into an empty folder, and gives its path. */
async function install(work: string, runtime: string, others: readonly string[]): Promise<string> {
  const folder = join(work, runtime);
  await Deno.mkdir(folder);
  await Deno.writeTextFile(join(folder, "package.json"), '{ "type": "module" }');
  const [tarball] = [...Deno.readDirSync(work)].filter(({ name }) => name.endsWith(".tgz"));
  const packages = [join(work, tarball!.name), ...others];
  await run("npm", ["install", "--silent", "--no-fund", "--no-audit", ...packages], folder);
  return folder;
}

async function checkPackage(work: string, runtime: string): Promise<void> {
  const folder = await install(work, runtime, [runtime, "typescript@5", "@types/node@22"]);
  const bin = runtime.startsWith("bun") ? "bun/bin/bun.exe" : "node/bin/node";
  const binary = join(folder, "node_modules", bin);
  console.log(`\n${runtime}: ${(await run(binary, ["--version"], folder)).trim()}`);
  await Deno.writeTextFile(join(folder, "sample.js"), await sample());
  const output = await run(binary, ["sample.js"], folder);
  for (const line of ["1 squared is 1", "2 squared is 4", "4 squared is 16", "its limit of 1000 ms"]) {
    if (!output.includes(line)) throw new Error(`The README's sample printed\n${output}`);
  }
  console.log("ok    the README's sample");
  await Deno.writeTextFile(join(folder, "typed.ts"), TYPED);
  const tsc = join(folder, "node_modules/typescript/bin/tsc");
  for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]] as const) {
    const flags = ["--noEmit", "--strict", "--target", "es2024", "--lib", "esnext,dom", "--module", module];
    await run(binary, [tsc, ...flags, "--moduleResolution", resolution, "typed.ts"], folder);
    console.log(`ok    tsc, moduleResolution ${resolution}`);
  }
  const url = toFileUrl(join(folder, "node_modules/@cm/multiprocess/mod.js")).href;
  await run(binary, [RUN, url], ROOT, CHECK_MS, true);
}

async function checkBrowser(work: string, name: string): Promise<void> {
  const folder = await install(work, name, ["esbuild@0.28", "vite@8"]);
  await run(Deno.execPath(), ["run", "-A", "--no-check", RUN_IN_BROWSER, name, folder], ROOT, CHECK_MS, true);
}

async function checkDeno(): Promise<void> {
  console.log(`\ndeno: ${Deno.version.deno}`);
  const url = toFileUrl(join(ROOT, "mod.ts")).href;
  await run(Deno.execPath(), ["run", "-A", "--no-check", RUN, url], ROOT, CHECK_MS, true);
}

const wanted = Deno.args.length === 0 ? RUNTIMES : Deno.args;
const work = await Deno.makeTempDir();
let failed = false;
try {
  await run("bash", [join(ROOT, ".ci/npm"), join(work, "package")], ROOT);
  await run("npm", ["pack", "--silent", "--pack-destination", work, join(work, "package")], work);
  for (const runtime of wanted) {
    try {
      if (runtime === "deno") await checkDeno();
      else if (Object.hasOwn(BROWSERS, runtime)) await checkBrowser(work, runtime);
      else await checkPackage(work, runtime);
    } catch (error) {
      failed = true;
      console.log(`FAIL  ${runtime}: ${error instanceof Error ? error.message : error}`);
    }
  }
} finally {
  await Deno.remove(work, { recursive: true });
}
Deno.exit(failed ? 1 : 0);
