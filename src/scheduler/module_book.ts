import type { DeathData } from "../wire/protocol.ts";
import type { Task, WorkerKind } from "./scheduling.ts";

/** What is known of a task module. */
export interface ModuleRecord {
  /** About how long a run takes, in milliseconds; undefined before the first. */
  estimate: number | undefined;
  /** Which callbacks it has, as bits; undefined while no worker has loaded it. */
  callbacks: number | undefined;
  /** A run came to an end of its own. */
  returned: boolean;
  /** The last one did. */
  sound: boolean;
  /** How many different tasks have ended their worker since one came to an end of its own. */
  crashes: number;
  /** The task that is tried out while the module is held. */
  probe: Pick<Task, "state"> | undefined;
  /** Why none of its tasks is run for a while, where it was given up. */
  refused: { until: number; death: DeathData } | undefined;
}

/** So many different tasks in a row that ended their worker, and the module is held: one is tried at a time. */
const HELD_AFTER = 2;
/** So many, with none ever that came to an end of its own, and the module is given up. */
const GIVEN_UP_AFTER = 16;
/** For how long the tasks of a module that was given up are refused before one is tried again, in milliseconds. */
const REFUSED_MS = 1_000;
/** What a module costs a worker beside its name, in characters. */
const MODULE_CHARS = 1_000;
/** Runs shorter than this are all the same, in milliseconds. */
const SHORTEST_MS = 1e-3;

/** What is known of the task modules, by their number. */
export class ModuleBook {
  readonly #records = new Map<number, ModuleRecord>();
  readonly #files = new Map<number, { file: number; chars: number }>();
  /** Files whose modules only some workers may run. */
  readonly #kinds = new Map<number, WorkerKind>();
  /** Files that workers from before them may not read, and how many modules of each there are. */
  readonly #needed = new Map<number, { readonly generation: number; modules: number }>();

  /** There will be tasks of the module, of which that is the file, by the number of its first module. */
  add(module: number, file: number, chars: number): void {
    this.#files.set(module, { file, chars });
    const needed = this.#needed.get(file);
    if (needed !== undefined) needed.modules++;
  }

  /**
   * Of the file, of which a first module was added, only workers of this generation or later may run tasks; of `Infinity`
   * none may until more is known.
   */
  need(file: number, generation: number): void {
    this.#needed.set(file, { generation, modules: this.#needed.get(file)?.modules ?? 1 });
  }

  /** All workers may run tasks of the file. */
  suffice(file: number): void {
    this.#needed.delete(file);
  }

  /** Of which generation a worker must be at least that runs the module: see `Workers.discard`. */
  generationOf(module: number): number {
    return this.#needed.size === 0 ? 0 : this.#needed.get(this.fileOf(module))?.generation ?? 0;
  }

  /** The file of a module: the number of the first module that was found in it. */
  fileOf(module: number): number {
    return this.#files.get(module)?.file ?? module;
  }

  /** Only workers of the kind may run the modules of the file from now on. False if that is so already. */
  restrict(file: number, kind: WorkerKind): boolean {
    if (this.#kinds.get(file) === kind) return false;
    this.#kinds.set(file, kind);
    return true;
  }

  /** The only workers that may run the module; undefined for all. */
  kindOf(module: number): WorkerKind | undefined {
    return this.#kinds.size === 0 ? undefined : this.#kinds.get(this.fileOf(module));
  }

  /** How many characters a worker keeps for good that loads the module: its name, which may be all of it. */
  charsOf(module: number): number {
    return MODULE_CHARS + (this.#files.get(module)?.chars ?? 0);
  }

  /** There are no more tasks of the module. */
  forget(module: number): void {
    const file = this.fileOf(module);
    const needed = this.#needed.get(file);
    if (needed !== undefined && --needed.modules === 0) this.#needed.delete(file);
    this.#records.delete(module);
    this.#files.delete(module);
  }

  /** What is known of a module; undefined where nothing is. */
  get(module: number): ModuleRecord | undefined {
    return this.#records.get(module);
  }

  /** About how long a run takes, in milliseconds; undefined before the first. */
  estimate(module: number): number | undefined {
    return this.#records.get(module)?.estimate;
  }

  /** Which callbacks the module has, as bits; undefined while no worker has loaded it. */
  callbacks(module: number): number | undefined {
    return this.#records.get(module)?.callbacks;
  }

  loaded(module: number, callbacks: number): void {
    this.#record(module).callbacks = callbacks;
  }

  /**
   * A run came to an end of its own. The estimate is a geometric mean over about the last eight runs, so that
   * one long run among quick ones does not make them all long.
   */
  ran(module: number, ms: number): void {
    const record = this.#record(module);
    const value = Math.max(ms, SHORTEST_MS);
    const { estimate } = record;
    // The eighth root.
    record.estimate = estimate === undefined
      ? value
      : estimate * Math.sqrt(Math.sqrt(Math.sqrt(value / estimate)));
    record.returned = record.sound = true;
    record.crashes = 0;
    record.refused = undefined;
  }

  /** A run ended its worker. A task counts once, however often it is tried. True if the module is given up. */
  crashed(task: Pick<Task, "module" | "crashed">, death: DeathData, now: number): boolean {
    const record = this.#record(task.module);
    record.sound = false;
    if (!task.crashed) record.crashes++;
    task.crashed = true;
    if (record.returned || record.crashes < GIVEN_UP_AFTER) return false;
    record.refused = { until: now + REFUSED_MS, death };
    return true;
  }

  /** Why no task of the module is run now; undefined if they are. */
  refused(module: number, now: number): DeathData | undefined {
    const refused = this.#records.get(module)?.refused;
    return refused !== undefined && refused.until > now ? refused.death : undefined;
  }

  /** Whether the module's tasks are tried one at a time, because they keep ending their workers. */
  isHeld(module: number): boolean {
    const record = this.#records.get(module);
    return record !== undefined && record.crashes >= HELD_AFTER;
  }

  /** Whether the last run of the module came to an end of its own: one that does not may have been given a bad input. */
  isSound(module: number): boolean {
    return this.#records.get(module)?.sound ?? false;
  }

  /** Whether a task of the module is being tried. */
  isProbed(module: number): boolean {
    return this.#records.get(module)?.probe?.state === "offered";
  }

  /** This task of a module that is held is tried now. */
  probe(task: Task): void {
    this.#record(task.module).probe = task;
  }

  #record(module: number): ModuleRecord {
    let record = this.#records.get(module);
    if (record === undefined) {
      record = {
        estimate: undefined,
        callbacks: undefined,
        returned: false,
        sound: false,
        crashes: 0,
        probe: undefined,
        refused: undefined,
      };
      this.#records.set(module, record);
    }
    return record;
  }
}
