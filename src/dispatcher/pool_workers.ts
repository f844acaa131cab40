import { adoptLink, createLink } from "../runtime/link.ts";
import { listen } from "../runtime/listen.ts";
import type { WorkerEvents, WorkerLink } from "../runtime/port.ts";
import { quiet, THREAD_TURNS } from "../runtime/quiet.ts";
import type { Event, WorkerKind } from "../scheduler/scheduling.ts";
import { within } from "../util/within.ts";
import { now } from "../wire/now.ts";
import { discard } from "../wire/sealed.ts";
import {
  type BridgeData,
  type DeathData,
  type DispatcherOptions,
  FIRST_RUN,
  type FromNursery,
  type FromWorker,
  type ProgressData,
  RESULTS,
  type ToNursery,
} from "../wire/protocol.ts";
import type { ModuleTable } from "./module_table.ts";
import type { Outbox } from "./outbox.ts";
import { Regions } from "./regions.ts";
import { PoolWorker, type RunResult, undeliverable } from "./pool_worker.ts";
import type { RunTask } from "./run_task.ts";

/** How long the nursery is waited for, in milliseconds: it may be busy with large values of other tasks. */
const DRAIN_MS = 2_000;
/** How long to wait to be told why a worker ended by whoever is not busy, in milliseconds. */
const DEATH_MS = 250;

/** What the workers need of their dispatcher. */
export interface WorkerHost {
  /** Tells the scheduler, and does what it says. */
  tell(event: Event<RunTask, RunResult>): void;
  /** Keeps something to tell the scheduler before the next event. */
  note(event: Event<RunTask, RunResult>): void;
  /** Tells the scheduler what was noted. */
  handle(): void;
  /** The numbers of the tasks that a worker holds. */
  offered(worker: number): number[];
  /** The task that a worker holds under a number. */
  taskOf(worker: number, seq: number): RunTask | undefined;
  /** A task reported progress. */
  progressed(task: RunTask, worker: number, progress: ProgressData): void;
  /** Whether a worker of the kind may load the module before its tasks come: another one has. */
  mayLoadAhead(module: number, isolation: WorkerKind): boolean;
  /** Has the worker interrupted that the entry has started. */
  killBridge(): void;
}

/** The workers, as the dispatcher holds them: has them started and ended, looks at them, and hears what they say. */
export class PoolWorkers {
  readonly #options: DispatcherOptions;
  readonly #nursery: MessagePort;
  readonly #host: WorkerHost;
  readonly #outbox: Outbox;
  readonly #modules: ModuleTable;
  readonly #workers = new Map<number, PoolWorker>();
  /** The worker that the entry has started, by its number. */
  #bridge: number | undefined;
  /** One has been ready. */
  #served = false;
  #warned = false;
  /** In a cell. */
  readonly #regions = new Regions();
  /** Who waits for the nursery, by the number of the request. */
  readonly #draining = new Map<number, () => void>();
  #drains = 0;

