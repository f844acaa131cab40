import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";

const ROOT = new URL("..", import.meta.url);

const CORE = `
import { InfoTask, MultiProcess } from "@cm/multiprocess";
const mp = new MultiProcess(2);
mp.start();
const task = new InfoTask<typeof import("./task.ts")>(import.meta.resolve("./task.ts"), 5_000, 20, 22);
console.log(await mp.run(task));
console.log((await mp.push(new InfoTask(import.meta.resolve("./task.ts#hang"), 100))).status);
await mp.stop();
`;
const TRACE = `
import { InfoTask, MultiProcess } from "@cm/multiprocess";
import { timeline, writeTrace } from "@cm/multiprocess/trace";
const mp = new MultiProcess(1);
const written = writeTrace(mp.events(), "trace.json");
const page = timeline(mp.events());
mp.start();
await mp.run(new InfoTask(import.meta.resolve("./task.ts"), 5_000, 20, 22));
await mp.stop();
await written;
const events = JSON.parse(await Deno.readTextFile("trace.json"));
console.log(events.length > 0, (await page).includes("<html"));
`;
const OTEL = `
import { InfoTask, MultiProcess } from "@cm/multiprocess";
import { instrument } from "@cm/multiprocess/otel";
const mp = instrument(new MultiProcess(1));
mp.start();
console.log(await mp.run(new InfoTask(import.meta.resolve("./task.ts"), 5_000, 20, 22)));
await mp.stop();
`;
const BULLMQ = `
import { Fleet, serve } from "@cm/multiprocess/bullmq";
console.log(typeof Fleet, typeof serve);
`;
const TASK = `
export const runnable = (a: number, b: number): number => a + b;
export const hang = () => { while (true); };
export const double = (line: string) => 2 * Number(line);
export function callback(sum: number) { console.log("callback", sum); }
`;

/** What is run of each entry of the package, and what it prints. */
const ENTRIES: Record<string, { program?: string; args?: string[]; prints: string }> = {
  ".": { program: CORE, prints: "callback 42\n42\ntimed-out\n" },
  "./trace": { program: TRACE, prints: "callback 42\ntrue true\n" },
  "./otel": { program: OTEL, prints: "callback 42\n42\n" },
  "./bullmq": { program: BULLMQ, prints: "function function\n" },
  "./cli": { args: ["--plain", "-k", "./task.ts#double", ":::", "1", "2"], prints: "2\n4\n" },
  "./serve": { args: ["--help"], prints: "--queue" },
};

/** Serves the package as a registry would: its modules, nothing else. */
function serve(asked: () => void): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    asked();
    const { pathname } = new URL(url);
    if (!/^\/(mod\.ts|src\/.*\.ts|\.offline\/std\/.*\.ts)$/.test(pathname)) {
      return new Response(null, { status: 404 });
    }
    const text = await Deno.readTextFile(new URL(`.${pathname}`, ROOT));
    return new Response(text, { headers: { "content-type": "application/typescript" } });
  });
}

interface Manifest {
  exports: Record<string, string>;
  imports: Record<string, string>;
}

/** What a package exports and imports. Comments are lines of their own. */
async function manifest(folder: URL): Promise<Manifest> {
  const text = await Deno.readTextFile(new URL("deno.json", folder));
  return JSON.parse(text.replace(/^\s*\/\/.*$/gm, ""));
}

/** The names of the package and of what it imports, as a registry would resolve them. */
async function importsFrom(origin: string, { exports, imports }: Manifest): Promise<Record<string, string>> {
  const named = (name: string, exports: Record<string, string>, base: string) =>
    Object.entries(exports).map(([entry, file]) => [name + entry.slice(1), new URL(file, base).href]);
  const all = named("@cm/multiprocess", exports, `${origin}/`);
  for (const [name, target] of Object.entries(imports)) {
    if (!target.startsWith("jsr:")) {
      all.push([name, target]);
      continue;
    }
    const folder = `.offline/std/${name.slice("@std/".length)}/`;
    all.push(...named(name, (await manifest(new URL(folder, ROOT))).exports, `${origin}/${folder}`));
  }
  return Object.fromEntries(all);
}

Deno.test("every entry of the package works from a URL, with tasks on the user's disk, also from the cache alone", async (test) => {
  const directory = await Deno.makeTempDir();
  let requests = 0;
  const server = serve(() => requests++);
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const about = await manifest(ROOT);
  assertEquals(Object.keys(about.exports).sort(), Object.keys(ENTRIES).sort());

  const deno = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: directory,
      env: { DENO_DIR: join(directory, "cache"), NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  };
  try {
    await Deno.writeTextFile(join(directory, "task.ts"), TASK);
    const imports = await importsFrom(origin, about);
    await Deno.writeTextFile(join(directory, "deno.json"), JSON.stringify({ imports }));
    // --allow-import is what an origin needs that is not among Deno's defaults, which jsr.io is.
    const remote = `--allow-import=${new URL(origin).host}`;

    for (const [entry, { program, args = [], prints }] of Object.entries(ENTRIES)) {
      await test.step(entry, async () => {
        await Deno.remove(join(directory, "cache"), { recursive: true }).catch(() => {});
        if (program !== undefined) await Deno.writeTextFile(join(directory, "main.ts"), program);
        const main = program === undefined ? imports[`@cm/multiprocess${entry.slice(1)}`]! : "main.ts";
        const granted = entry === "."
          ? ["--allow-read=."]
          : ["read", "write", "env", "sys", "net", "run"].map((each) => `--allow-${each}`);
        const run = (...options: string[]) =>
          deno("run", "--config=deno.json", "--no-prompt", ...granted, remote, ...options, main, ...args);

        const cold = await run();
        assertEquals(cold.code, 0, cold.stderr);
        assertStringIncludes(cold.stdout, prints);
        const before = requests;
        const cached = await run("--cached-only");
        assertEquals([cached.code, cached.stdout], [0, cold.stdout], cached.stderr);
        assertEquals(requests, before);

        if (entry !== ".") return;
        // Fetched beforehand, as for an image of a container: the files of the workers are among it.
        await Deno.remove(join(directory, "cache"), { recursive: true });
        const cache = await deno("cache", remote, main);
        assertEquals(cache.code, 0, cache.stderr);
        assertStringIncludes(cache.stderr, "thread_worker.ts");
        const offline = await run("--cached-only");
        assertEquals([offline.code, offline.stdout], [0, cold.stdout], offline.stderr);
      });
    }
  } finally {
    await server.shutdown();
    await Deno.remove(directory, { recursive: true });
  }
});
