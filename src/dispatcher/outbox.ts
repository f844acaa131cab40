import { largeBuffers } from "../wire/buffers.ts";
import { describeError } from "../wire/error_data.ts";
import { now } from "../wire/now.ts";
import type { RunResult } from "./pool_worker.ts";
import type { EventData, OutcomeData, ResultData, ToEntry } from "../wire/protocol.ts";
import { OutcomeRecord, RecordWriter, ResultRecord } from "../wire/records.ts";
import type { RunTask } from "./run_task.ts";
import type { Command } from "../scheduler/scheduling.ts";

/** How the dispatcher reaches the entry. */
export interface EntryPort {
  post(message: ToEntry, transfer?: Transferable[]): void;
}

/** How much of what a task prints is kept, in UTF-16 code units. */
const MAX_OUTPUT = 1 << 16;
/** Outcomes without a value in one message at most. */
const MAX_VERDICTS = 256;

/** Outcomes on their way to the entry: records are gathered until `flush`, all others are messages of their own. */
export class Outbox {
  readonly #entry: EntryPort;
  readonly #outcomes = new RecordWriter();
  /** Outcomes that have nothing in them that could not be sent. */
  #verdicts: OutcomeData[] = [];
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

  /** Something happened that watchers want to know. */
  happened(event: EventData): void {
    this.#events?.push(event);
  }

  /** A run began; told once. */
  began(task: RunTask, worker: number, attempt: number, at: number): void {
    if (this.#events === undefined || task.begun === attempt || task.id < 0) return;
    task.begun = attempt;
    this.#events.push({ type: "started", at, taskId: task.id, attempt, workerId: worker, slot: task.slot });
  }

  /** A task printed something. */
  printed(task: RunTask, stream: "stdout" | "stderr", text: string): void {
    task.output = (task.output + text).slice(-MAX_OUTPUT);
    if (task.id > 0) this.happened({ type: "output", at: now(), taskId: task.id, stream, text });
  }

  /** Tells what the task printed, before its outcome. */
  #tellOutput({ id, output }: RunTask): void {
    if (output !== "") this.#entry.post({ type: "output", id, text: output });
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
    this.#tellOutput(task);
    if (result.words !== undefined) {
      const outcomes = this.#outcomes;
      const at = outcomes.begin(OutcomeRecord.header);
      OutcomeRecord.put(outcomes.words, at, task.id, worker, task.attempts, callbacks!, waitedMs, ranMs);
      outcomes.copy(result.words, result.at + ResultRecord.header, result.at + result.words[result.at]!);
      outcomes.end();
      return;
    }
    const { error, load, value, inner, sealed } = result.data!;
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
    else if (sealed === undefined) [outcome.value, outcome.inner] = [value, inner];
    else return this.#forward({ ...outcome, inner, sealed }, result.data!);
    this.#post(outcome, status === "ok" ? largeBuffers([value]) : []);
  }

  /** Hands on what the value is sealed in. */
  #forward(outcome: OutcomeData & { sealed: MessagePort }, data: ResultData): void {
    data.sealed = undefined;
    this.#flushEvents();
    this.#entry.post({ type: "outcome", outcome }, [outcome.sealed]);
  }

  /** A task ended without a result. */
  verdict(
    { task, verdict, worker, callbacks, waitedMs, ranMs }: Command<RunTask, RunResult> & { type: "settle" },
  ): void {
    this.#tellOutput(task);
    this.#verdicts.push({
      id: task.id,
      worker,
      attempts: task.attempts,
      callbacks,
      waitedMs,
      ranMs,
      ...verdict,
    });
    if (this.#verdicts.length >= MAX_VERDICTS) this.flushVerdicts();
  }

  /** Sends what was gathered. */
  flush(): void {
    this.#flushEvents();
    this.flushVerdicts();
    if (this.#outcomes.count === 0) return;
    const buffer = this.#outcomes.take();
    this.#entry.post(buffer, [buffer]);
  }

  /** Sends the outcomes without a result that were gathered. */
  flushVerdicts(): void {
    if (this.#verdicts.length === 0) return;
    this.#flushEvents();
    this.#entry.post({ type: "outcomes", outcomes: this.#verdicts });
    this.#verdicts = [];
  }

  /** Before all else: nobody is to hear of the end of a run before its beginning. */
  #flushEvents(): void {
    if (this.#events === undefined || this.#events.length === 0) return;
    this.#entry.post({ type: "events", events: this.#events });
    this.#events = [];
  }

  #post(outcome: OutcomeData, transfer: Transferable[] = []): void {
    this.#flushEvents();
    try {
      this.#entry.post({ type: "outcome", outcome }, transfer);
    } catch (error) {
      // What one thread can clone, another may not be able to clone: memory that is shared with a process, for one.
      const { value: _, ...facts } = outcome;
      this.#entry.post({
        type: "outcome",
        outcome: { ...facts, status: "failed", error: describeError(error) },
      });
    }
  }
}
