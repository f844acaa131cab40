import type { DeathData } from "../wire/protocol.ts";

interface ModuleRecord {
  estimate: number | undefined;
  callbacks: number | undefined;
  crashes: number;
  refused: { until: number; death: DeathData } | undefined;
}

/** How long a module that keeps ending workers is refused, in milliseconds. */
const REFUSED_MS = 1_000;
/** Runs shorter than this are all the same, in milliseconds. */
const SHORTEST_MS = 1e-3;

/** What is known of the task modules, by their number. */
export class ModuleBook {
  readonly #records: ModuleRecord[] = [];

  /** About how long a run takes, in milliseconds; undefined before the first. */
  estimate(module: number): number | undefined {
    return this.#records[module]?.estimate;
  }

  /** Which callbacks the module has, as bits; undefined while no worker has loaded it. */
  callbacks(module: number): number | undefined {
    return this.#records[module]?.callbacks;
  }

  loaded(module: number, callbacks: number): void {
    this.#record(module).callbacks = callbacks;
  }

  /**
   * A run came to its end. The estimate is a geometric mean over about the last eight runs, so that one long run
   * among quick ones does not make them all long.
   */
  ran(module: number, ms: number): void {
    const record = this.#record(module);
    const value = Math.max(ms, SHORTEST_MS);
    const { estimate } = record;
    // The eighth root.
    record.estimate = estimate === undefined
      ? value
      : estimate * Math.sqrt(Math.sqrt(Math.sqrt(value / estimate)));
    record.crashes = 0;
  }

  /** A run ended its worker. Returns how many have in a row. */
  crashed(module: number): number {
    return ++this.#record(module).crashes;
  }

  /** Runs no task of the module for a while. */
  refuse(module: number, death: DeathData, now: number): void {
    this.#record(module).refused = { until: now + REFUSED_MS, death };
  }

  /** Why no task of the module is run now; undefined if they are. */
  refused(module: number, now: number): DeathData | undefined {
    const refused = this.#records[module]?.refused;
    return refused !== undefined && refused.until > now ? refused.death : undefined;
  }

  #record(module: number): ModuleRecord {
    return this.#records[module] ??= {
      estimate: undefined,
      callbacks: undefined,
      crashes: 0,
      refused: undefined,
    };
  }
}
