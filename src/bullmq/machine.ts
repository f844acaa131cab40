/**
 * A machine: a worker of BullMQ takes jobs from the queue, the pool runs them as tasks, and their outcomes become jobs in
 * the queue of whoever pushed them, where they wait for as long as that one is away.
 *
 * An outcome is told before its job is finished: a machine that dies between the two has the task run once more, and
 * never leaves one without an outcome.
 *
 * @module
 */
import { type Job, type QueueEvents, UnrecoverableError, WaitingError, type Worker } from "bullmq";
import { backOff } from "../scheduler/back_off.ts";
import { within } from "../util/within.ts";
import { describeError } from "../wire/error_data.ts";
import type { OutcomeData } from "../wire/protocol.ts";
import { Link } from "./connection.ts";
import { MachinePool, NEVER_RAN } from "./machine_pool.ts";
import { type Producer, Producers } from "./producers.ts";
import type { ServeSettings } from "./read_options.ts";
import { ReportWriter } from "./reports.ts";
import type { Server, ServerStats } from "./server.ts";
import {
  cancelsOf,
  type OutcomeOnWire,
  type OutcomeWire,
  pack,
  readJobId,
  readTask,
  readTo,
  type TaskWire,
  WIRE_VERSION,
} from "./wire.ts";

/** How long the store has, once all tasks have ended, to hear of it, in milliseconds. */
const CLOSE_MS = 1_000;
/** How long a task that was told to stop may take to be given back, in milliseconds. */
const GIVE_BACK_MS = 1_500;
/** Lives of producers that were terminated: of so many it is remembered. */
const MAX_LIVES = 1_000;

/** Why a run was stopped that this machine does not have to settle. */
type Abandoned =
  /** The producer has settled it. */
  | "cancelled"
  /** The lock was lost: another machine has it, or will. */
  | "lost"
  /** The machine is leaving. */
  | "leaving";

/** A run of a task. */
interface Run {
  abandoned: Abandoned | undefined;
  cancel: (() => void) | undefined;
}

/** See the module's description. */
export class Machine implements Server {
  readonly #o: ServeSettings;
  readonly #pool: MachinePool;
  readonly #link: Link;
  readonly #producers: Producers;
  readonly #runs = new Map<string, Run>();
  readonly #deadLives = new Set<string>();
  readonly #counts = { ok: 0, failed: 0, "timed-out": 0, crashed: 0, cancelled: 0 };
  #givenBack = 0;
  #worker: Worker | undefined;
  #cancels: QueueEvents | undefined;
  #leaving = false;
  #ending: Promise<void> | undefined;
  readonly #closed = Promise.withResolvers<void>();

  constructor(settings: ServeSettings) {
    this.#o = settings;
    this.#pool = new MachinePool(settings.pool, settings.modules);
    this.#link = new Link(settings.connection, settings.onError);
    this.#producers = new Producers(settings.queue, this.#link);
    this.#closed.promise.catch(() => {});
  }

  get name(): string {
    return this.#o.name;
  }

