/**
 * Off the main thread: keeps the queue and the pool, hands tasks out, watches deadlines, tells outcomes.
 *
 * It decides nothing itself. It tells the scheduler what happens, carries out the commands that come back, and
 * never looks inside arguments and values: records are copied as they are.
 *
 * @module
 */
import { largeBuffers } from "./buffers.ts";
import { describeError } from "./error_data.ts";
import {
  type DeathData,
  type DispatcherOptions,
  type EventData,
  type FromNursery,
  type FromWorker,
  type OutcomeData,
  PROTOCOL_VERSION,
  type ResultData,
  RESULTS,
  type Running,
  type TaskData,
  type ToDispatcher,
  type ToEntry,
  type ToNursery,
} from "./protocol.ts";
import { OutcomeRecord, RecordWriter, ResultRecord, RunRecord, TaskRecord } from "./records.ts";
import { RecordBatch, RunTask } from "./run_task.ts";
import { createLink } from "./runtime/link.ts";
import type { WorkerLink } from "./runtime/port.ts";
import { Scheduler } from "./scheduler.ts";
import type { Command, Event, Result } from "./scheduling.ts";
import { Watch } from "./watch.ts";

/** How the dispatcher reaches the entry. */
export interface EntryPort {
  post(message: ToEntry, transfer?: Transferable[]): void;
}

/** How often workers are looked at while somebody watches events, in milliseconds. */
const EVENTS_MS = 50;
/** How long to wait for the word of why a worker ended. */
const DEATH_MS = 250;
/** The size of a result ring, which is what can be read from one at once. */
const MAX_RING_WORDS = 1 << 14;

const now = () => performance.timeOrigin + performance.now();

/** The end of a run: a record, or a message. */
interface RunResult extends Result {
  readonly words: Int32Array | undefined;
  readonly at: number;
  readonly data: ResultData | undefined;
}

interface WorkerRecord {
  readonly id: number;
  readonly link: WorkerLink;
  readonly watch: Watch;
  /** How many modules it knows. */
  modules: number;
  ready: boolean;
  /** It was told to end, so nobody needs to know why it does. */
  dismissed: boolean;
  death: DeathData | undefined;
  /** Its port is closed. */
  closed: boolean;
}

/** See the module's description. */
export class Dispatcher {
  readonly #entry: EntryPort;
  #nursery: MessagePort | undefined;
  #options: DispatcherOptions | undefined;
  #scheduler: Scheduler<RunTask, RunResult> | undefined;
  readonly #workers = new Map<number, WorkerRecord>();
  readonly #modules: string[] = [];
  /** Tasks that can be cancelled, by id. */
  readonly #cancellable = new Map<number, RunTask>();
  readonly #outcomes = new RecordWriter();
  readonly #runs = new RecordWriter();
  readonly #scratch = new Int32Array(MAX_RING_WORDS);
  #events: Event<RunTask, RunResult>[] = [];
  #handling = false;
  #wakeAt = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #inspections = 0;
  /** Generators that wait for the entry to take what they yielded, by task. */
  readonly #pullers = new Map<number, { worker: number; seq: number }>();
  /** What happened, while somebody watches; sent with the outcomes. */
  #happened: EventData[] | undefined;
  #watching: ReturnType<typeof setInterval> | undefined;