  constructor(
    options: DispatcherOptions,
    nursery: MessagePort,
    host: WorkerHost,
    outbox: Outbox,
    modules: ModuleTable,
  ) {
    this.#options = options;
    this.#nursery = nursery;
    this.#host = host;
    this.#outbox = outbox;
    this.#modules = modules;
    listen<FromNursery>(nursery, (message) => this.#fromNursery(message));
  }

  get(id: number): PoolWorker | undefined {
    return this.#workers.get(id);
  }

  /** Has a worker started. */
  spawn(id: number, isolation: WorkerKind): void {
    const { setup, permissions, cwd, v8Flags, main } = this.#options;
    const { link, port } = this.#hold(id, isolation, (events) => createLink(isolation, events));
    const ahead = this.#modules.ahead((module) => this.#host.mayLoadAhead(module, isolation));
    this.#workers.get(id)!.modules.push(...ahead.map(({ module }) => module));
    const spec = {
      isolation,
      setup: { ...setup, ahead },
      // Until one is ready all tasks wait for that.
      hurried: !this.#served && this.#bridge === undefined,
      child: isolation === "process"
        ? { permissions: permissions?.flags ?? [], readable: this.#readable(), cwd, v8Flags, main }
        : undefined,
      lock: link.lock,
      claims: this.#options.cell ? this.#regions.take(id) : undefined,
    };
    this.#toNursery({ type: "spawn", worker: id, port, shared: link.memory, spec }, [port]);
  }

  /** A file has a first module, which the workers may not be able to read. */
  meet(file: number, specifier: string): void {
    const { permissions, main } = this.#options;
    if (permissions?.readsAll !== false) return;
    if (!permissions.readsSome) return this.#host.tell({ type: "discard", file });
    this.#host.tell({ type: "asked", file });
    this.#toNursery({ type: "ask-readable", file, specifier, permissions: permissions.flags, main });
  }

  /** The modules whose files a child process must be able to read, where it may not read everything. */
  #readable(): string[] {
    const { setup: { initializer }, permissions } = this.#options;
    if (permissions?.readsAll !== false) return [];
    const modules = this.#modules.specifiers();
    return initializer === undefined ? [...modules] : [initializer.module, ...modules];
  }

  /** Takes the one over that the entry has started. */
  adopt(id: number, bridge: BridgeData): void {
    this.#bridge = id;
    this.#hold(id, "thread", (events) => ({ link: adoptLink(bridge, events) }));
  }

  /** The entry has handed this task to the one that it has started. */
  handed({ module, pushedAt }: RunTask): void {
    const worker = this.#workers.get(this.#bridge!)!;
    worker.modules.push(module);
    worker.link.offered(FIRST_RUN.seq, pushedAt);
  }

  /** The one that the entry has started has ended, as the entry tells. */
  bridgeGone(death: DeathData): void {
    if (this.#bridge !== undefined) this.#ended(this.#bridge, death);
  }

  /** The one that the entry has started was interrupted, as the entry tells: it may have come to it late. */
  bridgeInterrupted(): void {
    if (this.#bridge !== undefined) this.#host.tell({ type: "interrupted", worker: this.#bridge });
  }

  #hold<Opened extends { link: WorkerLink }>(
    id: number,
    isolation: WorkerKind,
    open: (events: WorkerEvents) => Opened,
  ): Opened {
    const opened = open({
      message: (message) => this.#fromWorker(worker, message),
      gone: () => void this.#portClosed(worker),
    });
    const strange = isolation !== this.#options.isolation;
    const worker = new PoolWorker(id, isolation, strange, opened.link, () => this.look(worker));
    this.#workers.set(id, worker);
    return opened;
  }

  /** Asks a worker to end; cleanly if it is idle. */
  dismiss(id: number, clean: boolean): void {
    const worker = this.#workers.get(id)!;
    worker.dismiss();
    worker.link.post({ type: "close", clean });
    if (!clean) worker.link.stop();
    if (!clean && worker.ready) this.#outbox.happened({ type: "worker-killed", at: now(), workerId: id });
  }

  /** Has a worker interrupted, or killed. */
  kill(id: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.dismiss();
    this.#interrupt(id);
  }

  #interrupt(id: number): void {
    if (id === this.#bridge) this.#host.killBridge();
    else this.#toNursery({ type: "kill", worker: id });
  }

  /** Hands tasks to a worker. */
  offer(id: number, tasks: readonly RunTask[], modules: readonly number[]): void {
    const news = modules.length === 0 ? [] : modules.map((module) => this.#modules.get(module));
    const worker = this.#workers.get(id)!;
    worker.modules.push(...modules);
    const results = worker.offer(tasks, news);
    if (results.length > 0) this.#host.note({ type: "results", worker: id, results });
  }

  /** Takes back those of the tasks that the worker has not begun, and returns their numbers. */
  takeBack(id: number, seqs: readonly number[]): number[] {
    const worker = this.#workers.get(id)!;
    // From the back: the worker is claiming from the front.
    return seqs.toReversed().filter((seq) => this.#takeBack(worker, seq)).reverse();
  }

  /** Finds out what a worker is doing, and tells. */
  look(worker: PoolWorker, drained = false): void {
    if (!this.#workers.has(worker.id) || !worker.ready || worker.dismissed) return;
    let running = worker.look(this.#host.offered(worker.id));
    // Read after the look: what is finished by now is not running, whatever was seen.
    const results = worker.read();
    if (results.length > 0) {
      this.#host.note({ type: "results", worker: worker.id, results });
      if (results.some(({ seq }) => seq === running?.seq)) running = undefined;
    }
    if (running !== undefined && !running.loading && this.#outbox.watched) {
      const task = this.#host.taskOf(worker.id, running.seq);
      if (task !== undefined) this.#outbox.began(task, worker.id, task.attempts + 1, running.since);
    }
    // A thread that ran out of memory does not say so by itself.
    if (running !== undefined && this.#options.setup.memoryLimit !== undefined) {
      worker.link.post({ type: "ping" });
    }
    this.#host.tell({ type: "looked", worker: worker.id, running, drained });
  }

  /** Tells who begins to watch which workers there are. */
  tellStarted(): void {
    for (const { id, ready, startedAt } of this.#workers.values()) {
      if (ready) this.#outbox.happened({ type: "worker-started", at: startedAt, workerId: id });
    }
  }

  lookAtAll(): void {
    for (const worker of this.#workers.values()) this.look(worker);
  }

  /** Looks at a worker after all it has posted so far was taken in. */
  async lookDrained(worker: PoolWorker): Promise<void> {
    if (worker.isolation === "process" && !this.#isStarting()) await this.#drainNursery(worker.id);
    await quiet(() => worker.heard, THREAD_TURNS);
    this.look(worker, true);
  }

  /** Tells on stderr what a worker did. */
  say(what: string): void {
    console.error(`${this.#options.name}: a worker ${what}`);
  }

  /** The pool is over. */
  end(): void {
    for (const { watch, link } of this.#workers.values()) {
      watch.end();
      link.end();
    }
  }

  // The nursery

  #toNursery(message: ToNursery, transfer: Transferable[] = []): void {
    this.#nursery.postMessage(message, transfer);
  }

  #fromNursery(message: FromNursery): void {
    switch (message.type) {
      case "gone":
        return this.#ended(message.worker, message.death);
      case "interrupted":
        return this.#host.tell({ type: "interrupted", worker: message.worker });
      case "undeliverable":
        if (!this.#workers.has(message.worker)) return;
        return this.#host.tell({
          type: "results",
          worker: message.worker,
          results: [undeliverable(message.seq, message.error)],
        });
      case "readable":
        if (this.#modules.url(message.file) === undefined) return;
        return this.#host.tell({ type: message.readable ? "readable" : "discard", file: message.file });
      case "drained":
        return this.#draining.get(message.request)?.();
      default:
        message satisfies never;
    }
  }

  /** Who has started a worker tells that it has ended. */
  #ended(id: number, death: DeathData): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.seen ??= death;
    // A thread that was told to end says so before it has ended: the closing of its port tells when it has.
    if (worker.closed || !worker.link.tellsEnd || (!worker.ready && !worker.dismissed)) this.#bury(worker);
  }

  /** Whether the nursery may be starting a worker, which takes it longer than an outcome may be late. */
  #isStarting(): boolean {
    for (const { ready } of this.#workers.values()) if (!ready) return true;
    return false;
  }

  /** What a process says comes through the nursery, and the end of a thread: it may be busy with others. */
  async #drainNursery(worker: number): Promise<void> {
    const drained = Promise.withResolvers<void>();
    const request = ++this.#drains;
    this.#draining.set(request, drained.resolve);
    this.#toNursery({ type: "drain", worker, request });
    await within(drained.promise, DRAIN_MS);
    this.#draining.delete(request);
  }

  // What a worker says, and its end

  #fromWorker(worker: PoolWorker, message: FromWorker): void {
    worker.heard++;
    if (message === RESULTS) return this.#drainAll();
    switch (message.type) {
      case "initializing":
        return this.#host.tell({ type: "initializing", worker: worker.id });
      case "ready":
        worker.ready = this.#served = true;
        worker.startedAt = now();
        worker.link.ready(message.at);
        this.#outbox.happened({ type: "worker-started", at: worker.startedAt, workerId: worker.id });
        return this.#host.tell({ type: "ready", worker: worker.id });
      case "failed-start":
        worker.death = {
          reason: "error",
          exitCode: 0,
          error: message.error,
          message: `could not run its initializer: ${message.error.message}`,
        };
        return;
      case "result":
        // Records were written before: they are told first.
        this.#drain(worker);
        this.#host.tell({
          type: "results",
          worker: worker.id,
          results: [worker.result(message.result)],
        });
        // Nobody wants it any more.
        if (message.result.sealed !== undefined) discard(message.result.sealed);
        return;
      case "disposing":
        return this.#host.tell({ type: "disposing", worker: worker.id });
      case "output": {
        const task = this.#host.taskOf(worker.id, message.seq);
        if (task !== undefined) this.#outbox.printed(task, message.stream, message.text);
        return;
      }
      case "full":
        return this.#host.tell({ type: "full", worker: worker.id });
      case "failed-dispose":
        return this.say(`could not run its initializer's dispose(): ${message.error.message}`);
      case "home":
        // It makes a worker useless for the tasks of others.
        this.#modules.spoil(message.module);
        return this.#host.tell({ type: "home", worker: worker.id, module: message.module });
      case "started":
        worker.link.started(message.seq, message.at, message.loading, message.callbacks);
        return this.look(worker);
      case "progress": {
        const task = this.#host.taskOf(worker.id, message.seq);
        if (task === undefined) return;
        return this.#host.progressed(task, worker.id, message);
      }
      case "ended":
        worker.death ??= message.death;
        worker.link.leaves();
        worker.link.post({ type: "close", clean: false });
        return;
      case "returned":
        this.#host.taskOf(worker.id, message.seq)?.restore(message.args, message.moved);
        return;
      case "dying":
        worker.death ??= message.death;
        worker.link.leaves();
        if (message.death.changed !== undefined) this.#warn(message.death.message);
        // Its end may not come: an exit does not always stop the code that called it.
        setTimeout(() => {
          if (this.#workers.get(worker.id) !== worker) return;
          this.#interrupt(worker.id);
          this.#bury(worker);
        }, DEATH_MS);
        return;
      default:
        message satisfies never;
    }
  }

  #takeBack({ id, link }: PoolWorker, seq: number): boolean {
    // A task whose buffers were moved cannot be taken back.
    return !this.#host.taskOf(id, seq)?.left && link.takeBack(seq);
  }

  /** Reads what all workers have written: one of them said so, and the others then need not. */
  #drainAll(): void {
    for (const worker of this.#workers.values()) {
      const results = worker.read();
      if (results.length > 0) this.#host.note({ type: "results", worker: worker.id, results });
    }
    this.#host.handle();
  }

