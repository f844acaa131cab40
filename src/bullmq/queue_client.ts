/**
 * A producer's end of the queue: what `DispatcherClient` is to the dispatcher of this machine.
 *
 * A task is a job; its outcome comes as a job of a queue that is this producer's own. While the producer lives it keeps
 * every task until its outcome has come, so that what the store has lost can be pushed again.
 *
 * @module
 */
import type { Job, Queue, QueueEvents, QueueEventsProducer, Worker } from "bullmq";
import type { DispatcherEvents, PoolClient } from "../entry/dispatcher_client.ts";
import { emptyStats } from "../entry/questions.ts";
import type { CheckedPushOptions } from "../entry/read_options.ts";
import { InfoTask } from "../info_task.ts";
import { within } from "../util/within.ts";
import { describeError } from "../wire/error_data.ts";
import { refuseLossy } from "../wire/lossy.ts";
import { HAS_CALLBACK, HAS_ERROR_CALLBACK, type RetryData, type ToDispatcher } from "../wire/protocol.ts";
import { Link } from "./connection.ts";
import { claimName } from "./producer_name.ts";
import type { FleetSettings } from "./read_options.ts";
import { readReport, type ReportEvent, ReportsSeen } from "./reports.ts";
import { type OpenTask, Sender } from "./sender.ts";
import {
  cancelsOf,
  jobIdOf,
  outcomesOf,
  type OutcomeWire,
  pack,
  progressOf,
  readJobId,
  readOutcome,
  type TaskWire,
  unpackArgs,
  unpackOutcome,
  WIRE_VERSION,
} from "./wire.ts";

/** Events of the outcomes' queue that the store keeps: nobody reads them. */
const MAX_EVENTS = 10;
/** How long progress that was published before an outcome may be on its way, in milliseconds. */
const PROGRESS_MS = 1_000;
/** How often machines are told to stop a task, each time after twice the time, beginning with this many milliseconds. */
const RECALLS = 8;
const RECALL_MS = 250;
/** Commands on their way at once, where there is one for each of many tasks. */
const AT_ONCE = 250;
/** How long the end of a pool may take, in milliseconds: what the store has not answered by then it may not answer. */
const END_MS = 2_000;
/** The same from `terminate()` on, which promises a second. */
const TERMINATE_MS = 850;
/** How long tasks of a pool that was terminated are taken out of the queue behind that, in milliseconds. */
const RECALL_ALL_MS = 10_000;
/** How long the store has to say how many tasks wait, in milliseconds. */
const STATS_MS = 2_000;

/** States of a job in which its task still has an outcome to come. */
const ALIVE = ["waiting", "active", "delayed", "prioritized", "waiting-children"];

/** See the module's description. */
export class QueueClient implements PoolClient {
  readonly #o: FleetSettings;
  readonly #events: DispatcherEvents;
  /** Sorts by when it began: of two producers of one name that start at once the first stays. */
  readonly #life = Date.now().toString(36).padStart(9, "0") + crypto.randomUUID().slice(0, 4);
  readonly #link: Link;
  readonly #tasks: Queue;
  readonly #outcomes: Queue;
  readonly #sender: Sender;
  #receiver: Worker | undefined;
  #progress: QueueEvents | undefined;
  #cancels: QueueEventsProducer | undefined;
  readonly #open = new Map<number, OpenTask>();
  /** Tasks that machines are being told to stop. */
  readonly #recalls = new Set<Promise<void>>();
  readonly #over = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #ending: Promise<void> | undefined;
  readonly #checking: ReturnType<typeof setInterval>;
  #isChecking = false;
  #inspections = 0;