  constructor(entry: EntryPort) {
    this.#entry = entry;
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
        return this.#push({
          id: -(++this.#inspections),
          module: message.module,
          timeout: loadTimeout,
          args: undefined,
          transfer: [],
          priority: 0,
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
    const thread = options.isolation === "thread";
    this.#scheduler = new Scheduler({
      ...options,
      // A process needs no time to end by itself: it is killed at the deadline.
      killGrace: thread ? options.killGrace : 0,
      maxOffered: thread ? 256 : 1,
      maxSpan: thread ? 512 : Infinity,
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
    this.#flush();
    this.#setTimer();
  }

  #carryOut(command: Command<RunTask, RunResult>): void {
    switch (command.type) {
      case "finish":
        return this.#finish(command.task, command.worker, command.result, command.waitedMs);
      case "settle":
        return this.#settle(command);
      case "offer":
        return this.#offer(this.#workers.get(command.worker)!, command.tasks);
      case "watch":
        return this.#workers.get(command.worker)?.watch.by(command.at, now());
      case "look": {
        const worker = this.#workers.get(command.worker);
        if (worker !== undefined) this.#look(worker);
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
        worker.dismissed = true;
        worker.watch.end();
        worker.link.post({ type: "close", clean: command.clean });
        if (!command.clean) this.#happened?.push({ type: "worker-killed", at: now(), workerId: worker.id });
        return;
      }
      case "kill": {
        const worker = this.#workers.get(command.worker);
        if (worker === undefined) return;
        worker.dismissed = true;
        worker.watch.end();
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

  // Workers

  #spawn(id: number): void {
    const { isolation, initializer, memoryLimit, permissions, config } = this.#options!;
    const { link, port } = createLink(isolation, {
      message: (message) => this.#fromWorker(record, message),
      gone: () => this.#portClosed(record),
    });
    const record: WorkerRecord = {
      id,
      link,
      watch: new Watch(() => this.#look(record)),
      modules: 0,
      ready: false,
      dismissed: false,
      death: undefined,
      closed: false,
    };
    this.#workers.set(id, record);
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
    const worker = this.#workers.get(message.worker);
    if (worker === undefined) return;
    switch (message.type) {
      case "gone":
        worker.death ??= message.death;
        // A thread that was told to end says so before it has: its port's closing tells when.
        if (worker.closed || (!worker.ready && !worker.dismissed)) this.#bury(worker);
        return;
      case "undeliverable": {
        const at = now();
        const data = { seq: message.seq, callbacks: 0, startedAt: at, endedAt: at, error: message.error };
        return this.#tell({ type: "results", worker: worker.id, results: [resultOf(data)] });
      }
      default:
        message satisfies never;
    }
  }

  #portClosed(worker: WorkerRecord): void {
    worker.closed = true;
    if (worker.death !== undefined || worker.dismissed) this.#bury(worker);
    else setTimeout(() => this.#bury(worker), DEATH_MS);
  }

  #bury(worker: WorkerRecord): void {
    if (!this.#workers.has(worker.id)) return;
    worker.watch.end();
    worker.link.end();
    this.#drain(worker);
    const unclaimed = this.#scheduler!.offered(worker.id).filter((seq) => this.#takeBack(worker, seq));
    const death = worker.death ?? { reason: "exit", exitCode: null, message: "exited" };
    this.#workers.delete(worker.id);
    this.#happened?.push({ type: "worker-gone", at: now(), workerId: worker.id });
    this.#tell({ type: "gone", worker: worker.id, death, unclaimed });
  }

  #fromWorker(worker: WorkerRecord, message: FromWorker): void {
    if (message === RESULTS) return this.#drain(worker);
    switch (message.type) {
      case "ready":
        worker.ready = true;
        this.#happened?.push({ type: "worker-started", at: now(), workerId: worker.id });
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
          results: [resultOf(message.result)],
        });
      case "started": {
        const { seq, loading, callbacks } = message;
        worker.link.started({ seq, since: now(), loading, callbacks: loading ? undefined : callbacks });
        return this.#look(worker);
      }
      case "progress": {
        const task = this.#scheduler!.taskOf(worker.id, message.seq);
        if (task === undefined) return;
        if (message.pull) this.#pullers.set(task.id, { worker: worker.id, seq: message.seq });
        return this.#entry.post({ type: "progress", id: task.id, value: message.value, pull: message.pull });
      }
      case "dying":
        worker.death = message.death;
        return;
      default:
        message satisfies never;
    }
  }

