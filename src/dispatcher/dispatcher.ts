/**
 * Off the main thread: keeps the queue and the pool, hands tasks out, watches deadlines, tells outcomes.
 *
 * It decides nothing itself. It tells the scheduler what happens, carries out the commands that come back, and
 * never looks inside arguments and values: records are copied as they are.
 *
 * @module
 */
import { cores, startsSleep } from "../runtime/host.ts";
import { capacityOf } from "../runtime/link.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import type { Command, Event } from "../scheduler/scheduling.ts";
import { inspectionOf } from "../wire/inspection.ts";
import { now } from "../wire/now.ts";
import {
  type BridgeData,
  type DeathData,
  type DispatcherOptions,
  type FirstModule,
  PROTOCOL_VERSION,
  type StatsData,
  type TaskData,
  type ToDispatcher,
} from "../wire/protocol.ts";
import { shortSpecifier } from "../util/specifier.ts";
import { mayHaveFiles } from "../runtime/module_graph.ts";
import { ModuleTable } from "./module_table.ts";
import { type EntryPort, Outbox } from "./outbox.ts";
import type { RunResult } from "./pool_worker.ts";
import { PoolWorkers } from "./pool_workers.ts";
import { RecordBatch, RunTask } from "./run_task.ts";

/** How often workers are looked at while somebody watches events, in milliseconds. */
const EVENTS_MS = 50;

/** See the module's description. */
export class Dispatcher {
  readonly #entry: EntryPort;
  readonly #outbox: Outbox;
  #options: DispatcherOptions | undefined;
  #scheduler: Scheduler<RunTask, RunResult> | undefined;
  #workers: PoolWorkers | undefined;
  #bridge: BridgeData | undefined;
  readonly #modules = new ModuleTable();
  /** The URLs of files whose tasks run in processes, while others may run in threads. */
  readonly #inProcesses = new Set<string>();
  /** Tasks that can be cancelled, by id. */
  readonly #cancellable = new Map<number, RunTask>();
  #events: Event<RunTask, RunResult>[] = [];
  #handling = false;
  #wakeAt = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** In a cell: modules of which a task came to an end of its own. */
  readonly #sound = new Set<number>();
  /** Generators that wait for the entry to take what they yielded, by task. */
  readonly #pullers = new Map<number, { worker: number; seq: number }>();
  #watching: ReturnType<typeof setInterval> | undefined;

  constructor(entry: EntryPort) {
    this.#entry = entry;
    this.#outbox = new Outbox(entry);
  }

  /** Takes in a message from the entry. */
  receive(message: ToDispatcher): void {
    if (message instanceof ArrayBuffer) return this.#tell({ type: "batch", batch: new RecordBatch(message) });
    switch (message.type) {
      case "hello":
        this.#start(message.version, message.options, message.nursery!, message.bridge);
        return message.first && this.#begin(message.first);
      case "bridge-gone":
        return this.#workers!.bridgeGone(message.death);
      case "bridge-interrupted":
        return this.#workers!.bridgeInterrupted();
      case "module":
        return this.#learn(message.module, message.specifier);
      case "forget":
        if (this.#modules.close(message.module, message.sent)) this.#forgetModule(message.module);
        return;
      case "push":
        return this.#push(message.task, message.at);
      case "cancel":
        return this.#tell({
          type: "cancel",
          tasks: message.ids.map((id) => this.#cancellable.get(id)).filter((task) => task !== undefined),
        });
      case "cancel-waiting":
      case "resize":
      case "renew":
        return this.#tell(message);
      case "inspect": {
        const { loadTimeout } = this.#options!;
        if (this.#scheduler!.callbacks(message.module) !== undefined) return this.#inspected(message.module);
        return this.#push({
          id: inspectionOf(message.module),
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
        this.#workers!.lookAtAll();
        this.#entry.post({ type: "stats", request: message.request, stats: this.#stats() });
        return;
      case "resume": {
        const puller = this.#pullers.get(message.id);
        if (puller !== undefined) {
          this.#workers!.get(puller.worker)?.link.post({ type: "resume", seq: puller.seq });
        }
        return;
      }
      case "watch-events":
        return this.#watchEvents(message.on);
      case "stop":
      case "terminate":
        this.#workers!.lookAtAll();
        this.#tell({ type: message.type });
        if (message.type === "terminate") this.#entry.post({ type: "told" });
        return;
      default:
        message satisfies never;
    }
  }

  /** Whether outcomes leave more slowly than they come: nothing more is begun meanwhile. */
  hold(on: boolean): void {
    this.#tell({ type: "hold", on });
  }

  #start(
    version: number,
    options: DispatcherOptions,
    nursery: MessagePort,
    bridge: BridgeData | undefined,
  ): void {
    if (version !== PROTOCOL_VERSION) {
      throw new Error(
        `Cannot start the dispatcher: it speaks version ${PROTOCOL_VERSION}, the entry ${version}`,
      );
    }
    this.#options = options;
    this.#bridge = bridge;
    this.#workers = new PoolWorkers(
      options,
      nursery,
      {
        tell: (event) => this.#tell(event),
        note: (event) => this.#events.push(event),
        handle: () => this.#handle(),
        offered: (worker) => this.#scheduler!.offered(worker),
        taskOf: (worker, seq) => this.#scheduler!.taskOf(worker, seq),
        progressed: (task, worker, { seq, value, inner, pull }) => {
          if (pull) this.#pullers.set(task.id, { worker, seq });
          this.#entry.post({ type: "progress", id: task.id, value, inner, pull });
        },
        mayLoadAhead: (module, isolation) => {
          if (isolation === "thread" && this.#inProcesses.has(this.#modules.get(module).url)) return false;
          return this.#scheduler!.callbacks(module) !== undefined;
        },
        killBridge: () => this.#entry.post({ type: "kill-bridge" }),
      },
      this.#outbox,
      this.#modules,
    );
    this.#scheduler = new Scheduler({
      ...options,
      disposeTimeout: options.setup.initializer === undefined ? undefined : options.disposeTimeout,
      kind: options.isolation,
      cores: cores(),
      headStart: !startsSleep,
      capacity: { thread: capacityOf("thread"), process: capacityOf("process") },
      maxSpares: options.maxSpares ?? capacityOf(options.isolation).maxSpares,
    });
    for (const command of this.#scheduler.start(now(), bridge?.since)) this.#carryOut(command);
    this.#setTimer();
  }