  get size(): number {
    return this.#o.pool.size;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  stats(): ServerStats {
    const { ok, failed, crashed, cancelled } = this.#counts;
    const timedOut = this.#counts["timed-out"];
    return { running: this.#runs.size, ok, failed, timedOut, crashed, cancelled, givenBack: this.#givenBack };
  }

  async start(): Promise<void> {
    try {
      const { queue, connectTimeout } = this.#o;
      const cancels = this.#cancels = this.#link.events(cancelsOf(queue));
      this.#listen(cancels);
      await Promise.all([this.#link.reached(this.#ask(cancels), connectTimeout), this.#pool.start()]);
      const worker = this.#worker = this.#openWorker();
      await this.#link.reached(worker.waitUntilReady(), connectTimeout);
      cancels.run().catch(this.#link.failed);
      worker.run().catch(this.#link.failed);
    } catch (error) {
      await this.stop(0);
      throw error;
    }
    this.#pool.failed.promise.catch((error) => this.#end(0, error));
  }

  stop(grace: number = this.#o.grace): Promise<void> {
    void this.#end(grace, undefined);
    return this.#ending!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Waits until it hears of tasks to stop, and whether it may do more than connect. */
  async #ask(cancels: QueueEvents): Promise<void> {
    await cancels.waitUntilReady();
    const queue = this.#link.queue(this.#o.queue, { skipMetasUpdate: true });
    await queue.getJobCounts();
    await queue.close();
  }

  #openWorker(): Worker {
    const { queue, prefetch, lockDuration, keep, name } = this.#o;
    const worker = this.#link.worker(queue, (job, token) => this.#process(job, token!), {
      name,
      concurrency: this.#o.pool.size + prefetch,
      lockDuration,
      stalledInterval: Math.ceil(lockDuration / 2),
      // On Deno a worker that idles misses the wake-up for a retry that becomes due, and asks again only after this many
      // seconds (taskforcesh/bullmq#1627, seen up to Deno 2.9.6 and BullMQ 6.7).
      drainDelay: 0.2,
      settings: {
        backoffStrategy: (made, _type, _error, job) =>
          Math.round(backOff(made, (job!.data as TaskWire).retry!, Math.random())),
      },
      removeOnComplete: { count: keep },
      removeOnFail: { count: keep },
    });
    // This machine was frozen or cut off for too long, or the store has lost the job.
    worker.on("lockRenewalFailed", (jobs) => {
      for (const job of jobs) this.#abandon(job, "lost");
    });
    return worker;
  }

  #listen(cancels: QueueEvents): void {
    const listen = cancels as unknown as {
      on(event: "cancel", listener: (event: { job?: string; life?: string }) => void): void;
    };
    listen.on("cancel", ({ job, life }) => {
      if (job !== undefined) this.#abandon(job, "cancelled");
      if (life === undefined) return;
      if (this.#deadLives.size >= MAX_LIVES) this.#deadLives.clear();
      this.#deadLives.add(life);
      for (const job of this.#runs.keys()) if (readJobId(job).life === life) this.#abandon(job, "cancelled");
    });
  }

  /** Stops a run, for the first reason that there is. */
  #abandon(job: string, why: Abandoned): void {
    const run = this.#runs.get(job);
    if (run === undefined) return;
    run.abandoned ??= why;
    run.cancel?.();
  }

  async #process(job: Job, token: string): Promise<string> {
    const id = job.id!;
    // A run before this one that has lost its lock, and does not know it yet.
    this.#abandon(id, "lost");
    if (this.#deadLives.has(readJobId(id).life)) throw new UnrecoverableError("cancelled");
    const run: Run = { abandoned: undefined, cancel: undefined };
    this.#runs.set(id, run);
    try {
      return await this.#run(job, token, run);
    } finally {
      if (this.#runs.get(id) === run) this.#runs.delete(id);
    }
  }

  async #run(job: Job, token: string, run: Run): Promise<string> {
    const to = readTo(job.data);
    if (to === undefined) throw new UnrecoverableError("It names no producer: nobody can be told of it");
    const producer = this.#producers.get(to);
    const attempts = job.attemptsStarted - 1;
    let outcome: OutcomeData;
    let report: ReportWriter | undefined;
    let task: TaskWire | undefined;
    try {
      task = readTask(job.data);
      if (task.progress) report = this.#reporter(producer, job.id!, job.attemptsStarted);
      outcome = job.stalledCounter >= this.#o.maxCrashes
        ? lostTooOften(job, attempts)
        : await this.#runTask(task, job, run, report);
    } catch (error) {
      outcome = { ...NEVER_RAN, attempts, status: "failed", error: describeError(error) };
    }
    if (outcome.status === "cancelled") return await this.#giveUp(job, token, run.abandoned);
    this.#counts[outcome.status]++;
    const again = task !== undefined && this.#isTriedAgain(job, task, outcome.status);
    if (!again) await this.#tell(producer, job, outcome, report);
    if (outcome.status === "ok") return `${Math.round(outcome.ranMs)} ms on ${this.name}`;
    throw failure(outcome, again);
  }

  #runTask(task: TaskWire, job: Job, run: Run, report: ReportWriter | undefined): Promise<OutcomeData> {
    const origin = { id: readJobId(job.id!).id, attempts: job.attemptsStarted - 1 };
    return this.#pool.run(task, origin, report && ((value, taken) => report.add(value, taken)), (cancel) => {
      run.cancel = cancel;
      if (run.abandoned !== undefined || this.#leaving) {
        run.abandoned ??= "leaving";
        cancel();
      }
    });
  }

  /** A run that was stopped: its outcome is told by another, if at all. */
  async #giveUp(job: Job, token: string, why: Abandoned = "leaving"): Promise<never> {
    switch (why) {
      case "cancelled":
        this.#counts.cancelled++;
        throw new UnrecoverableError("cancelled");
      case "lost":
        this.#givenBack++;
        throw new Error("Given up: this machine had lost the lock");
      case "leaving":
        this.#givenBack++;
        await job.moveToWait(token);
        throw new WaitingError();
      default:
        return why satisfies never;
    }
  }

  /** As BullMQ will decide, which counts only runs that failed: not those that were lost or given back. */
  #isTriedAgain(job: Job, { retry }: TaskWire, status: OutcomeData["status"]): boolean {
    if (retry === undefined || status === "ok" || status === "cancelled") return false;
    const most = Math.min(retry.maxAttempts, job.opts.attempts ?? 1);
    return retry.on.includes(status) && job.attemptsMade + 1 < most &&
      job.stalledCounter < this.#o.maxCrashes;
  }

  #reporter({ progress }: Producer, job: string, attempt: number): ReportWriter {
    return new ReportWriter(progress, job, attempt, this.#o.maxBytes);
  }

  /** Has the outcome wait for its producer. */
  async #tell(
    { outcomes }: Producer,
    job: Job,
    { id: _, ...outcome }: OutcomeData,
    report: ReportWriter | undefined,
  ): Promise<void> {
    const late = await report?.rest() ?? [];
    const onWire: OutcomeOnWire = {
      ...outcome,
      waitedMs: Math.max(0, Date.now() - job.timestamp - outcome.ranMs),
      ...(late.length > 0 && { late }),
    };
    const { module, timeout, args } = job.data as TaskWire;
    const wire: OutcomeWire = {
      v: WIRE_VERSION,
      outcome: this.#packOutcome(onWire),
      reported: report?.published ?? 0,
      task: { module, timeout, args },
      machine: this.name,
    };
    await outcomes.add(outcome.status, wire, { jobId: job.id!, removeOnComplete: true, removeOnFail: true });
  }

  #packOutcome(outcome: OutcomeOnWire): OutcomeWire["outcome"] {
    const { maxBytes } = this.#o;
    const { packed, bytes } = pack(defined(outcome), this.#link.keepsJson);
    if (bytes <= maxBytes) return packed;
    const message =
      `What it ended with takes ${bytes} bytes, of ${maxBytes} (maxBytes); return the name of a file or an object`;
    const error = describeError(new RangeError(message));
    const { worker, attempts, callbacks, waitedMs, ranMs } = outcome;
    const facts: OutcomeOnWire = { status: "failed", worker, attempts, callbacks, waitedMs, ranMs, error };
    return pack(defined(facts), this.#link.keepsJson).packed;
  }

  async #end(grace: number, failure: Error | undefined): Promise<void> {
    if (this.#ending !== undefined) return;
    this.#ending = this.#close(grace);
    await this.#ending;
    if (failure === undefined) this.#closed.resolve();
    else this.#closed.reject(failure);
  }

  async #close(grace: number): Promise<void> {
    const closing = this.#worker?.close();
    // While the store is away the worker does not say that nothing runs.
    if (this.#runs.size > 0 || !this.#link.isAway) await within(closing, grace);
    this.#leaving = true;
    for (const job of this.#runs.keys()) this.#abandon(job, "leaving");
    // Not longer: the store may be away, and another machine finds by itself what is left.
    await within(closing, GIVE_BACK_MS);
    await within(Promise.allSettled([this.#cancels?.close(), this.#producers.close()]), CLOSE_MS);
    await this.#link.close();
    await this.#pool.stop();
  }
}

/** A task under which too many machines were lost: this one does not start it. */
function lostTooOften(job: Job, attempts: number): OutcomeData {
  const message = `was lost with its machine, ${job.stalledCounter} times`;
  return {
    ...NEVER_RAN,
    status: "crashed",
    attempts,
    death: { reason: "machine", exitCode: null, message },
  };
}

/** Without what is undefined, which JSON does not know. */
function defined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

/** What dashboards show of it. */
function failure({ status, error, load, limit, death }: OutcomeData, again: boolean): Error {
  const why = error?.message ?? load?.cause?.message ?? load?.message ?? death?.message ??
    (limit === undefined ? "" : `longer than ${limit.timeout} ms`);
  const failure = new (again ? Error : UnrecoverableError)(plain(`${status}: ${why}`));
  failure.stack = plain(error?.stack ?? failure.message);
  return failure;
}

/** PostgreSQL knows no U+0000 in a text. */
function plain(text: string): string {
  return text.replaceAll("\0", "\uFFFD");
}
