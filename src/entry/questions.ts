import type { StatsData } from "../wire/protocol.ts";
import type { PoolLife } from "./pool_life.ts";
import { WaitingCancels } from "./waiting_cancels.ts";

/** Which callbacks a module has is being found out. */
interface Inspection extends PromiseWithResolvers<number> {
  /** The number by which the dispatcher was asked. */
  readonly module: number;
}

/** What the dispatcher was asked beside tasks, and who waits for its answers. All are answered, also where it is gone. */
export class Questions {
  /** Calls of `cancelWaiting()`. */
  readonly waitingCancels = new WaitingCancels();
  readonly #life: Pick<PoolLife<unknown>, "client" | "terminating">;
  readonly #requests = new Map<number, (stats: StatsData) => void>();
  readonly #inspections = new Map<string, Inspection>();
  /** Who waits for workers to be replaced. */
  readonly #renewals: (() => void)[] = [];
  #request = 0;
  #lastStats: StatsData = emptyStats();

  constructor(life: Pick<PoolLife<unknown>, "client" | "terminating">) {
    this.#life = life;
  }

  /** Whether somebody waits for an answer. */
  get open(): boolean {
    return this.#requests.size + this.#inspections.size + this.#renewals.length > 0 ||
      this.waitingCancels.open;
  }

  /** What the dispatcher knows of the pool; where there is none, what it knew last. */
  stats(): Promise<StatsData> {
    const { client } = this.#life;
    if (client === undefined) return Promise.resolve(this.#lastStats);
    const request = ++this.#request;
    const { promise, resolve } = Promise.withResolvers<StatsData>();
    this.#requests.set(request, resolve);
    client.hold();
    client.post({ type: "stats", request });
    return promise;
  }

  /** The answer to `stats()`. */
  counted(request: number, stats: StatsData): void {
    this.#lastStats = stats;
    this.#requests.get(request)?.(stats);
    this.#requests.delete(request);
  }

  /** The dispatcher has ended, and that is what it knew last. */
  closed(stats: StatsData): void {
    this.#lastStats = stats;
  }

  /** Has every worker replaced. Resolves when none from before begins another task. */
  renew(): Promise<void> {
    const { client } = this.#life;
    if (client === undefined) return Promise.resolve();
    client.hold();
    client.post({ type: "renew" });
    return new Promise((resolve) => this.#renewals.push(resolve));
  }

  /** The answer to the oldest `renew()`. */
  renewed(): void {
    this.#renewals.shift()?.();
  }

  /** Cancels the tasks up to that id which no worker has begun. Resolves with how many, when they have their outcomes. */
  cancelWaiting(upTo: number, reason: unknown): Promise<number> {
    const { client } = this.#life;
    if (client === undefined) return Promise.resolve(0);
    client.hold();
    client.post({ type: "cancel-waiting", upTo });
    return this.waitingCancels.add(upTo, reason);
  }

  /** Which callbacks a module has that no worker has loaded yet: a worker is asked to load it. */
  inspect(specifier: string): Promise<number> {
    const { client, terminating } = this.#life;
    // Too late to ask, and the entry does not load what nobody has vouched for.
    if (client === undefined || terminating) return Promise.resolve(0);
    let inspection = this.#inspections.get(specifier);
    if (inspection === undefined) {
      client.hold();
      inspection = { ...Promise.withResolvers<number>(), module: client.inspect(specifier) };
      this.#inspections.set(specifier, inspection);
    }
    return inspection.promise;
  }

  /** The answer to `inspect()`. */
  inspected(module: number, callbacks: number): void {
    for (const [specifier, inspection] of this.#inspections) {
      if (inspection.module !== module) continue;
      this.#inspections.delete(specifier);
      inspection.resolve(callbacks);
    }
  }

  /** Answers all that the dispatcher was asked, and will not answer. */
  answerAll(): void {
    for (const inspection of this.#inspections.values()) inspection.resolve(0);
    this.#inspections.clear();
    for (const resolve of this.#requests.values()) resolve(this.#lastStats);
    this.#requests.clear();
    this.waitingCancels.answerAll();
    for (const resolve of this.#renewals.splice(0)) resolve();
  }
}

/** What is told where nothing is known. */
export function emptyStats(): StatsData {
  return {
    workers: { starting: 0, idle: 0, busy: 0, stopping: 0 },
    queued: 0,
    running: 0,
    zombies: 0,
    spawned: 0,
    killed: 0,
    ended: { asked: 0, interrupted: 0 },
    idleDeaths: 0,
    inProcesses: [],
    waitedMs: { p50: 0, p99: 0, max: 0, mean: 0, stddev: 0 },
    ranMs: { p50: 0, p99: 0, max: 0, mean: 0, stddev: 0 },
  };
}
