/**
 * A worker that the entry starts itself, for the first tasks.
 *
 * Who creates a worker asks its own inspector whether somebody listens, and each worker's has the main thread for that,
 * for life: so from Deno 2.9.1 on what a worker starts sleeps for 500 ms before its module is loaded (denoland/deno#35629,
 * seen up to 2.9.6). The main thread's inspector has nobody: what it starts itself is there after 30 ms. All workers of
 * a pool are started by its nursery, since nothing of what they need may wait for the entry; this one is there until
 * the first of those is ready.
 *
 * Elsewhere it is started while the thread that starts all others is: two threads one after the other are what the
 * first task would wait for. It is handed that task by the entry, too, and runs it while the dispatcher learns of both.
 *
 * @module
 */
import {
  type BridgeData,
  type DeathData,
  FIRST_RUN,
  type ModuleData,
  type ToWorker,
  type WorkerSetup,
  type WorkerSpec,
} from "../wire/protocol.ts";
import { now } from "../wire/now.ts";
import { host, need, sharesMemory, startsBlock } from "./host.ts";
import { newLock } from "./lock.ts";
import { createMemory, SharedSeat } from "./shared.ts";
import { startThread } from "./thread.ts";
import { isAtLeast } from "./version.ts";

/** A start that took less than this did not sleep, in milliseconds. */
const SLEEP_MS = 400;

/** How long the quickest worker that a nursery of this process has started took, in milliseconds. */
let quickestMs: number | undefined;

/** Whether a worker that is started here is ready long before one that a nursery starts. */
export function isBridgeOfUse(): boolean {
  if (host !== "deno") return true;
  // A Web Worker of Deno says that it is the main thread, too (seen up to 2.9.6).
  if (!need("node:worker_threads").isMainThread || "WorkerGlobalScope" in globalThis) return false;
  return quickestMs === undefined ? isAtLeast([2, 9, 1]) : quickestMs >= SLEEP_MS;
}

/** A nursery's quickest start took so many milliseconds; `Infinity` where it has started none. */
export function noteStart(ms: number): void {
  if (ms < (quickestMs ?? Infinity)) quickestMs = ms;
}

/** See the module's description. */
export class Bridge {
  /** The dispatcher's end, to be moved to it. */
  readonly data: BridgeData;
  readonly #port: MessagePort;
  #kill: (() => Promise<void> | void) | undefined;

  constructor() {
    const { port1, port2 } = host === "deno"
      ? new (need("node:worker_threads").MessageChannel)()
      : new MessageChannel();
    this.data = {
      port: port1 as unknown as MessagePort,
      since: now(),
      memory: sharesMemory ? createMemory() : undefined,
      lock: newLock(),
    };
    this.#port = port2 as unknown as MessagePort;
  }

  /**
   * Whether the entry may hand it a task. Not without shared memory, where nobody could take it back from a worker that is
   * late; and where the start keeps the entry so long that the dispatcher is ready first nothing would be gained.
   */
  get takesTask(): boolean {
    return this.data.memory !== undefined && !startsBlock;
  }

  /** Hands it a task, before anything of it leaves for the dispatcher: see `FIRST_RUN`. */
  hand(module: ModuleData, run: ArrayBuffer): void {
    new SharedSeat(this.data.memory).offer(FIRST_RUN.seq);
    this.data.port.postMessage({ type: "modules", modules: [module] } satisfies ToWorker);
    this.data.port.postMessage(run, [run]);
  }

  /** Starts the worker, which keeps this thread for some 30 ms. */
  start(setup: WorkerSetup, gone: (death: DeathData) => void): void {
    const spec: WorkerSpec = { isolation: "thread", setup, hurried: true, lock: this.data.lock };
    const { kill, letGo } = startThread(spec, this.#port, this.data.memory, {
      gone: (death) => {
        this.#kill = undefined;
        gone(death);
      },
      undeliverable: () => {},
    });
    // The pool's own thread does.
    letGo?.();
    this.#kill = kill;
  }

  /**
   * There is to be no pool: nothing is left of it. Deno leaves a port open where one that was moved is closed (seen up to
   * 2.9.6).
   *
   * @param moved Whether the dispatcher has its end.
   */
  async discard(moved: boolean): Promise<void> {
    if (!moved) this.data.port.close();
    // The worker has it, once it was started.
    if (this.#kill === undefined) this.#port.close();
    await this.kill();
  }

  /** Interrupts the worker as soon as that is safe, if there is one. */
  async kill(): Promise<void> {
    await this.#kill?.();
  }
}
