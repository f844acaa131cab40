import type { ResourceLimits } from "node:worker_threads";
import { describeError } from "../wire/error_data.ts";
import type { DeathData, WorkerSetup } from "../wire/protocol.ts";
import { opened, outside } from "./gate.ts";
import { host, need, sibling } from "./host.ts";
import { createLife, settled, UNSETTLED } from "./life.ts";
import type { StartWorker } from "./port.ts";
import { isAtLeast } from "./version.ts";
import { onExit, startBunWorker, startWebWorker } from "./web.ts";

/** What a thread is given when it starts. */
export interface ThreadData {
  /** Whether it runs tasks of this process, or of another that started this one for them. */
  isolation: "thread" | "process";
  port: MessagePort | undefined;
  memory: SharedArrayBuffer | undefined;
  /** How far it is, and whether it may be interrupted at this moment: see `life.ts` and `gate.ts`. */
  life: SharedArrayBuffer | undefined;
  setup: WorkerSetup;
  /** It is to be ready as soon as it can, and loads later what need not be there for a task. */
  hurried: boolean;
  /** The name of the lock that it is to hold, where that is how its end is noticed. */
  lock: string | undefined;
  /** In a cell: which part of the claims it writes. */
  claims?: number | undefined;
}

/** What threads print that is still to be passed on. */
const printing = new Set<Promise<void>>();

/** Resolves when all that threads which have ended have printed was passed on: on Node it comes through this thread. */
export async function printed(): Promise<void> {
  if (host !== "node") return;
  const process = need("node:process");
  await Promise.all(printing);
  await Promise.all([process.stdout, process.stderr].map((stream) => {
    return new Promise<void>((resolve) => stream.write("", () => resolve()));
  }));
}

/** How long one that is unsettled may take to end by itself, or to settle, in milliseconds. */
const SETTLE_MS = 500;

/** And how long one may take to come out of a call in which an interrupt might get lost, in milliseconds. */
const CALL_MS = 500;

/** Starts a thread. */
export const startThread: StartWorker = (spec, port, memory, events) =>
  (host === "browser" ? startWeb : host === "bun" ? startBun : startNode)(spec, port, memory, events);

/**
 * How long Chromium takes to stop code that is running, in milliseconds (2 000, seen with 156). Firefox takes a few (153.7),
 * WebKit some hundred at most (WebKitGTK 2.50.6), but that never stops WebAssembly.
 */
const STOP_MS = 2_500;

/** Nothing tells when a Web Worker has ended but its lock, which this does not look for: see `link.ts`. */
const startWeb: StartWorker = (spec, port, memory, events) => {
  const { isolation, setup, hurried, lock } = spec;
  const killed: DeathData = { reason: "signal", exitCode: null, message: "was killed" };
  const worker = startWebWorker("thread_worker", "multiprocess worker", (error) => {
    worker.terminate();
    events.gone(deathOf(1, error));
  });
  const data: ThreadData = { isolation, port, memory, life: undefined, setup, hurried, lock };
  worker.postMessage(data, [port]);
  return {
    kill() {
      worker.terminate();
      setTimeout(() => events.gone(killed), lock === undefined ? STOP_MS : 0);
    },
    drained: () => Promise.resolve(),
  };
};

/** It tells of its end, and can be interrupted at any time. */
const startBun: StartWorker = (spec, port, memory, events) => {
  const { isolation, setup, hurried } = spec;
  let thrown: unknown;
  const worker = startBunWorker("thread_worker", "multiprocess worker", (error) => thrown = error, setup);
  onExit(worker, (code) => events.gone(deathOf(code, thrown)));
  const data: ThreadData = { isolation, port, memory, life: undefined, setup, hurried, lock: undefined };
  worker.postMessage(data, [port]);
  return {
    kill: () => worker.terminate(),
    drained: () => Promise.resolve(),
    letGo: () => worker.unref(),
  };
};

/**
 * A `node:worker_threads` worker, also on Deno, where from 2.9.4 on only those can be interrupted, and
 * only they tell when they exit.
 */
const startNode: StartWorker = (spec, port, memory, events) => {
  const { SHARE_ENV, Worker: NodeWorker } = need("node:worker_threads");
  const { isolation, setup, hurried } = spec;
  const { memoryLimit, env, argv } = setup;
  const life = createLife();
  const workerData: ThreadData = {
    isolation,
    port,
    memory,
    life,
    setup,
    hurried,
    lock: undefined,
    claims: spec.claims,
  };
  let thrown: unknown;
  const worker = new NodeWorker(moduleOf(sibling("./thread_worker", import.meta.url)), {
    workerData,
    transferList: [port as never],
    // Else the environment is copied, which asks for leave to read it. Deno 2.6 does neither, and chokes on the symbol.
    ...(env !== undefined ? { env } : (host !== "deno" || isAtLeast([2, 7])) && { env: SHARE_ENV as never }),
    // On Node those of the program are not handed on by themselves.
    ...(argv !== undefined
      ? { argv: [...argv] }
      : host !== "deno" && { argv: need("node:process").argv.slice(2) }),
    ...(memoryLimit !== undefined && { resourceLimits: limitsOf(memoryLimit) }),
  });
  worker.on("error", (error) => thrown = error);
  if (host !== "deno") {
    for (const output of [worker.stdout, worker.stderr]) {
      const passed = new Promise<void>((resolve) => output.once("close", resolve));
      printing.add(passed);
      void passed.then(() => printing.delete(passed));
    }
  }
  const state = new Int32Array(life);
  const ended = Promise.withResolvers<void>();
  worker.on("exit", (exitCode) => {
    settled(state);
    opened(state);
    ended.resolve();
    events.gone(deathOf(exitCode, thrown));
  });
  const interrupt = async () => {
    // No timer: `terminate()` may be over before this is, and is to leave none behind.
    await Atomics.waitAsync(state, 0, UNSETTLED, SETTLE_MS).value;
    await outside(state, CALL_MS);
    void worker.terminate();
  };
  // Deno does not run on for what waits on memory: once the thread has ended by itself nothing else may keep the program.
  const kill = () => Promise.race([interrupt(), ended.promise]);
  let killed: Promise<void> | undefined;
  // Nothing that it says comes this way.
  return {
    kill: () => killed ??= kill(),
    drained: () => Promise.resolve(),
    ...(host !== "deno" && { letGo: () => void worker.unref() }),
  };
};

/** With a limit for the old generation only, Node 24 ends the whole process where the heap grows over it (seen up to 24.21). */
function limitsOf(memoryLimit: number): ResourceLimits {
  return { maxOldGenerationSizeMb: memoryLimit, ...(host === "node" && { maxYoungGenerationSizeMb: 16 }) };
}

function moduleOf(url: URL): URL {
  return host === "deno" ? bootstrap(url) : url;
}

/**
 * A `data:` module that imports the real one: node workers on Deno take only `file:` and `data:` URLs, and the
 * package may have been loaded from `https:`.
 */
export function bootstrap(module: URL): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(`import ${JSON.stringify(module.href)};`)}`);
}

function deathOf(exitCode: number, thrown: unknown): DeathData {
  if (thrown === undefined) return { reason: "exit", exitCode, message: `exited with code ${exitCode}` };
  const error = describeError(thrown);
  // `resourceLimits` ends a worker with this code on Node, and on Deno while it loads.
  const code = (thrown as { code?: unknown }).code;
  return code === "ERR_WORKER_OUT_OF_MEMORY"
    ? { reason: "memory", exitCode, error, message: "ran out of memory" }
    : { reason: "error", exitCode, error, message: `ended with an uncaught error: ${error.message}` };
}