  #drain(worker: PoolWorker): void {
    const results = worker.read();
    if (results.length > 0) this.#host.tell({ type: "results", worker: worker.id, results });
  }

  async #portClosed(worker: PoolWorker): Promise<void> {
    worker.closed = true;
    if ((worker.death ?? worker.seen) !== undefined || worker.dismissed) return this.#bury(worker);
    // The nursery tells why, as soon as it is not busy starting others.
    if (worker.id !== this.#bridge) await this.#drainNursery(worker.id);
    setTimeout(() => this.#bury(worker), DEATH_MS);
  }

  #bury(worker: PoolWorker): void {
    if (!this.#workers.has(worker.id)) return;
    worker.watch.end();
    worker.link.end();
    const running = worker.look(this.#host.offered(worker.id));
    // Told together with its end: told before, they would make it free for another task.
    const results = worker.read();
    const unclaimed = this.#host.offered(worker.id).filter((seq) => this.#takeBack(worker, seq));
    const death = worker.death ?? worker.seen ?? { reason: "exit", exitCode: null, message: "exited" };
    this.#workers.delete(worker.id);
    this.#regions.give(worker.id);
    // One of them may have brought that about.
    if (!worker.dismissed) worker.modules.forEach((module) => this.#modules.spoil(module));
    // Of one that never started nobody has heard.
    if (worker.ready) {
      const reason = worker.dismissed ? "stopped" : death.reason;
      const error = worker.dismissed ? undefined : death.error;
      this.#outbox.happened({ type: "worker-gone", at: now(), workerId: worker.id, reason, error });
    }
    this.#host.tell({ type: "gone", worker: worker.id, death, results, running, unclaimed });
  }

  /** Tells, once, why tasks take far longer than they run: each may cost the start of a worker. */
  #warn(message: string): void {
    if (this.#warned) return;
    this.#warned = true;
    console.error(
      `${this.#options.name}: a worker ${message}; while tasks do so, each costs the start of a worker`,
    );
  }
}
