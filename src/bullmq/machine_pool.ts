import { connectDispatcher } from "../entry/connect.ts";
import type { DispatcherClient } from "../entry/dispatcher_client.ts";
import type { Connect } from "../entry/pool_life.ts";
import type { PoolOptions } from "../entry/read_options.ts";
import { InfoTask } from "../info_task.ts";
import { within } from "../util/within.ts";
import { describeError } from "../wire/error_data.ts";
import { refuseLossy } from "../wire/lossy.ts";
import { now } from "../wire/now.ts";
import type { DeathData, OutcomeData, TaskOrigin } from "../wire/protocol.ts";
import type { Modules } from "./modules.ts";
import { type TaskWire, unpackArgs } from "./wire.ts";

/** How often a dispatcher that died is started again, within a minute. */
const MAX_RESTARTS = 3;
/** How long the workers have to end, in milliseconds. */
const STOP_MS = 3_000;

/** Takes what a task reports; `taken` is called when a generator may go on. */
export type Report = (value: unknown, taken: (() => void) | undefined) => void;

/** A task that runs, or waits to. */
interface Run {
  /** How often the task was run before. */
  readonly attempts: number;
  readonly settle: (outcome: OutcomeData) => void;
  readonly report: Report | undefined;
}

/** The facts of a task that never ran. */
export const NEVER_RAN = { id: 0, worker: undefined, waitedMs: 0, ranMs: 0, callbacks: undefined } as const;

/**
 * The pool of a machine: runs tasks as they come from a queue, and gives their outcomes as data. It knows no queue, and
 * calls no callback.
 */
export class MachinePool {
  readonly #connect: Connect;
  readonly #modules: Modules;
  readonly #runs = new Map<number, Run>();
  #client: DispatcherClient | undefined;
  readonly #ready = Promise.withResolvers<void>();
  /** Rejects when no dispatcher can be kept alive. */
  readonly failed: PromiseWithResolvers<never> = Promise.withResolvers<never>();
  #deaths: number[] = [];
  #lastId = 0;

  /** @throws {Deno.errors.NotCapable} If `permissions` asks for what this process may not do itself. */
  constructor(options: PoolOptions, modules: Modules) {
    this.#connect = connectDispatcher(options);
    this.#modules = modules;
    this.failed.promise.catch(() => {});
    this.#ready.promise.catch(() => {});
  }

  /**
   * Starts the workers.
   *
   * @throws {Error} If that is not possible.
   */
  start(): Promise<void> {
    this.#open();
    return Promise.race([this.#ready.promise, this.failed.promise]);
  }

  /**
   * Runs a task. Never rejects.
   *
   * @param started Called with what cancels it.
   */
  async run(
    wire: TaskWire,
    origin: TaskOrigin,
    report: Report | undefined,
    started: (cancel: () => void) => void,
  ): Promise<OutcomeData> {
    const id = ++this.#lastId;
    const { attempts } = origin;
    const client = this.#client;
    if (client === undefined) return { ...NEVER_RAN, attempts, status: "cancelled" };
    try {
      const task = this.#read(wire);
      if (task instanceof InfoTask) {
        const { promise, resolve } = Promise.withResolvers<OutcomeData>();
        this.#runs.set(id, { attempts, settle: resolve, report });
        client.push(id, task, { softTimeout: wire.softTimeout }, undefined, origin);
        started(() => this.#client?.post({ type: "cancel", ids: [id] }));
        return crossable(await promise);
      }
      return { ...NEVER_RAN, attempts, status: "failed", load: task };
    } catch (error) {
      return { ...NEVER_RAN, attempts, status: "failed", error: describeError(error) };
    } finally {
      this.#runs.delete(id);
    }
  }

  /** Ends it, whatever runs. */
  async stop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await within(client?.stop(), STOP_MS);
    await client?.end();
  }

  /** The task here, or why its module is not run. */
  #read({ module, timeout, args }: TaskWire): InfoTask | NonNullable<OutcomeData["load"]> {
    let specifier: string;
    try {
      specifier = this.#modules.urlOf(module);
    } catch (error) {
      return { message: "Cannot load the task's module", cause: describeError(error) };
    }
    return new InfoTask(specifier, timeout ?? Infinity, ...unpackArgs(args));
  }

  #open(): void {
    const settle = (outcome: OutcomeData): undefined => {
      this.#runs.get(outcome.id)?.settle(outcome);
    };
    const client = this.#connect({
      value: (id, worker, attempts, callbacks, waitedMs, ranMs, value) =>
        settle({ id, status: "ok", worker, attempts, callbacks, waitedMs, ranMs, value }),
      outcome: settle,
      message: (message) => {
        switch (message.type) {
          case "ready":
            return this.#ready.resolve();
          case "broken":
            return this.#fail(new Error(`The pool could not be started: a worker ${message.message}`));
          case "progress": {
            const { id, value, pull } = message;
            const taken = pull ? () => this.#client?.post({ type: "resume", id }) : undefined;
            const report = this.#runs.get(id)?.report;
            if (report === undefined) taken?.();
            else report(value, taken);
            return;
          }
          // Never asked for here.
          case "output":
          case "waiting-cancelled":
          case "renewed":
          case "inspected":
          case "events":
          case "stats":
          case "closed":
            return;
          default:
            message satisfies never;
        }
      },
      died: (error) => {
        if (this.#client === client) this.#onDeath(error);
      },
      // All tasks come through `run`.
      adopt: () => 0,
    }) as DispatcherClient;
    this.#client = client;
  }

  /** What was under way is lost; what comes goes to a new dispatcher. */
  #onDeath(error: unknown): void {
    const message = `was lost: the dispatcher died: ${
      error instanceof Error ? error.message : String(error)
    }`;
    const at = now();
    this.#deaths = [...this.#deaths.filter((death) => at - death < 60_000), at];
    void this.#client!.end();
    this.#client = undefined;
    if (this.#deaths.length <= MAX_RESTARTS) this.#open();
    else this.#fail(new Error(`The pool's worker ${message}`, { cause: error }));
    const death: DeathData = { reason: "error", exitCode: null, message };
    const runs = [...this.#runs.values()];
    for (const { settle, attempts } of runs) {
      settle({ ...NEVER_RAN, status: "crashed", attempts: attempts + 1, death });
    }
  }

  #fail(error: Error): void {
    this.#ready.reject(error);
    this.failed.reject(error);
  }
}

/** What one thread can be sent another machine may not be able to. */
function crossable(outcome: OutcomeData): OutcomeData {
  if (outcome.status !== "ok") return outcome;
  try {
    refuseLossy(outcome.value, "the result", "process");
    return outcome;
  } catch (error) {
    const { value: _, ...facts } = outcome;
    return { ...facts, status: "failed", error: describeError(error) };
  }
}
