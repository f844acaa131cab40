/**
 * Runs the portable check in a browser, in every way in which a page may have come by the package: `deno run -A
 * tests/portable/browser.ts BROWSER FOLDER [quick]`, with the folder of an installation of the package.
 */
import { deadline } from "@std/async";
import { fromFileUrl, join } from "@std/path";
import { type Browser, BROWSERS, INSECURE_HOST } from "./browsers.ts";
import { ISOLATED, servePages } from "./pages.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
/** How long one way may take, in milliseconds. */
const WAY_MS = 400_000;

const [name, folder, ...words] = Deno.args as [keyof typeof BROWSERS, string, ...string[]];

/** The page, which has the cases, and posts what came of them. */
const PAGE = '<!doctype html><link rel="icon" href="data:,"><form method="post" enctype="text/plain">' +
  '<textarea name="lines"></textarea></form><script src="/page.js" type="module"></script>';

async function run(command: string, args: string[], cwd: string): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd, stdin: "null" }).output();
  if (code === 0) return;
  throw new Error(`${command}: ${[stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("")}`);
}

/** One way to the package: the URL of a module that exports it, or has it as `pool`. */
interface Way {
  name: string;
  isolated: boolean;
  quick: boolean;
  module: string;
  /** Its Content-Security-Policy. */
  policy?: string;
  /** Where the page comes from; undefined for a secure place. */
  origin?: string;
}

let headers: Record<string, string> = {};
let answered: (text: string) => void;
let failed = 0;
let passed = 0;

async function check(browser: Browser, origin: string, way: Way): Promise<void> {
  headers = {
    ...(way.isolated && ISOLATED),
    ...(way.policy !== undefined && { "content-security-policy": way.policy }),
  };
  console.log(`\n${browser.title}, ${way.name}${way.isolated ? ", isolated" : ""}`);
  const answer = Promise.withResolvers<string>();
  answered = answer.resolve;
  const words = encodeURIComponent(JSON.stringify([way.module, way.isolated, way.quick]));
  const close = await browser.open(`${way.origin ?? origin}/page.html#${words}`);
  try {
    const posted = await deadline(answer.promise, WAY_MS);
    for (const line of JSON.parse(posted.slice("lines=".length)) as string[]) {
      console.log(line);
      if (line.startsWith("ok")) passed++;
      else if (line.startsWith("FAIL")) failed++;
    }
  } catch (error) {
    failed++;
    console.log(`FAIL  ${error instanceof Error ? error.message : error}`);
  } finally {
    await close();
  }
}

/** Bundles a page that imports the package, by each of the bundlers that are installed beside it. */
async function bundle(work: string): Promise<string[]> {
  const bin = (name: string) => join(folder, "node_modules/.bin", name);
  await Deno.writeTextFile(join(folder, "app.js"), 'export * as pool from "@cm/multiprocess";\n');
  await Deno.writeTextFile(
    join(folder, "vite.config.js"),
    'export default { build: { lib: { entry: "app.js", formats: ["es"], fileName: () => "vite.js" }, emptyOutDir: false } };\n',
  );
  const esbuild = ["app.js", "--bundle", "--format=esm", "--minify", `--outfile=${join(work, "esbuild.js")}`];
  await run(bin("esbuild"), esbuild, folder);
  await run(bin("vite"), ["build", "--logLevel", "error", "--outDir", work], folder);
  return ["esbuild", "vite"];
}

/** Starts Vite's development server, which makes modules of its own of packages, and gives its address. */
async function startVite(): Promise<{ origin: string; stop(): Promise<unknown> }> {
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  const args = ["--host", "127.0.0.1", "--port", String(port), "--strictPort", "--logLevel", "error"];
  const child = new Deno.Command(join(folder, "node_modules/.bin/vite"), { args, cwd: folder, stdin: "null" })
    .spawn();
  const origin = `http://127.0.0.1:${port}`;
  for (const since = Date.now();;) {
    const answer = await fetch(`${origin}/app.js`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) break;
    if (Date.now() > since + WAY_MS) throw new Error("Vite does not answer");
    await new Promise((wake) => setTimeout(wake, 50));
  }
  return {
    origin,
    stop() {
      child.kill();
      return child.status;
    },
  };
}

const work = await Deno.makeTempDir();
const tests = ["bundle", "--quiet", "--platform", "browser", "--output", join(work, "page.js"), "page.ts"];
await run(Deno.execPath(), tests, HERE);
await Deno.writeTextFile(join(work, "page.html"), PAGE);
const installed = ["/", join(folder, "node_modules/@cm/multiprocess")] as const;
const server = servePages([["/", work], ["/", HERE], installed], () => headers, (text) => answered(text));
const other = servePages([installed], () => headers);
const origin = `http://127.0.0.1:${server.addr.port}`;
const browser = await BROWSERS[name](server.addr.port);
let vite: Awaited<ReturnType<typeof startVite>> | undefined;
try {
  const quick = words.includes("quick");
  const ways: Way[] = [
    { name: "as one file", isolated: true, quick, module: "/browser.js" },
    { name: "as one file", isolated: false, quick, module: "/browser.js" },
    {
      name: "as one file, a page that is not secure",
      isolated: false,
      quick: true,
      module: "/browser.js",
      origin: `http://${INSECURE_HOST}:${server.addr.port}`,
    },
    { name: "as many files", isolated: true, quick: true, module: "/mod.js" },
    {
      name: "as many files, under a strict policy",
      isolated: true,
      quick: true,
      module: "/mod.js",
      policy: "default-src 'none'; img-src data:; script-src 'self'; require-trusted-types-for 'script'",
    },
    {
      name: "as one file, under a strict policy",
      isolated: false,
      quick: true,
      module: "/browser.js",
      policy:
        "default-src 'none'; img-src data:; script-src 'self'; worker-src blob:; require-trusted-types-for 'script'",
    },
    {
      name: "from another origin",
      isolated: true,
      quick: true,
      module: `http://localhost:${other.addr.port}/mod.js`,
    },
  ];
  for (const bundler of quick ? [] : await bundle(work)) {
    ways.push({ name: `bundled by ${bundler}`, isolated: true, quick: true, module: `/${bundler}.js` });
  }
  if (!quick) {
    vite = await startVite();
    ways.push({
      name: "by Vite's development server",
      isolated: false,
      quick: true,
      module: `${vite.origin}/app.js`,
    });
  }
  for (const way of ways) await check(browser, origin, way);
} finally {
  await browser.close();
  await vite?.stop();
  await Promise.all([server.shutdown(), other.shutdown()]);
  await Deno.remove(work, { recursive: true });
}
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);
