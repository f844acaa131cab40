import { largeBuffers } from "../wire/buffers.ts";
import { describeError } from "../wire/error_data.ts";
import type { RunResult } from "./pool_worker.ts";
import type { EventData, OutcomeData, ToEntry } from "../wire/protocol.ts";
import { OutcomeRecord, RecordWriter, ResultRecord } from "../wire/records.ts";
import type { RunTask } from "./run_task.ts";
import type { Command } from "../scheduler/scheduling.ts";

/** How the dispatcher reaches the entry. */
export interface EntryPort {
  post(message: ToEntry, transfer?: Transferable[]): void;
}

/** Outcomes on their way to the entry: records are gathered until `flush`, the rest are messages of their own. */
export class Outbox {
  readonly #entry: EntryPort;
  readonly #outcomes = new RecordWriter();
  /** What happened, while somebody watches. */
  #events: EventData[] | undefined;

  constructor(entry: EntryPort) {
    this.#entry = entry;
  }

  /** Whether somebody watches what happens. */
  get watched(): boolean {
    return this.#events !== undefined;
  }

  watch(on: boolean): void {
    this.#events = on ? [] : undefined;
  }

  /** Something happened, of interest to who watches. */
  happened(event: EventData): void {
    this.#events?.push(event);
  }

  /** A run began; told once. */
  began(task: RunTask, worker: number, attempt: number, at: number): void {
    if (this.#events === undefined || task.begun === attempt || task.id < 0) return;
    task.begun = attempt;
    this.#events.push({ type: "started", at, taskId: task.id, attempt, workerId: worker });
  }

  /** A task ended with a result. */
  result(
    task: RunTask,
    worker: number,
    result: RunResult,
    callbacks: number | undefined,
    waitedMs: number,
  ): void {
    const ranMs = Math.max(0, result.endedAt - result.startedAt);
    if (result.words !== undefined) {
      const outcomes = this.#outcomes;
      const at = outcomes.begin(OutcomeRecord.header);
      OutcomeRecord.put(outcomes.words, at, task.id, worker, task.attempts, callbacks!, waitedMs, ranMs);
      outcomes.copy(result.words, result.at + ResultRecord.header, result.at + result.words[result.at]!);
      outcomes.end();
      return;
    }
    const { error, load, value } = result.data!;
    const status = result.ok ? "ok" : "failed";
    const outcome: OutcomeData = {
      id: task.id,
      status,
      worker,
      attempts: task.attempts,
      callbacks,
      waitedMs,
      ranMs,
    };
    if (error !== undefined) outcome.error = error;
    else if (load !== undefined) outcome.load = load;
    else outcome.value = value;
    this.#post(outcome, status === "ok" ? largeBuffers([value]) : []);
  }

  /** A task ended without one. */
  verdict(
    { task, verdict, worker, callbacks, waitedMs, ranMs }: Command<RunTask, RunResult> & { type: "settle" },
  ): void {
    this.#post({ id: task.id, worker, attempts: task.attempts, callbacks, waitedMs, ranMs, ...verdict });
  }

  /** Tells what is gathered. */
  flush(): void {
    if (this.#events !== undefined && this.#events.length > 0) {
      this.#entry.post({ type: "events", events: this.#events });
      this.#events = [];
    }
    if (this.#outcomes.count === 0) return;
    const buffer = this.#outcomes.take();
    this.#entry.post(buffer, [buffer]);
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
}