  /** Finds out what a worker is doing, and tells. */
  #look(worker: WorkerRecord): void {
    if (!this.#workers.has(worker.id)) return;
    const seqs = this.#scheduler!.offered(worker.id);
    let running: Running | undefined;
    for (let i = seqs.length - 1; i >= 0 && running === undefined; i--) running = worker.link.look(seqs[i]!);
    // Read after the look: what is finished by now is not running, whatever was seen.
    const results = this.#read(worker);
    if (results.length > 0) {
      this.#events.push({ type: "results", worker: worker.id, results });
      if (results.some(({ seq }) => seq === running?.seq)) running = undefined;
    }
    if (running !== undefined && !running.loading && this.#happened !== undefined) {
      const task = this.#scheduler!.taskOf(worker.id, running.seq);
      if (task !== undefined) this.#began(task, worker.id, task.attempts + 1, running.since);
    }
    // A thread that ran out of memory does not say so by itself.
    if (running !== undefined && this.#options!.memoryLimit !== undefined) worker.link.post({ type: "ping" });
    this.#tell({ type: "looked", worker: worker.id, running });
  }

  #lookAtAll(): void {
    for (const worker of this.#workers.values()) {
      if (worker.ready && !worker.dismissed) this.#look(worker);
    }
  }

  #takeBack({ id, link }: WorkerRecord, seq: number): boolean {
    // Its buffers have left with it.
    return !this.#scheduler!.taskOf(id, seq)?.exclusive && link.takeBack(seq);
  }

  #drain(worker: WorkerRecord): void {
    const results = this.#read(worker);
    if (results.length > 0) this.#tell({ type: "results", worker: worker.id, results });
  }

  #read(worker: WorkerRecord): RunResult[] {
    const scratch = this.#scratch;
    let end = 0;
    for (;;) {
      const length = worker.link.read(scratch, end);
      if (length === 0) break;
      end += length;
    }
    const words = scratch.slice(0, end);
    const results: RunResult[] = [];
    for (let at = 0; at < end; at += words[at]!) {
      results.push({
        seq: ResultRecord.seq(words, at),
        ok: true,
        callbacks: ResultRecord.callbacks(words, at),
        startedAt: ResultRecord.startedAt(words, at),
        endedAt: ResultRecord.endedAt(words, at),
        words,
        at,
        data: undefined,
      });
    }
    return results;
  }

  // Tasks

  #offer(worker: WorkerRecord, tasks: readonly RunTask[]): void {
    const { link } = worker;
    if (worker.modules < this.#modules.length) {
      link.post({ type: "modules", from: worker.modules, specifiers: this.#modules.slice(worker.modules) });
      worker.modules = this.#modules.length;
    }
    const runs = this.#runs;
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks[i]!;
      link.offer(task.seq);
      if (task.words !== undefined) {
        const at = runs.begin(RunRecord.header);
        RunRecord.put(runs.words, at, task.seq, task.id, task.attempts + 1, task.module);
        runs.copy(task.words, task.at + TaskRecord.header, task.at + task.words[task.at]!);
        runs.end();
      } else {
        this.#flushRuns(link);
        this.#offerOne(worker, task, task.data!);
      }
    }
    this.#flushRuns(link);
  }

  #flushRuns(link: WorkerLink): void {
    if (this.#runs.count === 0) return;
    const buffer = this.#runs.take();
    link.post(buffer, [buffer]);
  }

  #offerOne(worker: WorkerRecord, task: RunTask, data: TaskData): void {
    const { seq, id, module } = task;
    // Another attempt needs the buffers again.
    const last = data.retry === undefined || task.attempts + 1 >= data.retry.maxAttempts;
    const message = {
      type: "run-one",
      seq,
      id,
      attempt: task.attempts + 1,
      module,
      args: data.args,
    } as const;
    try {
      worker.link.post(message, last ? [...task.moved] : []);
    } catch (error) {
      const at = now();
      const result = { seq, callbacks: 0, startedAt: at, endedAt: at, error: describeError(error) };
      this.#events.push({ type: "results", worker: worker.id, results: [resultOf(result)] });
    }
  }

  #finish(task: RunTask, worker: number, result: RunResult, waitedMs: number): void {
    this.#forget(task);
    if (this.#happened !== undefined) this.#began(task, worker, task.attempts, result.startedAt);
    if (task.id < 0) return this.#inspected(task);
    const ranMs = Math.max(0, result.endedAt - result.startedAt);
    if (result.words !== undefined) {
      const outcomes = this.#outcomes;
      const at = outcomes.begin(OutcomeRecord.header);
      OutcomeRecord.put(
        outcomes.words,
        at,
        task.id,
        worker,
        task.attempts,
        result.callbacks!,
        waitedMs,
        ranMs,
      );
      outcomes.copy(result.words, result.at + ResultRecord.header, result.at + result.words[result.at]!);
      outcomes.end();
      return;
    }
    const { error, load, value } = result.data!;
    const outcome: OutcomeData = {
      id: task.id,
      status: result.ok ? "ok" : "failed",
      worker,
      attempts: task.attempts,
      callbacks: result.callbacks,
      waitedMs,
      ranMs,
    };
    if (error !== undefined) outcome.error = error;
    else if (load !== undefined) outcome.load = load;
    else outcome.value = value;
    this.#post(outcome, outcome.status === "ok" ? largeBuffers([outcome.value]) : []);
  }

  #settle(command: Command<RunTask, RunResult> & { type: "settle" }): void {
    const { task, verdict, worker, waitedMs, ranMs } = command;
    this.#forget(task);
    if (this.#happened !== undefined && worker !== undefined) {
      this.#began(task, worker, task.attempts, task.pushedAt + waitedMs);
    }
    if (task.id < 0) return this.#inspected(task);
    const callbacks = this.#scheduler!.callbacks(task.module);
    this.#post({ id: task.id, worker, attempts: task.attempts, callbacks, waitedMs, ranMs, ...verdict });
  }

  #forget(task: RunTask): void {
    if (task.data === undefined) return;
    this.#cancellable.delete(task.id);
    this.#pullers.delete(task.id);
  }

  #watchEvents(on: boolean): void {
    clearInterval(this.#watching);
    this.#happened = on ? [] : undefined;
    if (!on) return;
    // A worker tells when a task is over, not when it began: whoever watches wants to know sooner.
    this.#watching = setInterval(() => {
      this.#lookAtAll();
      this.#flush();
    }, EVENTS_MS);
  }

  /** Tells once that a run began. */
  #began(task: RunTask, worker: number, attempt: number, at: number): void {
    if (task.begun === attempt || task.id < 0) return;
    task.begun = attempt;
    this.#happened!.push({ type: "started", at, taskId: task.id, attempt, workerId: worker });
  }

  #inspected(task: RunTask): void {
    const callbacks = this.#scheduler!.callbacks(task.module) ?? 0;
    this.#entry.post({ type: "inspected", module: task.module, callbacks });
  }

  #post(outcome: OutcomeData, transfer: Transferable[] = []): void {
    try {
      this.#entry.post({ type: "outcome", outcome }, transfer);
    } catch (error) {
      // What one thread can clone another may not be able to: such as memory that is shared with a process.
      const { value: _, ...facts } = outcome;
      this.#entry.post({
        type: "outcome",
        outcome: { ...facts, status: "failed", error: describeError(error) },
      });
    }
  }

  #flush(): void {
    if (this.#happened !== undefined && this.#happened.length > 0) {
      this.#entry.post({ type: "events", events: this.#happened });
      this.#happened = [];
    }
    if (this.#outcomes.count === 0) return;
    const buffer = this.#outcomes.take();
    this.#entry.post(buffer, [buffer]);
  }

  #close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#watching);
    this.#flush();
    for (const { watch, link } of this.#workers.values()) {
      watch.end();
      link.end();
    }
    this.#entry.post({ type: "closed", stats: this.#scheduler!.stats() });
  }
}

function resultOf(data: ResultData): RunResult {
  const { seq, startedAt, endedAt } = data;
  const ok = data.error === undefined && data.load === undefined;
  const callbacks = data.load === undefined ? data.callbacks : undefined;
  return { seq, ok, callbacks, startedAt, endedAt, words: undefined, at: 0, data };
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
