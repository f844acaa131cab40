import { largeBuffers } from "../wire/buffers.ts";
import type { TaskData } from "../wire/protocol.ts";
import type { Batch } from "../scheduler/queue.ts";
import { BatchHead, TaskRecord } from "../wire/records.ts";
import type { Task } from "../scheduler/scheduling.ts";

const NONE: readonly ArrayBuffer[] = [];

function buffersOf({ transfer, args }: TaskData): readonly ArrayBuffer[] {
  const buffers = new Set([...transfer, ...largeBuffers(args ?? [])]);
  return buffers.size === 0 ? NONE : [...buffers];
}

/** A pushed task: a record, or data of its own. */
export class RunTask implements Task {
  readonly id: number;
  readonly module: number;
  readonly timeout: number;
  readonly pushedAt: number;
  readonly data: TaskData | undefined;
  /** Its record, where it has no data of its own. */
  readonly words: Int32Array | undefined;
  readonly at: number;
  attempts = 0;
  lastRun: Task["lastRun"] = undefined;
  refusals = 0;
  /** Buffers among the arguments that leave with them. */
  #moved: readonly ArrayBuffer[];
  readonly bytes: number;
  sendMs = 0;
  /** The last attempt whose beginning was told to who watches. */
  begun = 0;
  seq = 0;
  state: Task["state"] = "queued";
  cancelled = false;

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
    this.#moved = this.data === undefined ? NONE : buffersOf(this.data);
    this.bytes = this.#moved === NONE ? 0 : this.#moved.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  get moved(): readonly ArrayBuffer[] {
    return this.#moved;
  }

  /** Lets go of what it was given: it will not be run any more. */
  release(): void {
    if (this.#moved !== NONE) this.#moved = [];
    if (this.data === undefined) return;
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
