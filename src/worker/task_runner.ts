/**
 * In the worker: takes tasks, runs them one after the other, tells their results.
 *
 * It shares its thread and its globals with code that nobody vouches for, so whatever it needs while a task may
 * already have run is taken when this module is loaded.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { getHeapStatistics } from "node:v8";
import { ByteBuffer, decode } from "../wire/codec.ts";
import { describeError } from "../wire/error_data.ts";
import { now } from "../wire/now.ts";
import {
  type FromWorker,
  type ModuleData,
  PROTOCOL_VERSION,
  type ResultData,
  RESULTS,
  type ToWorker,
} from "../wire/protocol.ts";
import { Realm } from "./realm.ts";
import { RecordWriter, ResultRecord, RunRecord } from "../wire/records.ts";
import { drive, isGenerator, type RunId, RunningTask } from "./running_task.ts";
import { callbackBits, findTarget, type Target } from "../wire/task_module.ts";
import { isThenable } from "../util/thenable.ts";
import { transferOf } from "../transfer.ts";
import { type Isolation, refuseLossy } from "../wire/lossy.ts";

const prototypeOf = Object.getPrototypeOf;
const ArrayBufferPrototype = ArrayBuffer.prototype;
const nextTurn = setImmediate;
const PromiseClass = Promise;
const heapLimit = () => getHeapStatistics().heap_size_limit;

/** How the runner talks to the dispatcher; what differs between a thread and a process. */
export interface Seat {
  /** What it differs by for values on their way. */
  readonly isolation: Isolation;
  /** True if the task is this worker's to run. */
  claim(seq: number, loading: boolean, callbacks: number, now: number): boolean;
  /** A task that was loading runs now. */
  run(seq: number, callbacks: number, now: number): void;
  /** Whether a task is to come that this worker may claim. */
  isOffered(seq: number): boolean;
  /** Keeps a result record where it outlives this worker; false if it must be posted. */
  write(record: Int32Array, length: number): boolean;
  /** Whether the dispatcher should be told of results now. */
  readonly crowded: boolean;
  /** Whether there are results that it has not read. */
  readonly unread: boolean;
  post(message: FromWorker, transfer?: ArrayBuffer[]): void;
  /** Ends this worker. */
  exit(): void;
}

/** A task to run. */
interface Run extends RunId {
  module: number;
  /** Undefined for a task that only loads its module. */
  args: unknown[] | undefined;
  next: Run | undefined;
}

type Loaded = { target: Target; bits: number } | { message: string; thrown: unknown; caused: boolean };

interface ModuleEntry {
  data: ModuleData;
  loaded: Loaded | undefined;
}

/** Runs tasks. */
export class TaskRunner {
  readonly #seat: Seat;
  readonly #modules: ModuleEntry[] = [];
  readonly #writer = new RecordWriter();
  // A list of our own: the methods of arrays can be patched.
  #first: Run | undefined;
  #last: Run | undefined;
  /** The number of the task that came last. */
  #lastSeq = -1;
  #running: RunningTask | undefined;
  #active = false;
  /** There are results that the dispatcher may not have read. */
  #untold = false;
  #dispose: (() => unknown) | undefined;
  readonly #memoryLimit: number;
  /**
   * What V8 allows the heap, in bytes, where there is a memory limit.
   *
   * Deno ends the code that exhausts the heap of a thread, and what called it, but not the thread (seen up to 2.9.6): no
   * exception, no `finally`, and the task would wait for its limit. To have room for that it raises the limit, so that
   * it can be noticed with the next message, if only a `ping`. And were it the delivery of a message that ended too,
   * none would ever come again: with a memory limit tasks begin in a turn of their own.
   */
  readonly #heapLimit: number;
  /** As it was before the first task; what the initializer changes is meant for all. */
  #realm = new Realm();
  #retired = false;

  /** @param memoryLimit MiB of heap that the runtime was told to allow; `Infinity` for no limit of its own. */
  constructor(seat: Seat, memoryLimit = Infinity) {
    this.#seat = seat;
    this.#memoryLimit = memoryLimit;
    this.#heapLimit = memoryLimit === Infinity ? Infinity : heapLimit();
  }

