/**
 * Many machines, beside a plain BullMQ worker on Deno and on Node: `deno task bench:fleet`. Needs `redis-server`; the
 * rows of Node need `node` and `npm`.
 *
 * Machines are processes on this one, each with two workers, so more of them than cores show what they cost, not what
 * they add. All rows come from the same run, one after the other.
 *
 * @module
 */
import { tmpdir } from "node:os";
import { join } from "@std/path";
import { Queue, QueueEvents } from "bullmq";
import { Redis } from "ioredis";
import { InfoTask } from "../../mod.ts";
import { Fleet } from "../../src/bullmq/mod.ts";
import { Script } from "../bullmq/machines.ts";
import { RedisServer } from "../bullmq/redis.ts";
import { output } from "./child.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { formatNumber, formatTable } from "./table.ts";

const SLOTS = 2;
const NO_OPS = 3_000;
const SHORT = 1_500;
const SHORT_MS = 10;
const LATENCIES = 200;
const HANGS = 20;
const LIMIT_MS = 200;
const QUEUED = 20_000;
const INSTALL_SECONDS = 180;

const ROOT = import.meta.resolve("./fleet/");
const task = (name: string) => `${ROOT}tasks.ts#${name}`;

/** What runs a task of so many milliseconds. */
interface Pool {
  run(ms: number): Promise<unknown>;
  /** Milliseconds from the limit of a hang to its outcome; undefined where there is no limit. */
  hang?(): Promise<number>;
  end(): Promise<void>;
}

await using server = await RedisServer.start();
const rows: string[][] = [];
for (const machines of [1, 2, 3]) {
  rows.push(await measure(`Fleet, ${machines} machine${machines > 1 ? "s" : ""}`, await openFleet(machines)));
}
rows.push(await measure("plain worker on Deno", await openPlain(startPlainDeno)));
const packages = await installForNode();
rows.push(
  packages === undefined
    ? ["plain worker on Node", "", "", "", "", "", "", "no Node, or no npm"]
    : await measure("plain worker on Node", await openPlain((queue) => startPlainNode(queue, packages))),
);
const bytes = await bytesOfQueued();

console.log(`${machineLine(await describeMachine())}; ${SLOTS} slots a machine\n`);
const header = ["", "no-op/s", `${SHORT_MS} ms/s`, "of ideal", "latency p50", "p99", "hang p50", "p99", ""];
console.log(formatTable(header, [{ title: "All on this machine", rows, remarks: [] }], 1));
console.log(`
  no-op/s, ${SHORT_MS} ms/s: tasks a second, pushed at once; of ideal: the latter, of what the slots could do
  latency: milliseconds of one no-op at a time, there and back
  hang: milliseconds from the limit of ${LIMIT_MS} ms to the outcome, of one that loops for ever
  a queued task with two small arguments takes ${Math.round(bytes)} bytes of Redis`);

async function measure(name: string, pool: Pool): Promise<string[]> {
  console.error(name);
  // Warm.
  await Promise.all(Array.from({ length: 300 }, () => pool.run(0)));
  const rate = async (count: number, ms: number) => {
    const since = performance.now();
    await Promise.all(Array.from({ length: count }, () => pool.run(ms)));
    return count / (performance.now() - since) * 1_000;
  };
  const noOps = await rate(NO_OPS, 0);
  const short = await rate(SHORT, SHORT_MS);
  const times = [];
  for (let i = 0; i < LATENCIES; i++) {
    const since = performance.now();
    await pool.run(0);
    times.push(performance.now() - since);
  }
  const late = [];
  for (let i = 0; pool.hang !== undefined && i < HANGS; i++) late.push(await pool.hang());
  await pool.end();
  const slots = /(\d) machine/.test(name) ? SLOTS * Number(/(\d) machine/.exec(name)![1]) : SLOTS;
  const ideal = slots * 1_000 / SHORT_MS;
  const all = [noOps, short, 100 * short / ideal, ...percentiles(times), ...percentiles(late)];
  return [name, ...all.map((value, i) => i === 2 ? `${Math.round(value)} %` : formatNumber(value)), ""];
}

