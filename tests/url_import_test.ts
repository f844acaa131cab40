import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const ROOT = new URL("../", import.meta.url);

const CONSUMER = `
import { InfoTask, MultiProcess } from "@cm/multiprocess";
const mp = new MultiProcess(2);
mp.start();
const task = new InfoTask<typeof import("./task.ts")>(import.meta.resolve("./task.ts"), 5_000, 20, 22);
console.log(await mp.run(task));
console.log((await mp.push(new InfoTask(import.meta.resolve("./task.ts#hang"), 100))).status);
await mp.stop();
`;
const TASK = `
export const runnable = (a: number, b: number): number => a + b;
export const hang = () => { while (true); };
export function callback(sum: number) { console.log("callback", sum); }
`;

/** Serves the package as a registry would: its modules, nothing else. */
function serve(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    if (!/^\/(mod\.ts|src\/.*\.ts|\.offline\/std\/.*\.ts)$/.test(pathname)) {
      return new Response(null, { status: 404 });
    }
    const text = await Deno.readTextFile(new URL(`.${pathname}`, ROOT));
    return new Response(text, { headers: { "content-type": "application/typescript" } });
  });
}

Deno.test("the package works from a URL, with tasks on the user's disk, also from the cache alone", async () => {
  const directory = await Deno.makeTempDir();
  const server = serve();
  const { port } = server.addr;
  const origin = `http://127.0.0.1:${port}`;
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
    await Deno.writeTextFile(join(directory, "main.ts"), CONSUMER);
    await Deno.writeTextFile(join(directory, "task.ts"), TASK);
    await Deno.writeTextFile(
      join(directory, "deno.json"),
      JSON.stringify({
        imports: {
          "@cm/multiprocess": `${origin}/mod.ts`,
          "@std/data-structures": `${origin}/.offline/std/data-structures/mod.ts`,
          "@std/async": `${origin}/.offline/std/async/mod.ts`,
          "@std/path": `${origin}/.offline/std/path/mod.ts`,
        },
      }),
    );
    // --allow-import is what an origin needs that is not among Deno's defaults, which jsr.io is.
    const run = ["run", "--no-prompt", "--allow-read=.", `--allow-import=127.0.0.1:${port}`];
    const expected = "callback 42\n42\ntimed-out\n";
    const first = await deno(...run, "main.ts");
    assertEquals([first.code, first.stdout], [0, expected], first.stderr);

    await Deno.remove(join(directory, "cache"), { recursive: true });
    const cache = await deno("cache", `--allow-import=127.0.0.1:${port}`, "main.ts");
    assertEquals(cache.code, 0, cache.stderr);
    assertStringIncludes(cache.stderr, "thread_worker.ts");
    await server.shutdown();
    const second = await deno(...run, "--cached-only", "main.ts");
    assertEquals([second.code, second.stdout], [0, expected], second.stderr);
  } finally {
    await server.shutdown();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the worker files are in the module graph", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", fromFileUrl(new URL("mod.ts", ROOT))],
    cwd: fromFileUrl(ROOT),
    stdout: "piped",
  }).output();
  const graph = new TextDecoder().decode(stdout);
  for (const name of ["dispatcher_worker", "nursery_worker", "thread_worker", "process_worker"]) {
    assertStringIncludes(graph, `/src/runtime/${name}.ts`);
  }
});
