import { largeBuffers } from "../wire/buffers.ts";
import type { TaskData } from "../wire/protocol.ts";
import type { Batch } from "../scheduler/queue.ts";
import { BatchHead, TaskRecord } from "../wire/records.ts";
import { discard, open } from "../wire/sealed.ts";
import type { Task } from "../scheduler/scheduling.ts";

/** What can only be moved. */
type Movable = ArrayBuffer | MessagePort;

const NONE: readonly Movable[] = [];

function movablesOf({ transfer, args, sealed }: TaskData): readonly Movable[] {
  if (sealed !== undefined) return [sealed];
  const buffers = new Set([...transfer, ...largeBuffers(args ?? [])]);
  return buffers.size === 0 ? NONE : [...buffers];
}

function bytesOf(moved: readonly Movable[]): number {
  let bytes = 0;
  for (const each of moved) if (each instanceof ArrayBuffer) bytes += each.byteLength;
  return bytes;
}

/** A pushed task: a record, or data of its own. */
export class RunTask implements Task {
  readonly id: number;
  readonly module: number;
  readonly timeout: number;
  readonly pushedAt: number;
  readonly data: TaskData | undefined;
  /** Its record, if it has no data of its own. */
  readonly words: Int32Array | undefined;
  readonly at: number;
  attempts: number;
  lastRun: Task["lastRun"] = undefined;
  refusals = 0;
  /** Buffers among the arguments that leave with them, or what they are sealed in. */
  #moved: readonly Movable[];
  readonly bytes: number;
  /** They have left, and are nowhere else. */
  left = false;
  sendMs = 0;
  /** The last attempt whose beginning watchers were told. */
  begun = 0;
  seq = 0;
  slot = 0;
  /** What it has printed, the end of it, where that is captured. */
  output = "";
  state: Task["state"] = "queued";
  cancelled: Task["cancelled"] = "no";
  crashed = false;

  constructor(
    id: number,
    module: number,
    timeout: number,
    pushedAt: number,
    from: TaskData | Int32Array,
    at: number,
  ) {
    this.id = id;
    this.module = module;
    this.timeout = timeout;
    this.pushedAt = pushedAt;
    this.data = from instanceof Int32Array ? undefined : from;
    this.words = from instanceof Int32Array ? from : undefined;
    this.at = at;
    this.attempts = this.data?.origin?.attempts ?? 0;
    this.#moved = this.data === undefined ? NONE : movablesOf(this.data);
    this.bytes = this.data?.bytes ?? bytesOf(this.#moved);
  }

  get moved(): readonly Movable[] {
    return this.#moved;
  }

  /** Takes the arguments out of what they are sealed in: a process cannot. */
  unseal(): void {
    const { data } = this;
    if (data?.sealed === undefined) return;
    data.args = open(data.sealed) as unknown[];
    delete data.sealed;
    this.#moved = movablesOf(data);
  }

  /** Its buffers are back: the worker that they were moved to has not begun it. */
  restore(args: unknown[] | undefined, moved: ArrayBuffer[]): void {
    if (this.state === "settled" || this.data === undefined) return;
    this.data.args = args;
    this.data.transfer = this.#moved = moved;
    this.left = false;
  }

  /** Lets go of what it was given: it will not be run any more. */
  release(): void {
    if (this.#moved !== NONE) this.#moved = [];
    if (this.data === undefined) return;
    if (this.data.sealed !== undefined && !this.left) discard(this.data.sealed);
    this.data.args = undefined;
    this.data.transfer = [];
  }

  get exclusive(): boolean {
    return this.#moved !== NONE;
  }

  get priority(): number {
    return this.data?.priority ?? 0;
  }

  get softTimeout(): number | undefined {
    return this.data?.softTimeout;
  }

  get cancelGrace(): number | undefined {
    return this.data?.cancelGrace;
  }

  get timeoutGrace(): number | undefined {
    return this.data?.timeoutGrace;
  }

  get retry(): TaskData["retry"] {
    return this.data?.retry;
  }
}

/** Tasks as they came, made into objects when their turn comes. */
export class RecordBatch implements Batch<RunTask> {
  left: number;
  readonly #words: Int32Array;
  readonly #pushedAt: number;
  #at: number = BatchHead.words;

  constructor(buffer: ArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.left = BatchHead.count(this.#words);
    this.#pushedAt = BatchHead.at(this.#words);
  }

  shift(): RunTask {
    const words = this.#words;
    const at = this.#at;
    this.left--;
    this.#at += words[at]!;
    return new RunTask(
      TaskRecord.id(words, at),
      TaskRecord.module(words, at),
      TaskRecord.timeout(words, at),
      this.#pushedAt,
      words,
      at,
    );
  }
}