/** The median and the 99th. */
function percentiles(values: number[]): [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  return [sorted[sorted.length >> 1] ?? NaN, sorted[Math.trunc(sorted.length * 0.99)] ?? NaN];
}

async function openFleet(count: number): Promise<Pool> {
  const queue = `fleet-${count}`;
  const machines = await Promise.all(Array.from({ length: count }, async () => {
    const args = [
      "--queue",
      queue,
      "--root",
      ROOT,
      "--redis",
      server.url,
      "--size",
      String(SLOTS),
      "--name",
      "m",
    ];
    const machine = new Script(import.meta.resolve("../../src/bullmq/main.ts"), args);
    await machine.line("m: serving");
    return machine;
  }));
  const fleet = new Fleet({ queue, name: "bench", root: ROOT, connection: server.url });
  await fleet.start();
  return {
    run: (ms) => fleet.run(new InfoTask(task("wait"), 60_000, ms)),
    hang: async () => {
      const since = performance.now();
      await fleet.push(new InfoTask(task("hang"), LIMIT_MS));
      return performance.now() - since - LIMIT_MS;
    },
    end: async () => {
      await fleet.stop();
      for (const machine of machines) await machine[Symbol.asyncDispose]();
    },
  };
}

async function openPlain(start: (queue: string) => Script): Promise<Pool> {
  const name = `plain-${crypto.randomUUID().slice(0, 8)}`;
  const worker = start(name);
  await worker.line("serving");
  const connection = new Redis(server.url, { maxRetriesPerRequest: null } as never) as never;
  const queue = new Queue(name, { connection });
  const events = new QueueEvents(name, { connection });
  await events.waitUntilReady();
  const waiting = new Map<string, () => void>();
  events.on("completed", ({ jobId }) => {
    waiting.get(jobId)?.();
    waiting.delete(jobId);
  });
  let last = 0;
  let batch: Parameters<Queue["addBulk"]>[0] = [];
  return {
    run: (ms) => {
      const jobId = `job-${++last}`;
      batch.push({ name: "wait", data: { ms }, opts: { jobId } });
      // In one command what is pushed in one turn, as a fleet does.
      if (batch.length === 1) {
        queueMicrotask(() => {
          void queue.addBulk(batch);
          batch = [];
        });
      }
      return new Promise<void>((resolve) => waiting.set(jobId, resolve));
    },
    end: async () => {
      await events.close();
      await queue.close();
      (connection as Redis).disconnect();
      await worker[Symbol.asyncDispose]();
    },
  };
}

function startPlainDeno(queue: string): Script {
  return new Script(import.meta.resolve("./fleet/plain_worker.mjs"), [server.url, queue, String(SLOTS)]);
}

function startPlainNode(queue: string, packages: string): Script {
  const worker = import.meta.resolve("./fleet/plain_worker.mjs");
  return new Script(worker, [server.url, queue, String(SLOTS)], {
    program: "node",
    env: { BENCH_PACKAGES: packages },
  });
}

/** The folder that Node finds the packages from; undefined where that is not possible. */
async function installForNode(): Promise<string | undefined> {
  const folder = join(tmpdir(), "multiprocess-bench-fleet");
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify({ private: true }));
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder];
  const answer = await output("npm", ["install", ...flags, "bullmq@^6.7", "ioredis@^6"], INSTALL_SECONDS);
  return "error" in answer || answer.code !== 0 ? undefined : `${folder}/`;
}

async function bytesOfQueued(): Promise<number> {
  const used = async () => Number(/used_memory:(\d+)/.exec(await server.ask("INFO", "memory"))![1]);
  const fleet = new Fleet({ queue: "queued", name: "bench", root: ROOT, connection: server.url });
  await fleet.start();
  const before = await used();
  for (let i = 0; i < QUEUED; i++) void fleet.push(new InfoTask(task("wait"), 60_000, i, "small"));
  await fleet.flush();
  const bytes = (await used() - before) / QUEUED;
  await fleet.detach();
  return bytes;
}
