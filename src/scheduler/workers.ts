import { Offered } from "./offered.ts";
import type { Task, WorkerKind } from "./scheduling.ts";

/** A worker that was given tasks. */
export interface Busy<T extends Task> {
  phase: "busy";
  /** The bridge, while it is not ready: it was handed its task by the entry. */
  starting: Starting | undefined;
  offered: Offered<T>;
  /** When it began to have something to do, or ended the last task. */
  since: number;
  /** The number of the task that it was seen in the middle of when it was looked at last. */
  begun: number;
  /** The number of the task that was asked to finish. */
  softened: number;
  /** It began nothing for long, so all was taken back. */
  stuck: boolean;
  /** The number of the task that was found overdue: it is to be settled, and the worker to be given no more. */
  condemned: number;
  /** It holds a task of higher priority behind others. */
  disordered: boolean;
  /** When tasks were last taken back for a free worker. */
  stolenAt: number;
  /** Its task, by its number, looks as if it hung; how many stops that stands for. See `Spares`. */
  doubted: { seq: number; stops: number } | undefined;
}

/** A worker that is starting. */
export interface Starting {
  phase: "starting";
  since: number;
  /** When it got as far as its initializer. */
  initializingSince: number | undefined;
}

/** A worker whose task is settled, and may let go of it: then it is kept. */
export interface LettingGo {
  phase: "letting-go";
  /** The number of the task. */
  seq: number;
  since: number;
  /** Until when it may. */
  until: number;
}

/** Since when a worker starts; undefined for one that is ready. */
export function startOf({ state }: WorkerRecord<Task>): Starting | undefined {
  if (state.phase === "busy") return state.starting;
  return state.phase === "starting" ? state : undefined;
}

type WorkerState<T extends Task> =
  | Starting
  | LettingGo
  | { phase: "idle"; since: number }
  | Busy<T>;

/** A worker, as the scheduler knows it. */
export interface WorkerRecord<T extends Task> {
  readonly id: number;
  readonly kind: WorkerKind;
  /** The entry has started it: see `Staff`. */
  readonly bridge: boolean;
  /** It is given nothing more, and retires when it is free. */
  leaving: boolean;
  /** How often workers had been discarded when it was started. */
  readonly generation: number;
  /** It works on, until another is ready that takes its place. */
  outdated: boolean;
  state: WorkerState<T>;
  /** Its place while it is busy, and the last that it had otherwise: see `Slots`. */
  slot: number;
  /** The file, as `ModuleBook` has it, that changed its globals: it runs no tasks of others. */
  home: number | undefined;
  /** Tasks handed out to it and not taken back. */
  handed: number;
  /** It has begun a task: nothing was wrong with its start. */
  proven: boolean;
  /** A task came to an end of its own on it. */
  useful: boolean;
  /** The modules that it was given tasks of, as far as there may be more of them. */
  readonly modules: Set<number>;
  /** How many characters it keeps of all that it was given tasks of: see `MAX_CHARS`. */
  chars: number;
  /**
   * The modules that it could not load, each with the number of the first task that it was given knowing that. A worker
   * keeps failed imports, of dependencies too, for as long as it lives: the cause may be gone, and they fail again.
   */
  readonly unloaded: Map<number, number>;
  /** The module of the task that it ran last. */
  lastModule: number | undefined;
  /** The file of that module. */
  lastFile: number | undefined;
  /** The number of the next task. Never used twice, so that a late reply cannot be mistaken. */
  nextSeq: number;
}

/**
 * A worker that keeps more characters of modules is replaced. A thread never forgets a module, of a `data:` URL it keeps
 * some 13 times its length, and each costs it more time than the one before (Deno, seen up to 2.9.6).
 */
const MAX_CHARS = 1 << 21;

/** Whether the worker has had as many modules as one may have. */
export function isFull({ chars }: WorkerRecord<Task>): boolean {
  return chars > MAX_CHARS;
}

/** Workers by what they do. */
interface Counts {
  starting: number;
  idle: number;
  busy: number;
  "letting-go": number;
}

