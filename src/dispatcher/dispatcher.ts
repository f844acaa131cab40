/**
 * Off the main thread: keeps the queue and the pool, hands tasks out, watches deadlines, tells outcomes.
 *
 * It decides nothing itself. It tells the scheduler what happens, carries out the commands that come back, and
 * never looks inside arguments and values: records are copied as they are.
 *
 * @module
 */
import { now } from "../wire/now.ts";
import { type EntryPort, Outbox } from "./outbox.ts";
import { PoolWorker, type RunResult, undeliverable } from "./pool_worker.ts";
import {
  type DeathData,
  type DispatcherOptions,
  type FromNursery,
  type FromWorker,
  PROTOCOL_VERSION,
  RESULTS,
  type TaskData,
  type ToDispatcher,
  type ToNursery,
} from "../wire/protocol.ts";
import { quiet, THREAD_TURNS } from "../runtime/quiet.ts";
import { RecordBatch, RunTask } from "./run_task.ts";
import { capacityOf, createLink } from "../runtime/link.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import type { Command, Event } from "../scheduler/scheduling.ts";
import { within } from "../util/within.ts";

/** How often workers are looked at while somebody watches events, in milliseconds. */
const EVENTS_MS = 50;
/** How long the nursery is waited for, in milliseconds: it may be busy with large values of other tasks. */
const DRAIN_MS = 2_000;
/** How long to wait for the word of why a worker ended. */
const DEATH_MS = 250;

/** See the module's description. */
export class Dispatcher {
  readonly #entry: EntryPort;
  readonly #outbox: Outbox;
  #nursery: MessagePort | undefined;
  #options: DispatcherOptions | undefined;
  #scheduler: Scheduler<RunTask, RunResult> | undefined;
  readonly #workers = new Map<number, PoolWorker>();
  readonly #modules: string[] = [];
  #warned = false;
  /** Tasks that can be cancelled, by id. */
  readonly #cancellable = new Map<number, RunTask>();
  #events: Event<RunTask, RunResult>[] = [];
  #handling = false;
  #wakeAt = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #inspections = 0;
  /** Generators that wait for the entry to take what they yielded, by task. */
  readonly #pullers = new Map<number, { worker: number; seq: number }>();
  #watching: ReturnType<typeof setInterval> | undefined;
  /** Who waits for the nursery, by the number of the request. */
  readonly #draining = new Map<number, () => void>();
  #drains = 0;

  constructor(entry: EntryPort) {
    this.#entry = entry;
    this.#outbox = new Outbox(entry);
  }

