/**
 * Many machines: two of them, as processes of their own, hash the files of a folder for this one. One is killed in the
 * middle; every file has its outcome all the same.
 *
 * ```sh
 * deno task example:fleet [DIR]
 * ```
 *
 * Starts a Redis of its own, on a free port of this machine with nothing but memory to keep its data in. Where there is
 * no `redis-server`, says how to get one, with status 1.
 *
 * @module
 */
import { InfoTask } from "@cm/multiprocess";
import { Fleet } from "@cm/multiprocess/bullmq";
import { fromFileUrl, resolve } from "@std/path";

const QUEUE = "hashes";
const MACHINES = 2;
/** How long a machine may be silent before another takes its tasks over, in milliseconds: short, to be watched. */
const LOCK_MS = 1_000;
/** How long Redis may take to start, in milliseconds. */
const START_MS = 20_000;

const folder = resolve(Deno.args[0] ?? fromFileUrl(import.meta.resolve("./")));
const files = (await Array.fromAsync(Deno.readDir(folder))).filter((entry) => entry.isFile)
  .map(({ name }) => `${folder}/${name}`);

const url = await startRedis();
const machines = Array.from({ length: MACHINES }, (_, i) => startMachine(`machine-${i + 1}`));

const mp = new Fleet({
  queue: QUEUE,
  name: "producer",
  root: import.meta.resolve("./"),
  connection: url.href,
});
await mp.start();
while (await mp.machines() < MACHINES) await new Promise((resolve) => setTimeout(resolve, 50));
console.log(`${MACHINES} machines hash ${files.length} files under ${folder}`);

const task = import.meta.resolve("./fleet_task.ts");
let done = 0;
let again = 0;
for (const file of files) {
  mp.push(new InfoTask<typeof import("./fleet_task.ts")>(task, 5_000, file), {
    callback: ({ hash, bytes }, { attempts }) => report(file, `${hash}  ${bytes} bytes`, attempts),
    errorCallback: (error, { attempts }) => report(file, String(error), attempts),
  });
}
const { ok, failed, timedOut, crashed, elapsedMs } = await mp.stop();
console.log(
  `${ok} ok, ${failed} failed, ${timedOut} timed out, ${crashed} crashed in ${Math.round(elapsedMs)} ms; ` +
    `${again} ran more than once`,
);
for (const { child } of machines) end(child);
await Promise.all(machines.map(({ child }) => child.status));

function report(file: string, what: string, attempts: number): void {
  done++;
  if (attempts > 1) again++;
  console.log(`${what}  ${file.slice(folder.length + 1)}${attempts > 1 ? `  (run ${attempts} times)` : ""}`);
  if (done === Math.ceil(files.length / 3)) {
    const { name, child } = machines[0]!;
    console.log(`Killing ${name}: its tasks go to the other`);
    end(child, "SIGKILL");
  }
}

/** Ends a process that may have ended. */
function end(child: Deno.ChildProcess, signal: Deno.Signal = "SIGTERM"): void {
  try {
    child.kill(signal);
  } catch {
    // It has.
  }
}

/** A machine, as `deno run … jsr:@cm/multiprocess/serve` starts one. */
function startMachine(name: string): { name: string; child: Deno.ChildProcess } {
  const serve = fromFileUrl(import.meta.resolve("@cm/multiprocess/serve"));
  const config = fromFileUrl(import.meta.resolve("../deno.json"));
  const flags = ["--allow-net", "--allow-read", "--allow-env", "--allow-sys", "--config", config];
  const options = [
    "--queue",
    QUEUE,
    "--root",
    import.meta.resolve("./"),
    "--redis",
    url.href,
    "--name",
    name,
  ];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, serve, ...options, "--size", "2", "--lock-duration", String(LOCK_MS)],
  }).spawn();
  return { name, child };
}

/** Starts a Redis that ends with this process, and waits until it listens. */
async function startRedis(): Promise<URL> {
  const { port } = freeAddress();
  const args = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--maxmemory-policy",
    "noeviction",
  ];
  try {
    const child = new Deno.Command("redis-server", { args, stdin: "null", stdout: "null" }).spawn();
    // However this process ends.
    addEventListener("unload", () => end(child, "SIGKILL"));
    child.unref();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error(
      "This example needs a Redis:\n" +
        "  Debian, Ubuntu:  sudo apt-get install redis-server\n" +
        "  macOS:           brew install redis",
    );
    Deno.exit(1);
  }
  const hostname = "127.0.0.1";
  for (const since = performance.now();;) {
    try {
      (await Deno.connect({ hostname, port })).close();
      return new URL(`redis://${hostname}:${port}`);
    } catch (error) {
      if (performance.now() - since > START_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

function freeAddress(): Deno.NetAddr {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr;
}