  /** There are tasks already, and the bridge may have the first of them. */
  #begin({ module, specifier, task: batch }: FirstModule): void {
    this.#learn(module, specifier);
    if (batch === undefined) return;
    const task = new RecordBatch(batch).shift();
    this.#workers!.handed(task);
    this.#tell({ type: "handed", task });
  }

  #learn(module: number, specifier: string): void {
    const file = this.#modules.add(module, specifier);
    const kind = this.#inProcesses.has(this.#modules.get(module).url) ? "process" : undefined;
    this.#tell({ type: "module", module, file, chars: specifier.length, kind });
    if (file === module && mayHaveFiles(specifier)) this.#workers!.meet(file, specifier);
  }

  #push(data: TaskData, at: number): void {
    const task = new RunTask(data.id, data.module, data.timeout, at, data, 0);
    if (data.id > 0) this.#cancellable.set(data.id, task);
    this.#tell({ type: "push", task });
  }

  /** Tells the scheduler, and does what it says; events that arise from that are told next, in order. */
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
    const workers = this.#workers!;
    // To end a worker and to start another takes milliseconds: the outcomes of what was stopped do not wait for that.
    if (command.type !== "settle") this.#outbox.flushVerdicts();
    switch (command.type) {
      case "finish":
        return this.#finish(command.task, command.worker, command.result, command.waitedMs);
      case "settle":
        return this.#settle(command);
      case "ran":
        if (this.#options!.cell) {
          this.#entry.post({ type: "again", id: command.task.id, attempts: command.task.attempts });
        }
        return this.#outbox.began(command.task, command.worker, command.task.attempts, command.startedAt);
      case "offer":
        return workers.offer(command.worker, command.tasks, command.modules);
      case "forget":
        workers.get(command.worker)?.link.post({ type: "forget", module: command.module });
        return;
      case "watch":
        return workers.get(command.worker)?.watch.by(command.at, now());
      case "look": {
        const worker = workers.get(command.worker);
        if (worker === undefined) return;
        if (command.drained) void workers.lookDrained(worker);
        else workers.look(worker);
        return;
      }
      case "take-back": {
        const seqs = workers.takeBack(command.worker, command.seqs);
        return this.#tell({ type: "taken-back", worker: command.worker, seqs });
      }
      case "spawn":
        return workers.spawn(command.worker, command.kind);
      case "adopt":
        return workers.adopt(command.worker, this.#bridge!);
      case "close":
        return workers.dismiss(command.worker, command.clean);
      case "kill":
        return workers.kill(command.worker);
      case "undisposed": {
        const ms = this.#options!.disposeTimeout;
        return workers.say(`did not end its initializer's dispose() within ${ms} ms (see disposeTimeout)`);
      }
      case "abort":
        workers.get(command.worker)?.link.post({ type: "abort", seq: command.seq, over: command.over });
        return;
      case "zombie":
        if (this.#options!.cell) this.#entry.post({ type: "zombie" });
        return;
      case "restricted":
        return this.#restrict(command.file, command.why);
      case "idle-death":
        return this.#reportIdleDeath(command.death, command.module);
      case "renewed":
        return this.#entry.post({ type: "renewed" });
      case "waiting-cancelled":
        this.#outbox.flush();
        return this.#entry.post({ type: "waiting-cancelled" });
      case "warm":
        return this.#entry.post({ type: "ready", startMs: command.startMs });
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

  // Tasks

  #finish(task: RunTask, worker: number, result: RunResult, waitedMs: number): void {
    this.#outbox.began(task, worker, task.attempts, result.startedAt);
    if (task.id > 0) {
      if (this.#options!.cell && !result.unloaded) this.#tellSound(task.module, result.callbacks);
      // A module that could not be loaded has no callbacks that could fire.
      const none = result.data?.load === undefined ? undefined : 0;
      const callbacks = result.callbacks ?? this.#scheduler!.callbacks(task.module) ?? none;
      this.#outbox.result(task, worker, result, callbacks, waitedMs);
    }
    this.#ended(task);
  }

  /** To whoever keeps cells, and outlives this one: what is known of modules is lost with it. */
  #tellSound(module: number, callbacks: number | undefined): void {
    if (this.#sound.has(module)) return;
    this.#sound.add(module);
    this.#entry.post({ type: "sound", module, callbacks: callbacks ?? this.#scheduler!.callbacks(module) });
  }

  #settle(command: Command<RunTask, RunResult> & { type: "settle" }): void {
    const { task, worker, waitedMs } = command;
    if (worker !== undefined) this.#outbox.began(task, worker, task.attempts, task.pushedAt + waitedMs);
    if (task.id > 0) this.#outbox.verdict(command);
    this.#ended(task);
  }

  /** A task has its outcome; nothing is left of it here. */
  #ended(task: RunTask): void {
    if (task.id < 0) return this.#inspected(task.module);
    this.#forget(task);
    if (this.#modules.ended(task.module)) this.#forgetModule(task.module);
  }

  #forget(task: RunTask): void {
    if (this.#pullers.size > 0) this.#pullers.delete(task.id);
    if (task.data === undefined) return;
    this.#cancellable.delete(task.id);
    // A cancelled task may be in the queue for long; what it was given need not stay.
    task.release();
  }

  #watchEvents(on: boolean): void {
    clearInterval(this.#watching);
    this.#outbox.watch(on);
    if (!on) return;
    this.#workers!.tellStarted();
    // A worker tells when a task is over, not when it began: whoever watches wants to know sooner.
    this.#watching = setInterval(() => {
      this.#workers!.lookAtAll();
      this.#outbox.flush();
    }, EVENTS_MS);
  }

  #inspected(module: number): void {
    const callbacks = this.#scheduler!.callbacks(module);
    this.#entry.post({ type: "inspected", module, callbacks });
    if (this.#modules.ended(module)) this.#forgetModule(module);
  }

  #forgetModule(module: number): void {
    this.#sound.delete(module);
    this.#tell({ type: "forget-module", module });
  }

  /** Says, once for each file, why its tasks are slower from now on. */
  #restrict(file: number, why: "zombie" | "crash"): void {
    const url = this.#modules.url(file);
    if (url === undefined) return;
    this.#inProcesses.add(url);
    const reason = why === "zombie"
      ? "a thread that ran one could not be stopped"
      : "one of them took its process along";
    console.error(
      `${this.#options!.name}: tasks of ${shortSpecifier(url)} run in processes from now on: ${reason}`,
    );
  }

  #stats(): StatsData {
    return { ...this.#scheduler!.stats(), inProcesses: [...this.#inProcesses] };
  }

  /** Nobody else does: no task ran on the worker. */
  #reportIdleDeath(death: DeathData, module: number | undefined): void {
    if (this.#outbox.watched) return;
    const specifier = module === undefined ? undefined : this.#modules.specifier(module);
    const last = specifier === undefined ? "" : `: its last task was of ${shortSpecifier(specifier)}`;
    console.error(`${this.#options!.name}: a worker ${death.message}, between two tasks${last}`);
  }

  #close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#watching);
    this.#outbox.flush();
    this.#workers!.end();
    this.#entry.post({ type: "closed", stats: this.#stats() });
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