  /** Takes a message of the entry in. */
  receive(message: ToDispatcher): void {
    if (message instanceof ArrayBuffer) return this.#tell({ type: "batch", batch: new RecordBatch(message) });
    switch (message.type) {
      case "hello":
        return this.#start(message.version, message.options, message.nursery);
      case "module":
        this.#modules[message.module] = message.specifier;
        if (this.#options!.permissions?.readsAll === false) this.#tell({ type: "renew" });
        return;
      case "push":
        return this.#push(message.task, message.at);
      case "cancel": {
        const task = this.#cancellable.get(message.id);
        if (task !== undefined) this.#tell({ type: "cancel", task });
        return;
      }
      case "inspect": {
        const { loadTimeout } = this.#options!;
        if (this.#scheduler!.callbacks(message.module) !== undefined) return this.#inspected(message.module);
        return this.#push({
          id: -(++this.#inspections),
          module: message.module,
          timeout: loadTimeout,
          args: undefined,
          transfer: [],
          // The outcome of a task waits for it.
          priority: Infinity,
          softTimeout: undefined,
          retry: undefined,
        }, now());
      }
      case "stats":
        this.#lookAtAll();
        this.#entry.post({ type: "stats", request: message.request, stats: this.#scheduler!.stats() });
        return;
      case "resume": {
        const puller = this.#pullers.get(message.id);
        if (puller !== undefined) {
          this.#workers.get(puller.worker)?.link.post({ type: "resume", seq: puller.seq });
        }
        return;
      }
      case "watch-events":
        return this.#watchEvents(message.on);
      case "stop":
      case "terminate":
        this.#lookAtAll();
        this.#tell({ type: message.type });
        if (message.type === "terminate") this.#entry.post({ type: "told" });
        return;
      default:
        message satisfies never;
    }
  }

  #start(version: number, options: DispatcherOptions, nursery: MessagePort): void {
    if (version !== PROTOCOL_VERSION) {
      throw new Error(
        `Cannot start the dispatcher: it speaks version ${PROTOCOL_VERSION}, the entry ${version}`,
      );
    }
    this.#options = options;
    this.#nursery = nursery;
    nursery.onmessage = ({ data }: MessageEvent<FromNursery>) => this.#fromNursery(data);
    this.#scheduler = new Scheduler({
      ...options,
      cores: navigator.hardwareConcurrency,
      // A process needs no time to end by itself: it is killed at the deadline.
      killGrace: options.isolation === "thread" ? options.killGrace : 0,
      ...capacityOf(options.isolation),
    });
    for (const command of this.#scheduler.start(now())) this.#carryOut(command);
    this.#setTimer();
  }

  #push(data: TaskData, at: number): void {
    const task = new RunTask(data.id, data.module, data.timeout, at, data, 0);
    if (data.id > 0) this.#cancellable.set(data.id, task);
    this.#tell({ type: "push", task });
  }

  /** Tells the scheduler, and does what it says; events that come of that follow in their order. */
  #tell(event: Event<RunTask, RunResult>): void {
    this.#events.push(event);
    this.#handle();
  }

  #handle(): void {
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let i = 0; i < this.#events.length; i++) {
        const commands = this.#scheduler!.handle(this.#events[i]!, now());
        for (let j = 0; j < commands.length; j++) this.#carryOut(commands[j]!);
      }
    } finally {
      this.#events = [];
      this.#handling = false;
    }
    this.#outbox.flush();
    this.#setTimer();
  }

  #carryOut(command: Command<RunTask, RunResult>): void {
    switch (command.type) {
      case "finish":
        return this.#finish(command.task, command.worker, command.result, command.waitedMs);
      case "settle":
        return this.#settle(command);
      case "ran":
        return this.#outbox.began(command.task, command.worker, command.task.attempts, command.startedAt);
      case "offer":
        return this.#offer(command.worker, command.tasks);
      case "watch":
        return this.#workers.get(command.worker)?.watch.by(command.at, now());
      case "look": {
        const worker = this.#workers.get(command.worker);
        if (worker === undefined) return;
        if (command.drained) void this.#lookDrained(worker);
        else this.#look(worker);
        return;
      }
      case "take-back": {
        const worker = this.#workers.get(command.worker)!;
        // From the back: the worker is claiming from the front.
        const seqs = command.seqs.toReversed().filter((seq) => this.#takeBack(worker, seq)).reverse();
        return this.#tell({ type: "taken-back", worker: command.worker, seqs });
      }
      case "spawn":
        return this.#spawn(command.worker);
      case "close": {
        const worker = this.#workers.get(command.worker)!;
        worker.dismiss();
        worker.link.post({ type: "close", clean: command.clean });
        if (!command.clean) this.#outbox.happened({ type: "worker-killed", at: now(), workerId: worker.id });
        return;
      }
      case "kill": {
        const worker = this.#workers.get(command.worker);
        if (worker === undefined) return;
        worker.dismiss();
        return this.#toNursery({ type: "kill", worker: command.worker });
      }
      case "abort":
        this.#workers.get(command.worker)?.link.post({ type: "abort", seq: command.seq });
        return;
      case "warm":
        return this.#entry.post({ type: "ready" });
      case "broken": {
        const { death } = command;
        return this.#entry.post({ type: "broken", error: errorOf(death), message: death.message });
      }
      case "closed":
        return this.#close();
      default:
        command satisfies never;
    }
  }

  #setTimer(): void {
    const at = this.#scheduler!.wakeAt;
    if (at === this.#wakeAt) return;
    clearTimeout(this.#timer);
    this.#wakeAt = at;
    if (at === Infinity) return;
    this.#timer = setTimeout(() => {
      this.#wakeAt = Infinity;
      this.#tell({ type: "tick" });
    }, Math.max(0, Math.min(at - now(), 2 ** 31 - 1)));
  }

  /** Tells, once, why tasks take far longer than they run: each may cost the start of a worker. */
  #warn(message: string): void {
    if (this.#warned) return;
    this.#warned = true;
    console.error(
      `${this.#options!.name}: a worker ${message}; while tasks do so, each costs the start of a worker`,
    );
  }

  // Workers

  #spawn(id: number): void {
    const { isolation, initializer, memoryLimit, permissions, config } = this.#options!;
    const { link, port } = createLink(isolation, {
      message: (message) => this.#fromWorker(worker, message),
      gone: () => this.#portClosed(worker),
    });
    const worker = new PoolWorker(id, link, () => this.#look(worker));
    this.#workers.set(id, worker);
    const modules = initializer === undefined ? this.#modules : [initializer, ...this.#modules];
    const spec = {
      isolation,
      initializer,
      memoryLimit,
      flags: [...(permissions?.flags ?? []), ...(config === undefined ? [] : [`--config=${config}`])],
      readable: permissions?.readsAll === false ? modules : [],
    };
    this.#toNursery({ type: "spawn", worker: id, port, shared: link.memory, spec }, [port]);
  }

  #toNursery(message: ToNursery, transfer: Transferable[] = []): void {
    this.#nursery!.postMessage(message, transfer);
  }

  #fromNursery(message: FromNursery): void {
    if (message.type === "drained") return this.#draining.get(message.request)?.();
    const worker = this.#workers.get(message.worker);
    if (worker === undefined) return;
    switch (message.type) {
      case "gone":
        worker.death ??= message.death;
        // A thread that was told to end says so before it has: its port's closing tells when.
        if (worker.closed || (!worker.ready && !worker.dismissed)) this.#bury(worker);
        return;
      case "undeliverable":
        return this.#tell({
          type: "results",
          worker: worker.id,
          results: [undeliverable(message.seq, message.error)],
        });
      default:
        message satisfies never;
    }
  }

  #portClosed(worker: PoolWorker): void {
    worker.closed = true;
    if (worker.death !== undefined || worker.dismissed) this.#bury(worker);
    else setTimeout(() => this.#bury(worker), DEATH_MS);
  }

  #bury(worker: PoolWorker): void {
    if (!this.#workers.has(worker.id)) return;
    worker.watch.end();
    worker.link.end();
    const running = worker.look(this.#scheduler!.offered(worker.id));
    // Told together with its end: told before, they would make it free for another task.
    const results = worker.read();
    const unclaimed = this.#scheduler!.offered(worker.id).filter((seq) => this.#takeBack(worker, seq));
    const death = worker.death ?? { reason: "exit", exitCode: null, message: "exited" };
    this.#workers.delete(worker.id);
    this.#outbox.happened({ type: "worker-gone", at: now(), workerId: worker.id });
    this.#tell({ type: "gone", worker: worker.id, death, results, running, unclaimed });
  }

  #fromWorker(worker: PoolWorker, message: FromWorker): void {
    worker.heard++;
    if (message === RESULTS) return this.#drainAll();
    switch (message.type) {
      case "initializing":
        return this.#tell({ type: "initializing", worker: worker.id });
      case "ready":
        worker.ready = true;
        worker.link.ready(message.at);
        this.#outbox.happened({ type: "worker-started", at: now(), workerId: worker.id });
        return this.#tell({ type: "ready", worker: worker.id });
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
        return this.#tell({
          type: "results",
          worker: worker.id,
          results: [worker.result(message.result)],
        });
      case "started":
        worker.link.started(message.seq, message.at, message.loading, message.callbacks);
        return this.#look(worker);
      case "progress": {
        const task = this.#scheduler!.taskOf(worker.id, message.seq);
        if (task === undefined) return;
        if (message.pull) this.#pullers.set(task.id, { worker: worker.id, seq: message.seq });
        return this.#entry.post({ type: "progress", id: task.id, value: message.value, pull: message.pull });
      }
      case "dying":
        worker.death ??= message.death;
        worker.link.leaves();
        if (message.death.changed !== undefined) this.#warn(message.death.message);
        // Its end may not come: an exit does not always stop the code that called it.
        setTimeout(() => {
          if (this.#workers.get(worker.id) !== worker) return;
          this.#toNursery({ type: "kill", worker: worker.id });
          this.#bury(worker);
        }, DEATH_MS);
        return;
      default:
        message satisfies never;
    }
  }

  /** Looks at a worker after all it has posted so far was taken in. */
  async #lookDrained(worker: PoolWorker): Promise<void> {
    if (this.#options!.isolation === "process" && !this.#isStarting()) await this.#drainNursery(worker.id);
    await quiet(() => worker.heard, THREAD_TURNS);
    this.#look(worker, true);
  }

  /** Whether the nursery may be starting a worker, which takes it longer than an outcome may be late. */
  #isStarting(): boolean {
    for (const { ready } of this.#workers.values()) if (!ready) return true;
    return false;
  }

  /** What a process says comes by way of the nursery, which may be busy with what another one says. */
  async #drainNursery(worker: number): Promise<void> {
    const drained = Promise.withResolvers<void>();
    const request = ++this.#drains;
    this.#draining.set(request, drained.resolve);
    this.#toNursery({ type: "drain", worker, request });
    await within(drained.promise, DRAIN_MS);
    this.#draining.delete(request);
  }

  /** Finds out what a worker is doing, and tells. */
  #look(worker: PoolWorker, drained = false): void {
    if (!this.#workers.has(worker.id) || !worker.ready || worker.dismissed) return;
    let running = worker.look(this.#scheduler!.offered(worker.id));
    // Read after the look: what is finished by now is not running, whatever was seen.
    const results = worker.read();
    if (results.length > 0) {
      this.#events.push({ type: "results", worker: worker.id, results });
      if (results.some(({ seq }) => seq === running?.seq)) running = undefined;
    }
    if (running !== undefined && !running.loading && this.#outbox.watched) {
      const task = this.#scheduler!.taskOf(worker.id, running.seq);
      if (task !== undefined) this.#outbox.began(task, worker.id, task.attempts + 1, running.since);
    }
    // A thread that ran out of memory does not say so by itself.
    if (running !== undefined && this.#options!.memoryLimit !== undefined) worker.link.post({ type: "ping" });
    this.#tell({ type: "looked", worker: worker.id, running, drained });
  }

  #lookAtAll(): void {
    for (const worker of this.#workers.values()) {
      this.#look(worker);
    }
  }

  #takeBack({ id, link }: PoolWorker, seq: number): boolean {
    // Its buffers have left with it.
    return !this.#scheduler!.taskOf(id, seq)?.exclusive && link.takeBack(seq);
  }

  /** Reads what all workers have written: one of them said so, and the others then need not. */
  #drainAll(): void {
    for (const worker of this.#workers.values()) {
      const results = worker.read();
      if (results.length > 0) this.#events.push({ type: "results", worker: worker.id, results });
    }
    this.#handle();
  }

  #drain(worker: PoolWorker): void {
    const results = worker.read();
    if (results.length > 0) this.#tell({ type: "results", worker: worker.id, results });
  }

  // Tasks

  #offer(id: number, tasks: readonly RunTask[]): void {
    const results = this.#workers.get(id)!.offer(tasks, this.#modules);
    if (results.length > 0) this.#events.push({ type: "results", worker: id, results });
  }

  #finish(task: RunTask, worker: number, result: RunResult, waitedMs: number): void {
    this.#forget(task);
    this.#outbox.began(task, worker, task.attempts, result.startedAt);
    if (task.id < 0) return this.#inspected(task.module);
    // A module that could not be loaded has no callbacks that could fire.
    const none = result.data?.load === undefined ? undefined : 0;
    const callbacks = result.callbacks ?? this.#scheduler!.callbacks(task.module) ?? none;
    this.#outbox.result(task, worker, result, callbacks, waitedMs);
  }

  #settle(command: Command<RunTask, RunResult> & { type: "settle" }): void {
    const { task, worker, waitedMs } = command;
    this.#forget(task);
    if (worker !== undefined) this.#outbox.began(task, worker, task.attempts, task.pushedAt + waitedMs);
    if (task.id < 0) return this.#inspected(task.module);
    this.#outbox.verdict(command);
  }

  #forget(task: RunTask): void {
    if (this.#pullers.size > 0) this.#pullers.delete(task.id);
    if (task.data === undefined) return;
    this.#cancellable.delete(task.id);
    // A cancelled task may be in the queue for long; what it was given need not be.
    task.release();
  }

  #watchEvents(on: boolean): void {
    clearInterval(this.#watching);
    this.#outbox.watch(on);
    if (!on) return;
    // A worker tells when a task is over, not when it began: whoever watches wants to know sooner.
    this.#watching = setInterval(() => {
      this.#lookAtAll();
      this.#outbox.flush();
    }, EVENTS_MS);
  }

  #inspected(module: number): void {
    const callbacks = this.#scheduler!.callbacks(module) ?? 0;
    this.#entry.post({ type: "inspected", module, callbacks });
  }

  #close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#watching);
    this.#outbox.flush();
    for (const { watch, link } of this.#workers.values()) {
      watch.end();
      link.end();
    }
    this.#entry.post({ type: "closed", stats: this.#scheduler!.stats() });
  }
}

function errorOf(death: DeathData): NonNullable<DeathData["error"]> {
  return death.error ??
    {
      class: "Error",
      name: "Error",
      message: `The worker ${death.message}`,
      stack: undefined,
      properties: [],
    };
}