  constructor(settings: FleetSettings, events: DispatcherEvents) {
    this.#o = settings;
    this.#events = events;
    const { queue, name } = settings;
    this.#link = new Link(settings.connection, settings.onError);
    this.#tasks = this.#link.queue(queue);
    this.#outcomes = this.#link.queue(outcomesOf(queue, name), {
      streams: { events: { maxLen: MAX_EVENTS } },
    });
    this.#sender = new Sender(this.#tasks, this.#link.failed);
    this.#checking = setInterval(() => this.#check(), Math.min(settings.checkInterval, 2 ** 31 - 1));
    void this.#start();
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Its connections do already. */
  hold(): void {}

  /** Which callbacks a module has that no machine has told of: it is the user's own, and may be looked at here. */
  inspect(specifier: string): number {
    const module = ++this.#inspections;
    let callbacks = HAS_CALLBACK | HAS_ERROR_CALLBACK;
    try {
      this.#o.modules.nameOf(specifier);
    } catch {
      callbacks = 0;
    }
    // Whoever asks has to know the number first.
    queueMicrotask(() => this.#events.message({ type: "inspected", module, callbacks }));
    return module;
  }

  push(
    id: number,
    task: InfoTask,
    options: CheckedPushOptions | undefined,
    retry: RetryData | undefined,
  ): void {
    const { maxBytes, name, modules } = this.#o;
    for (const [i, arg] of task.args.entries()) refuseLossy(arg, `argument ${i + 1}`, "process");
    const { packed, bytes } = pack(task.args, this.#link.keepsJson);
    if (bytes > maxBytes) {
      throw new RangeError(
        `Cannot push a task: its arguments take ${bytes} bytes, of ${maxBytes} (maxBytes); send the name of a file or an object`,
      );
    }
    const data: TaskWire = {
      v: WIRE_VERSION,
      to: name,
      module: modules.nameOf(task.specifier),
      timeout: task.timeout === Infinity ? null : task.timeout,
      args: packed,
    };
    if (options?.softTimeout !== undefined) data.softTimeout = options.softTimeout;
    if (retry !== undefined) data.retry = retry;
    if (options?.onProgress !== undefined) data.progress = true;
    const open: OpenTask = {
      job: jobIdOf(this.#life, id),
      data,
      priority: options?.priority ?? 0,
      bytes,
      since: performance.now(),
      sentAt: undefined,
      seen: data.progress && new ReportsSeen(),
      settled: false,
    };
    if (data.progress) this.#watchProgress();
    this.#open.set(id, open);
    this.#sender.push(open);
  }

  post(message: ToDispatcher): void {
    if (message instanceof ArrayBuffer) return;
    switch (message.type) {
      case "cancel":
        for (const id of message.ids) this.#cancel(id);
        return;
      case "stats":
        return void this.#stats(message.request);
      // A machine's generator goes on when what it yielded was published, and machines tell no events.
      case "resume":
      case "watch-events":
      // Not sent by a pool.
      case "cancel-waiting":
      case "resize":
      case "renew":
      case "hello":
      case "bridge-gone":
      case "bridge-interrupted":
      case "module":
      case "forget":
      case "inspect":
      case "push":
      case "stop":
      case "terminate":
        return;
      default:
        message satisfies never;
    }
  }

  /** Resolves when all that was pushed is in the queue. */
  flushed(): Promise<void> {
    return this.#sender.flushed();
  }

  /** How many machines serve the queue. */
  machines(): Promise<number> {
    return this.#tasks.getWorkersCount();
  }

  async stop(): Promise<void> {
    await this.#end(END_MS, END_MS, async () => {
      await Promise.all(this.#recalls);
      await this.#receiver?.close();
      await this.#tidy();
    });
  }

  /** Resolves at once: no machine is waited for. */
  terminate(): Promise<void> {
    const sent = [...this.#open.values()];
    for (const open of sent) open.settled = true;
    this.#open.clear();
    void this.#end(TERMINATE_MS, RECALL_ALL_MS, async () => {
      await this.#recallAll(sent);
      await this.#receiver?.close();
      await this.#tidy();
    });
    return Promise.resolve();
  }

  /** Leaves; what has no outcome goes on. */
  end(): Promise<void> {
    return this.#end(END_MS, END_MS, () => this.#receiver?.close());
  }

  // The life of it

  async #start(): Promise<void> {
    const { connectTimeout } = this.#o;
    try {
      // An answer, not just a connection: who asks may not be allowed to do more than that.
      await this.#link.reached(this.#tasks.getJobCounts(), connectTimeout);
      const claim = claimName(this.#o, this.#life, this.#outcomes, this.#link, (job) => this.#receive(job));
      await this.#link.reached(claim.then((receiver) => this.#receiver = receiver), Infinity);
      if (this.#ending !== undefined) return void this.#receiver!.close();
      this.#receiver!.run().catch(this.#link.failed);
      this.#events.message({ type: "ready", startMs: 0 });
    } catch (error) {
      if (this.#ending !== undefined) return;
      const { message } = error as Error;
      this.#events.message({
        type: "broken",
        error: describeError(error),
        message: `was out of reach: ${message}`,
      });
    }
  }

  /**
   * Does the last that is to be done, and closes everything.
   *
   * @param ms How long that is waited for, whatever the store does.
   * @param most How long it may go on behind that.
   */
  #end(ms: number, most: number, last: () => unknown): Promise<void> {
    return this.#ending ??= (async () => {
      clearInterval(this.#checking);
      this.#over.resolve();
      this.#sender.end();
      await within(this.#close(most, last), ms);
      this.#closed.resolve();
    })();
  }

  async #close(ms: number, last: () => unknown): Promise<void> {
    const orderly = async () => {
      await last();
      const open = [this.#tasks, this.#outcomes, this.#progress, this.#cancels];
      await Promise.all(open.map((each) => each?.close()));
    };
    await within(orderly().catch(this.#link.failed), ms);
    await this.#link.close();
  }

  /** Nothing of this producer is left behind, but outcomes of an earlier life that have not been taken yet. */
  async #tidy(): Promise<void> {
    const left = await this.#outcomes.getJobCounts("wait", "active", "delayed", "prioritized");
    if (Object.values(left).every((count) => count === 0)) await this.#outcomes.obliterate();
    if (this.#progress === undefined) return;
    const progress = this.#link.queue(progressOf(this.#o.queue, this.#o.name), { skipMetasUpdate: true });
    await progress.obliterate();
    await progress.close();
  }

  // Outcomes

  async #receive(job: Job): Promise<void> {
    let wire: OutcomeWire;
    let outcome;
    try {
      wire = readOutcome(job.data);
      outcome = unpackOutcome(wire.outcome);
    } catch (error) {
      return this.#link.failed(new Error(`An outcome cannot be read: ${(error as Error).message}`));
    }
    const { life, id } = readJobId(job.id!);
    if (life !== this.#life) return await this.#adopt(wire, outcome);
    const open = this.#open.get(id);
    // The second outcome of a task that ran twice, or of one that was cancelled.
    if (open === undefined) return;
    if (open.seen !== undefined) {
      await within(open.seen.until(outcome.attempts, wire.reported), PROGRESS_MS);
      if (!this.#open.has(id)) return;
    }
    const { late = [], ...facts } = outcome;
    for (const value of late) this.#events.message({ type: "progress", id, value, pull: false });
    this.#settled(id, open);
    // The clock of the machine may be another.
    const waitedMs = Math.min(facts.waitedMs, performance.now() - open.since);
    await this.#events.outcome({ ...facts, waitedMs, id });
  }

  /** A task of an earlier life of this producer: only the callbacks of its module are left to tell. */
  async #adopt({ task }: OutcomeWire, outcome: ReturnType<typeof unpackOutcome>): Promise<void> {
    let revived: InfoTask;
    try {
      // What is in the queue is not to be trusted: only modules that could be pushed here are imported.
      const url = this.#o.modules.urlOf(task.module);
      revived = new InfoTask(url, task.timeout ?? Infinity, ...unpackArgs(task.args));
    } catch (error) {
      return this.#link.failed(
        new Error(`An outcome is of no task of this producer: ${(error as Error).message}`),
      );
    }
    const { late: _, ...facts } = outcome;
    await this.#events.outcome({ ...facts, id: this.#events.adopt(revived) });
  }

  #settled(id: number, open: OpenTask): void {
    open.settled = true;
    this.#open.delete(id);
  }

  #watchProgress(): void {
    if (this.#progress !== undefined) return;
    const name = progressOf(this.#o.queue, this.#o.name);
    // From the start of what is kept: nothing is missed while it connects, and what is of an earlier life is passed over.
    const progress = this.#progress = this.#link.events(name, "0");
    const listen = progress as unknown as {
      on(event: "report", listener: (event: ReportEvent) => void): void;
    };
    listen.on("report", (event) => {
      const { life, id } = readJobId(event.job);
      const open = life === this.#life ? this.#open.get(id) : undefined;
      if (open?.seen === undefined) return;
      const values = readReport(event);
      for (const value of values) this.#events.message({ type: "progress", id, value, pull: false });
      open.seen.add(Number(event.attempt), values.length);
    });
    progress.run().catch(this.#link.failed);
  }

  // Cancelling

  #cancel(id: number): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    const waiting = open.sentAt === undefined;
    this.#settled(id, open);
    const waitedMs = performance.now() - open.since;
    const facts = { worker: undefined, attempts: 0, ranMs: 0, callbacks: undefined };
    void this.#events.outcome({ id, status: "cancelled", waitedMs, ...facts });
    const recall = this.#recall(open.job, waiting).catch(this.#link.failed);
    this.#recalls.add(recall);
    void recall.finally(() => this.#recalls.delete(recall));
  }

  /** Has a task not run any more, until it is gone: its machine may die just then, and the task wait once more. */
  async #recall(job: string, mayBeOnItsWay: boolean): Promise<void> {
    if (mayBeOnItsWay) await this.#sender.quiet();
    for (let i = 0; i < RECALLS; i++) {
      if (await this.#tasks.remove(job) === 1) return;
      await this.#publishCancel({ job });
      if (this.#ending !== undefined) return;
      await within(this.#over.promise, RECALL_MS * 2 ** i);
    }
  }

  /** The same for all, once. */
  async #recallAll(tasks: readonly OpenTask[]): Promise<void> {
    if (tasks.length === 0) return;
    await this.#sender.quiet();
    await this.#publishCancel({ life: this.#life });
    for (let i = 0; i < tasks.length; i += AT_ONCE) {
      await Promise.all(tasks.slice(i, i + AT_ONCE).map(({ job }) => this.#tasks.remove(job)));
    }
  }

  async #publishCancel(what: { job: string } | { life: string }): Promise<void> {
    this.#cancels ??= this.#link.publisher(cancelsOf(this.#o.queue));
    await this.#cancels.publishEvent({ eventName: "cancel", ...what });
  }

  // What else is asked

  async #stats(request: number): Promise<void> {
    const stats = emptyStats();
    const ask = async () => {
      const counts = await this.#tasks.getJobCounts("wait", "prioritized", "delayed", "active");
      stats.queued = counts.wait! + counts.prioritized! + counts.delayed!;
      stats.running = counts.active!;
    };
    await within(ask().catch(this.#link.failed), STATS_MS);
    this.#events.message({ type: "stats", request, stats });
  }

  /** A queue that lost its last second, or all it had, gets back what has no outcome yet. */
  async #check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      const old = performance.now() - this.#o.checkInterval;
      const due = [...this.#open].filter(([, { sentAt }]) => sentAt !== undefined && sentAt <= old);
      for (let i = 0; i < due.length && this.#ending === undefined; i += AT_ONCE) {
        await Promise.all(due.slice(i, i + AT_ONCE).map(([id, open]) => this.#checkOne(id, open)));
      }
    } catch (error) {
      this.#link.failed(error as Error);
    } finally {
      this.#isChecking = false;
    }
  }

  async #checkOne(id: number, open: OpenTask): Promise<void> {
    if (open.settled) return;
    const state = await this.#tasks.getJobState(open.job);
    if (ALIVE.includes(state) || await this.#outcomes.getJob(open.job) !== undefined) return;
    if (open.settled || this.#ending !== undefined) return;
    // It ended, and its outcome was lost.
    if (state !== "unknown") await this.#tasks.remove(open.job);
    this.#link.failed(new Error(`Task ${id} was lost by the queue, and is pushed again`));
    open.sentAt = undefined;
    this.#sender.push(open);
  }
}
