import { describeError } from "../wire/error_data.ts";
import { refuseLossy } from "../wire/lossy.ts";
import { now } from "../wire/now.ts";
import type { DeathData, ErrorData, ModuleData, ResultData, Running, TaskData } from "../wire/protocol.ts";
import { RecordWriter, ResultRecord, writeRun } from "../wire/records.ts";
import type { RunTask } from "./run_task.ts";
import type { WorkerLink } from "../runtime/port.ts";
import { RING_WORDS } from "../runtime/shared.ts";
import type { Result, WorkerKind } from "../scheduler/scheduling.ts";
import { Watch } from "./watch.ts";

/** The end of a run: a record, or a message. */
export interface RunResult extends Result {
  readonly words: Int32Array | undefined;
  readonly at: number;
  readonly data: ResultData | undefined;
}

// Used only within a call: one of each serves all workers.
const scratch = new Int32Array(RING_WORDS);
const runs = new RecordWriter();

/** A worker, as the dispatcher holds it. */
export class PoolWorker {
  readonly id: number;
  readonly isolation: WorkerKind;
  readonly #strange: boolean;
  readonly link: WorkerLink;
  /** Its live deadline. */
  readonly watch: Watch;
  ready = false;
  /** When it was. */
  startedAt = 0;
  /** How many messages have come from it. */
  heard = 0;
  /** It was told to end, so nobody needs to know why it does. */
  dismissed = false;
  /** Why it ends, as it says itself. */
  death: DeathData | undefined;
  /** The modules that it has loaded, or was to. */
  readonly modules: number[] = [];
  /** Why it has ended, as whoever started it saw it: known perhaps before what it says itself was read. */
  seen: DeathData | undefined;
  /** Its port is closed. */
  closed = false;

  /** @param strange It is of another kind than the one whose values the entry looks after. */
  constructor(id: number, isolation: WorkerKind, strange: boolean, link: WorkerLink, look: () => void) {
    this.id = id;
    this.isolation = isolation;
    this.#strange = strange;
    this.link = link;
    this.watch = new Watch(look);
  }

  /** Nobody waits for it any more. */
  dismiss(): void {
    this.dismissed = true;
    this.watch.end();
  }

  /** Hands tasks out, of which these are the modules that are new to it. Returns the ends of those that cannot be sent. */
  offer(tasks: readonly RunTask[], modules: readonly ModuleData[]): RunResult[] {
    const { link } = this;
    const failed: RunResult[] = [];
    // They are taken back when its end is told.
    if (link.leaving) return failed;
    if (modules.length > 0) link.post({ type: "modules", modules });
    const at = now();
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks[i]!;
      link.offer(task.seq, at);
      if (task.words !== undefined) {
        writeRun(runs, task.words, task.at, task.seq, task.attempts + 1, task.slot);
      } else {
        this.#postRuns();
        const result = this.#offerOne(task, task.data!);
        if (result !== undefined) failed.push(result);
      }
    }
    this.#postRuns();
    return failed;
  }

  #postRuns(): void {
    if (runs.count === 0) return;
    const buffer = runs.take();
    this.link.post(buffer, [buffer]);
  }

  #offerOne(task: RunTask, data: TaskData): RunResult | undefined {
    if (this.link.memory === undefined) task.unseal();
    const { args, sealed, inner, retry, origin } = data;
    const { seq, module } = task;
    const id = origin?.id ?? task.id;
    const attempt = task.attempts + 1;
    // Another attempt needs the buffers again.
    const last = retry === undefined || attempt >= retry.maxAttempts;
    const moved = last ? [...task.moved] : [];
    const since = now();
    try {
      if (this.#strange) args?.forEach((arg, i) => refuseLossy(arg, `argument ${i + 1}`, this.isolation));
      this.link.post(
        {
          type: "run-one",
          seq,
          task: task.id,
          id,
          attempt,
          slot: task.slot,
          module,
          args,
          inner,
          ...(sealed && { sealed }),
        },
        moved,
      );
      task.left = moved.length > 0;
      task.sendMs = now() - since;
      return undefined;
    } catch (error) {
      this.link.takeBack(seq);
      return undeliverable(seq, describeError(error));
    }
  }

  /** What it does with the last of these tasks that it has begun. */
  look(seqs: readonly number[]): Running | undefined {
    for (let i = seqs.length - 1; i >= 0; i--) {
      const running = this.link.look(seqs[i]!);
      if (running !== undefined) return running;
    }
    return undefined;
  }

  /** Results that it has written to shared memory. */
  read(): RunResult[] {
    const end = this.link.read(scratch);
    if (end === 0) return [];
    const words = scratch.slice(0, end);
    const results: RunResult[] = [];
    const first = ResultRecord.startedAt(words, 0);
    const shift = this.link.shift(ResultRecord.seq(words, 0), first, ResultRecord.endedAt(words, 0));
    for (let at = 0; at < end; at += words[at]!) {
      results.push({
        seq: ResultRecord.seq(words, at),
        ok: true,
        unloaded: false,
        callbacks: ResultRecord.callbacks(words, at),
        startedAt: ResultRecord.startedAt(words, at) + shift,
        endedAt: ResultRecord.endedAt(words, at) + shift,
        words,
        at,
        data: undefined,
      });
    }
    return results;
  }

  /** A result that came as a message. */
  result(data: ResultData): RunResult {
    const { seq, startedAt, endedAt } = data;
    return resultOf(data, this.link.shift(seq, startedAt, endedAt));
  }
}

function resultOf(data: ResultData, shift: number): RunResult {
  const { seq, callbacks } = data;
  const ok = data.error === undefined && data.load === undefined;
  const [startedAt, endedAt] = [data.startedAt + shift, data.endedAt + shift];
  const unloaded = data.load !== undefined;
  return { seq, ok, unloaded, callbacks, startedAt, endedAt, words: undefined, at: 0, data };
}

/** The end of a run whose arguments cannot be sent to the worker. */
export function undeliverable(seq: number, error: ErrorData): RunResult {
  const at = now();
  return resultOf({ seq, callbacks: undefined, startedAt: at, endedAt: at, error }, 0);
}