  /** Imports the initializer, where there is one, and tells that the worker is ready. */
  async start(initializer: string | undefined): Promise<void> {
    try {
      if (initializer !== undefined) {
        this.#seat.post({ type: "initializing" });
        const namespace = await import(initializer);
        if (typeof namespace.dispose === "function") this.#dispose = namespace.dispose;
        if (typeof namespace.initialize === "function") await namespace.initialize();
        this.#realm = new Realm();
      }
    } catch (error) {
      this.#seat.post({ type: "failed-start", error: describeError(error) });
      this.#seat.exit();
      return;
    }
    // An exit that it has begun, or a rejection that nobody handles, shows only now.
    await new PromiseClass<void>((resolve) => nextTurn(resolve));
    if (this.#retired) return;
    this.#seat.post({ type: "ready", version: PROTOCOL_VERSION, at: now() });
  }

  /** The worker is on its way out, though its code may go on for a while: that begins nothing, and counts for nothing. */
  leave(): void {
    try {
      this.#running?.flush();
    } catch {
      // It cannot be sent any more.
    }
    this.#retired = true;
    this.#first = this.#last = undefined;
  }

  /** Takes a message in. */
  receive(message: ToWorker): void {
    // Its end may take a moment, or be prevented by a task; it claims nothing any more.
    if (this.#retired && (isBuffer(message) || message.type !== "close")) return;
    if (this.#heapLimit !== Infinity && heapLimit() > this.#heapLimit) return this.#outOfMemory();
    if (isBuffer(message)) this.#read(new ByteBuffer(message));
    else if (!this.#obey(message)) return;
    if (this.#active) return;
    this.#active = true;
    this.#goOn();
  }

  /** Runs what is there, with a memory limit in a turn of its own: see `#heapLimit`. */
  #goOn(): void {
    if (this.#memoryLimit === Infinity) {
      this.#loop();
    } else {
      // What the last task left behind may keep that turn from coming.
      this.#tell();
      nextTurn(() => this.#loop());
    }
  }

  /** Does what a message says. True if it brought something to run. */
  #obey(message: Exclude<ToWorker, ArrayBuffer>): boolean {
    switch (message.type) {
      case "ping":
        return false;
      case "modules":
        for (let i = 0; i < message.modules.length; i++) {
          this.#modules[message.from + i] = { data: message.modules[i]!, loaded: undefined };
        }
        return false;
      case "run-one": {
        const { seq, id, attempt, module, args } = message;
        this.#append({ seq, id, attempt, module, args, next: undefined });
        return true;
      }
      case "abort":
        if (this.#running?.seq === message.seq) this.#running.abort();
        return false;
      case "resume":
        if (this.#running?.seq === message.seq) this.#running.resume();
        return false;
      case "refused":
        if (this.#running?.seq === message.seq) this.#running.refuse(message.message);
        return false;
      case "close":
        void this.#close(message.clean);
        return false;
      default:
        message satisfies never;
        return false;
    }
  }

  #read(buffer: ByteBuffer): void {
    const { words } = buffer;
    for (let at = 0; at < words.length; at += words[at]!) {
      buffer.at = 4 * (at + RunRecord.header);
      const args = decode(buffer) as unknown[];
      this.#append({
        seq: RunRecord.seq(words, at),
        id: RunRecord.id(words, at),
        attempt: RunRecord.attempt(words, at),
        module: RunRecord.module(words, at),
        args,
        next: undefined,
      });
    }
  }

  #append(run: Run): void {
    if (this.#last === undefined) this.#first = run;
    else this.#last.next = run;
    this.#last = run;
    this.#lastSeq = run.seq;
  }

  /** Runs what is there; goes on by itself after a task that has to be awaited. */
  #loop(): void {
    for (;;) {
      // Before a task is claimed, not only after one: what a task leaves behind may change the globals while idle.
      const changed = this.#realm.spoilt;
      if (changed !== undefined) return this.#retire(changed);
      const run = this.#first;
      if (run === undefined) break;
      this.#first = run.next;
      if (run.next === undefined) this.#last = undefined;
      const entry = this.#modules[run.module]!;
      const { loaded } = entry;
      const bits = loaded !== undefined && "target" in loaded ? loaded.bits : 0;
      // Not the end of the last: reading its result, or the globals, may have run code that it left.
      const startedAt = now();
      if (!this.#seat.claim(run.seq, loaded === undefined, bits, startedAt)) continue;
      if (loaded === undefined) {
        void this.#load(entry, run);
        return;
      }
      if (!this.#begin(run, loaded, startedAt)) return;
    }
    this.#active = false;
    // With more to come it would be woken for nothing, at the moment at which that costs most: it looks by itself.
    if (!this.#seat.isOffered(this.#lastSeq + 1)) this.#tell();
  }

  async #load(entry: ModuleEntry, run: Run): Promise<void> {
    // The dispatcher is to hear of what is done before this takes its time.
    this.#tell();
    const { specifier, url, exported } = entry.data;
    let namespace: Record<string, unknown> | undefined;
    try {
      namespace = await import(url);
      const target = findTarget(namespace!, exported);
      entry.loaded = { target, bits: callbackBits(target) };
    } catch (thrown) {
      entry.loaded = namespace === undefined
        ? { message: `Cannot load ${specifier}`, thrown, caused: true }
        : { message: `Cannot run ${specifier}: ${(thrown as Error).message}`, thrown, caused: false };
    }
    if (this.#retired) return;
    this.#realm.acceptTools();
    const { loaded } = entry;
    // A module that could not be loaded is imported again for the next task: it may have been mended.
    if (!("target" in loaded)) entry.loaded = undefined;
    const startedAt = now();
    if ("target" in loaded) this.#seat.run(run.seq, loaded.bits, startedAt);
    if (this.#begin(run, loaded, startedAt)) this.#loop();
  }

  /** Runs a task. True if it is done, false if it goes on and will call `#loop` at its end. */
  #begin(run: Run, loaded: Loaded, startedAt: number): boolean {
    if (!("target" in loaded)) {
      const load = { message: loaded.message, ...(loaded.caused && { cause: describeError(loaded.thrown) }) };
      this.#post({ seq: run.seq, callbacks: undefined, startedAt, endedAt: startedAt, load });
      return true;
    }
    if (run.args === undefined) {
      this.#succeed(run, loaded.bits, startedAt, undefined);
      return true;
    }
    const context = new RunningTask(run, this.#seat);
    this.#running = context;
    let value: unknown;
    try {
      value = loaded.target.run(context, run.args);
      if (isGenerator(value)) value = drive(value, context);
      if (!isThenable(value)) {
        this.#succeed(run, loaded.bits, startedAt, value);
        return true;
      }
    } catch (error) {
      this.#fail(run, loaded.bits, startedAt, error);
      return true;
    }
    void this.#wait(run, loaded.bits, startedAt, value);
    return false;
  }

  async #wait(run: Run, bits: number, startedAt: number, promise: PromiseLike<unknown>): Promise<void> {
    // The dispatcher is to hear of what is done before this takes its time.
    this.#tell();
    let value: unknown;
    let failed = false;
    try {
      value = await promise;
    } catch (error) {
      failed = true;
      value = error;
    }
    if (failed) this.#fail(run, bits, startedAt, value);
    else this.#succeed(run, bits, startedAt, value);
    this.#goOn();
  }

  #succeed(run: Run, callbacks: number, startedAt: number, value: unknown): void {
    if (this.#retired) return;
    const endedAt = now();
    const progressed = this.#finishRunning();
    try {
      const moved = transferOf(value);
      if (moved === undefined && !progressed && this.#keep(run, callbacks, startedAt, endedAt, value)) return;
      const result = moved === undefined ? value : moved.value;
      refuseLossy(result, "result", this.#seat.isolation);
      this.#post({ seq: run.seq, callbacks, startedAt, endedAt, value: result }, moved?.buffers ?? []);
    } catch (error) {
      this.#post({ seq: run.seq, callbacks, startedAt, endedAt, error: describeError(error) });
    }
  }

  /** The task is over. True if it reported progress. */
  #finishRunning(): boolean {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined || !running.progressed) return false;
    try {
      running.end();
    } catch {
      // The last progress cannot be cloned: it was reported too late for the task to hear of it.
    }
    return true;
  }

  /** Writes a small plain value where it outlives this worker; false if it is none, or there is no room. */
  #keep(run: Run, callbacks: number, startedAt: number, endedAt: number, value: unknown): boolean {
    const writer = this.#writer;
    const at = writer.begin(ResultRecord.header);
    ResultRecord.put(writer.words, at, run.seq, callbacks, startedAt, endedAt);
    if (!writer.value(value)) return false;
    writer.end();
    const written = this.#seat.write(writer.words, writer.words[at]!);
    writer.reset();
    if (!written) return false;
    this.#untold = true;
    if (this.#seat.crowded) this.#tell();
    return true;
  }

  #fail(run: Run, callbacks: number, startedAt: number, error: unknown): void {
    if (this.#retired) return;
    const endedAt = now();
    this.#finishRunning();
    this.#post({ seq: run.seq, callbacks, startedAt, endedAt, error: describeError(error) });
  }

  #post(result: ResultData, transfer: ArrayBuffer[] = []): void {
    this.#seat.post({ type: "result", result }, transfer);
  }

  /** Tells the dispatcher that there are results in shared memory. While tasks are waiting here it looks by itself. */
  #tell(): void {
    if (!this.#untold) return;
    this.#untold = false;
    if (this.#seat.unread) this.#seat.post(RESULTS);
  }

  /** Ends this worker, of which a task has changed what other tasks count on. Its results are told before. */
  #retire(changed: string): void {
    this.#retired = true;
    this.#tell();
    const message = `was replaced, because a task had changed its globals (${changed})`;
    this.#seat.post({ type: "dying", death: { reason: "exit", exitCode: 0, changed, message } });
    this.#seat.exit();
  }

  #outOfMemory(): void {
    const message = `ran out of memory (memoryLimit: ${this.#memoryLimit} MiB)`;
    this.#seat.post({ type: "dying", death: { reason: "memory", exitCode: null, message } });
    this.#seat.exit();
  }

  async #close(clean: boolean): Promise<void> {
    this.#running?.abort();
    this.#first = this.#last = undefined;
    if (clean && !this.#active && this.#dispose !== undefined) {
      try {
        await this.#dispose();
      } catch (error) {
        console.error("multiprocess: dispose() of the initializer failed:", error);
      }
    }
    this.#seat.exit();
  }
}

function isBuffer(message: ToWorker): message is ArrayBuffer {
  return prototypeOf(message) === ArrayBufferPrototype;
}