/** The workers of a pool, by what they do. One that was told to end is not among them, but among `EndingWorkers`. */
export class Workers<T extends Task> {
  readonly #records = new Map<number, WorkerRecord<T>>();
  /** The last one is given tasks next. */
  #idle: WorkerRecord<T>[] = [];
  readonly #counts: Record<WorkerKind, Counts> = {
    thread: { starting: 0, idle: 0, busy: 0, "letting-go": 0 },
    process: { starting: 0, idle: 0, busy: 0, "letting-go": 0 },
  };
  /** How many are leaving, the bridge not counted. */
  readonly #leaving: Record<WorkerKind, number> = { thread: 0, process: 0 };
  #outdated = 0;
  #spawned = 0;
  #lastId = 0;
  /** How often workers were discarded. */
  #generation = 0;
  #bridge: WorkerRecord<T> | undefined;

  get size(): number {
    return this.#records.size;
  }

  get starting(): number {
    return this.#counts.thread.starting + this.#counts.process.starting;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get busy(): number {
    return this.#counts.thread.busy + this.#counts.process.busy;
  }

  /** As long as it is there, and not told to end: see `Staff`. */
  get bridge(): WorkerRecord<T> | undefined {
    return this.#bridge;
  }

  /** How many there are, without the bridge and those that are leaving. */
  get own(): number {
    return this.size - this.#leaving.thread - this.#leaving.process - Number(this.#bridge !== undefined);
  }

  /** How many of those have started. */
  get ownStarted(): number {
    return this.ownStartedOf("thread") + this.ownStartedOf("process");
  }

  /** How many of a kind. */
  ownStartedOf(kind: WorkerKind): number {
    const { idle, busy } = this.#counts[kind];
    const bridge = this.#bridge?.kind === kind ? this.#bridge.state.phase : undefined;
    return idle + busy - this.#leaving[kind] - Number(bridge === "idle" || bridge === "busy");
  }

  /** How many others are to replace. */
  get outdated(): number {
    return this.#outdated;
  }

  /** How many there are without those that start to take the place of others, those that leave and the bridge. */
  get withoutReplacements(): number {
    let count = 0;
    for (const { bridge, leaving, outdated, state } of this.#records.values()) {
      if (!bridge && !leaving && (outdated || state.phase !== "starting")) count++;
    }
    return count;
  }

  /** How many have time to let go of their task. */
  get lettingGo(): number {
    return this.#counts.thread["letting-go"] + this.#counts.process["letting-go"];
  }

  /** When the last of those must have done so; `-Infinity` for none. */
  get lettingGoUntil(): number {
    let until = -Infinity;
    for (const { state } of this.#records.values()) {
      if (state.phase === "letting-go") until = Math.max(until, state.until);
    }
    return until;
  }

  /** How many of `own` have had it for so long. Compared as a moment, like whoever waits for that: see `judge`. */
  lettingGoFor(ms: number, now: number): number {
    if (this.lettingGo === 0) return 0;
    let count = 0;
    for (const { bridge, leaving, state } of this.#records.values()) {
      if (!bridge && !leaving && state.phase === "letting-go" && state.since + ms <= now) count++;
    }
    return count;
  }

  /** How many there are of a kind, by what they do. */
  of(kind: WorkerKind): Readonly<Counts> {
    return this.#counts[kind];
  }

  /** How many there have been, the bridge not counted. */
  get spawned(): number {
    return this.#spawned;
  }

  get(id: number): WorkerRecord<T> | undefined {
    return this.#records.get(id);
  }

  all(): Iterable<WorkerRecord<T>> {
    return this.#records.values();
  }

  /** Those that have nothing to do, longest first; a copy. */
  allIdle(): WorkerRecord<T>[] {
    return [...this.#idle];
  }

  /** Those in the order in which they are given tasks: the choosiest first, then the one that was busy last. */
  idleByTurn(): WorkerRecord<T>[] {
    return this.#idle.toReversed().sort((a, b) => turn(a) - turn(b));
  }

  /** How many are expected to be stopped soon. */
  get expectedStops(): number {
    let stops = 0;
    for (const { state } of this.#records.values()) {
      if (state.phase !== "busy" || state.doubted === undefined) continue;
      if (state.offered.first()?.seq === state.doubted.seq) stops += state.doubted.stops;
    }
    return stops;
  }

  /** How many tasks they hold that they have, as far as is known, not begun. */
  get held(): number {
    let held = 0;
    for (const { state } of this.#records.values()) {
      if (state.phase === "busy") held += Math.max(0, state.offered.size - 1);
    }
    return held;
  }

  /** How many were seen in the middle of a task when they were looked at last. */
  get running(): number {
    let running = 0;
    for (const { state } of this.#records.values()) {
      if (state.phase === "busy" && state.offered.find(state.begun) !== undefined) running++;
    }
    return running;
  }

  /** How many have started but have not yet shown that they can do anything. */
  get unproven(): number {
    let count = 0;
    for (const { state, proven } of this.#records.values()) {
      if (state.phase !== "starting" && !proven) count++;
    }
    return count;
  }

  /** When the workers began to start that have not done so for that long, and are not ready yet. */
  startsWithin(ms: number, now: number): number[] {
    const starts: number[] = [];
    for (const { state } of this.#records.values()) {
      if (state.phase === "starting" && state.since + ms > now) starts.push(state.since);
    }
    return starts;
  }

  /** A new worker, which starts. */
  add(kind: WorkerKind, now: number, bridge = false): WorkerRecord<T> {
    const id = ++this.#lastId;
    if (!bridge) this.#spawned++;
    const worker: WorkerRecord<T> = {
      id,
      kind,
      bridge,
      leaving: false,
      outdated: false,
      slot: 0,
      generation: this.#generation,
      state: { phase: "starting", since: now, initializingSince: undefined },
      home: undefined,
      handed: 0,
      proven: false,
      useful: false,
      modules: new Set(),
      chars: 0,
      unloaded: new Map(),
      lastModule: undefined,
      lastFile: undefined,
      nextSeq: 0,
    };
    this.#records.set(id, worker);
    this.#counts[kind].starting++;
    if (bridge) this.#bridge = worker;
    return worker;
  }

  /** All that there are now lack something that the tasks to come need. Returns the generation of those that follow. */
  discard(): number {
    return ++this.#generation;
  }

  /** Whether any have ever been discarded. */
  get discarded(): boolean {
    return this.#generation > 0;
  }

  /** Whether it was there when workers were discarded. */
  isDiscarded({ generation }: WorkerRecord<T>): boolean {
    return generation < this.#generation;
  }

  /** It has started, or has nothing more to do. */
  rest(worker: WorkerRecord<T>, now: number): void {
    const started = worker.state.phase === "starting";
    this.#leave(worker);
    this.#counts[worker.kind].idle++;
    worker.state = { phase: "idle", since: now };
    if (started) this.#idle.unshift(worker);
    else this.#idle.push(worker);
  }

  /** It has nothing to do any more, and is not ready. */
  startOn(worker: WorkerRecord<T>, starting: Starting): void {
    this.#leave(worker);
    this.#counts[worker.kind].starting++;
    worker.state = starting;
  }

  /** Gives it tasks; it may have some already. */
  give(worker: WorkerRecord<T>, tasks: readonly T[], now: number): Busy<T> {
    worker.handed += tasks.length;
    if (worker.state.phase === "busy") {
      for (const task of tasks) worker.state.offered.push(task);
      return worker.state;
    }
    const starting = worker.state.phase === "starting" ? worker.state : undefined;
    this.#leave(worker);
    this.#counts[worker.kind].busy++;
    return worker.state = {
      phase: "busy",
      starting,
      offered: new Offered([...tasks]),
      since: now,
      begun: -1,
      softened: -1,
      stuck: false,
      condemned: -1,
      disordered: false,
      stolenAt: -Infinity,
      doubted: undefined,
    };
  }

  /** Its task is settled, and it has time until then to let go of it. */
  letGo(worker: WorkerRecord<T>, seq: number, until: number, now: number): void {
    this.#leave(worker);
    this.#counts[worker.kind]["letting-go"]++;
    worker.state = { phase: "letting-go", seq, since: now, until };
  }

  /** Another is to take its place. */
  outdate(worker: WorkerRecord<T>): void {
    if (worker.outdated || worker.leaving || worker.bridge) return;
    worker.outdated = true;
    this.#outdated++;
  }

  /** Those that another is to replace: the next is one that has nothing to do, if there is any. */
  nextOutdated(): WorkerRecord<T> | undefined {
    let next: WorkerRecord<T> | undefined;
    for (const worker of this.#records.values()) {
      if (!worker.outdated || worker.leaving || worker.state.phase === "starting") continue;
      if (worker.state.phase === "idle") return worker;
      next ??= worker;
    }
    return next;
  }

  /** It is given nothing more. */
  leave(worker: WorkerRecord<T>): void {
    if (worker.leaving) return;
    worker.leaving = true;
    if (worker.outdated) this.#outdated--;
    if (!worker.bridge) this.#leaving[worker.kind]++;
  }

  /** It is told to end, or has ended. */
  remove(worker: WorkerRecord<T>): void {
    this.#leave(worker);
    this.#records.delete(worker.id);
    if (worker.bridge) this.#bridge = undefined;
    if (worker.leaving) this.#leaving[worker.kind] -= Number(!worker.bridge);
    else if (worker.outdated) this.#outdated--;
  }

  /** Counts it out of those that do what it did. */
  #leave(worker: WorkerRecord<T>): void {
    const { phase } = worker.state;
    this.#counts[worker.kind][phase]--;
    if (phase === "idle") this.#idle.splice(this.#idle.lastIndexOf(worker), 1);
  }
}

/** One that may run a single file only, then threads, then processes, which may run anything. */
function turn({ kind, home }: WorkerRecord<Task>): number {
  if (home !== undefined) return 0;
  return kind === "thread" ? 1 : 2;
}
