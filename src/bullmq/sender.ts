import type { Queue } from "bullmq";
import { PoolStateError } from "../errors.ts";
import { within } from "../util/within.ts";
import type { ReportsSeen } from "./reports.ts";
import type { TaskWire } from "./wire.ts";

/** Tasks in one command at most. */
const MAX_BATCH = 500;
/** Bytes of arguments in one command, unless a single task has more. */
const MAX_BATCH_BYTES = 4 * 2 ** 20;
/** How long the store is left alone when it has refused, in milliseconds. */
const RETRY_MS = 1_000;

/** What the priority 0 is for BullMQ, where less goes first, and none at all before everything. */
const MIDDLE = 2 ** 20;

/** A task that has no outcome yet. */
export interface OpenTask {
  readonly job: string;
  readonly data: TaskWire;
  readonly priority: number;
  /** What its arguments take. */
  readonly bytes: number;
  /** When it was pushed. */
  readonly since: number;
  /** When it was known to be in the queue; undefined before. */
  sentAt: number | undefined;
  /** For one whose progress is wanted. */
  readonly seen: ReportsSeen | undefined;
  /** Nobody waits for its outcome any more. */
  settled: boolean;
}

/**
 * Sends what was pushed in a turn together, in the order of the pushes, and again until the queue has it: the ids of the
 * jobs make it safe to send one twice.
 */
export class Sender {
  readonly #queue: Queue;
  readonly #onError: (error: Error) => void;
  #waiting: OpenTask[] = [];
  #head = 0;
  #running = false;
  readonly #over = Promise.withResolvers<void>();
  #ended = false;
  /** What is being sent. */
  #sending: Promise<void> = Promise.resolve();
  #flushes: PromiseWithResolvers<void>[] = [];

  constructor(queue: Queue, onError: (error: Error) => void) {
    this.#queue = queue;
    this.#onError = onError;
  }

  push(task: OpenTask): void {
    this.#waiting.push(task);
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => this.#run());
  }

  /** Resolves when all that was pushed is in the queue. */
  flushed(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    const flush = Promise.withResolvers<void>();
    this.#flushes.push(flush);
    return flush.promise;
  }

  /** Resolves when nothing is on its way. */
  quiet(): Promise<void> {
    return this.#sending;
  }

  /** Sends no more. */
  end(): void {
    this.#ended = true;
    this.#over.resolve();
    this.#waiting = [];
    this.#head = 0;
    const error = new PoolStateError("Cannot flush: the pool ended before all tasks were in the queue");
    for (const flush of this.#flushes.splice(0)) flush.reject(error);
  }

  async #run(): Promise<void> {
    for (let batch = this.#next(); batch.length > 0; batch = this.#next()) {
      this.#sending = this.#send(batch);
      await this.#sending;
    }
    this.#running = false;
    for (const flush of this.#flushes.splice(0)) flush.resolve();
  }

  #next(): OpenTask[] {
    const batch: OpenTask[] = [];
    let bytes = 0;
    while (this.#head < this.#waiting.length && batch.length < MAX_BATCH && bytes < MAX_BATCH_BYTES) {
      const task = this.#waiting[this.#head]!;
      this.#waiting[this.#head++] = undefined!;
      // Cancelled before it was sent.
      if (task.settled) continue;
      batch.push(task);
      bytes += task.bytes;
    }
    // Moving the rest only when it is the smaller half keeps this O(1) a task.
    if (2 * this.#head >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return batch;
  }

  async #send(batch: readonly OpenTask[]): Promise<void> {
    const jobs = batch.map(jobOf);
    while (!this.#ended) {
      try {
        await this.#queue.addBulk(jobs);
        const at = performance.now();
        for (const task of batch) task.sentAt = at;
        return;
      } catch (error) {
        if (this.#ended) return;
        this.#onError(error as Error);
        await within(this.#over.promise, RETRY_MS);
      }
    }
  }
}

function jobOf({ job, data, priority }: OpenTask): Parameters<Queue["addBulk"]>[0][number] {
  const { module, retry } = data;
  return {
    name: module,
    data,
    opts: {
      jobId: job,
      // Always one: BullMQ takes jobs that have none before all others.
      priority: Math.max(1, Math.min(2 * MIDDLE - 1, MIDDLE - Math.round(priority))),
      ...(retry && { attempts: retry.maxAttempts, backoff: { type: "multiprocess" } }),
    },
  };
}
