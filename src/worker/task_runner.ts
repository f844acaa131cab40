/**
 * In the worker: takes tasks, runs them one after the other, tells their results.
 *
 * It shares its thread and its globals with code that nobody vouches for, so whatever it needs while a task may
 * already have run is taken when this module is loaded.
 *
 * @module
 */
import { heapLimit, importable, memoryUsed, nextTurn } from "../runtime/host.ts";
import { ByteBuffer, decode } from "../wire/codec.ts";
import { describeError } from "../wire/error_data.ts";
import { now } from "../wire/now.ts";
import { type ModuleData, PROTOCOL_VERSION, type ToWorker, type WorkerSetup } from "../wire/protocol.ts";
import { loadAhead } from "./load_ahead.ts";
import { Realm } from "./realm.ts";
import { Results } from "./results.ts";
import type { Seat } from "./seat.ts";
import { RunRecord } from "../wire/records.ts";
import { open } from "../wire/sealed.ts";
import { TaskOutput } from "./task_output.ts";
import { type Run, RunList } from "./run_list.ts";
import { drive, isGenerator, RunningTask } from "./running_task.ts";
import { type HookOwner, StackHook } from "./stack_hook.ts";
import { callbackBits, findTarget, type Target } from "../wire/task_module.ts";
import { isThenable } from "../util/thenable.ts";
import { restoreInnerErrors } from "../wire/inner_errors.ts";

const createObject = Object.create;
const prototypeOf = Object.getPrototypeOf;
const ArrayBufferPrototype = ArrayBuffer.prototype;
const PromiseClass = Promise;
const MIB = 2 ** 20;
/** How often memory is looked at at most, in milliseconds. */
const MEASURE_MS = 200;

type Loaded = { target: Target; bits: number } | { message: string; thrown: unknown; caused: boolean };

interface ModuleEntry extends HookOwner {
  readonly data: ModuleData;
  loaded: Loaded | undefined;
}

/** Runs tasks. */
export class TaskRunner {
  readonly #seat: Seat;
  readonly #note: Seat["note"];
  readonly #mayNote: Seat["mayNote"];
  /** Those of its tasks, by number. Without a prototype: names that tasks give to all objects are not to be found here. */
  readonly #modules: Record<number, ModuleEntry> = createObject(null);
  readonly #results: Results;
  /** What tasks print, where that is captured. */
  readonly output: TaskOutput;
  readonly #runs = new RunList();
  #running: RunningTask | undefined;
  /** The number of a task that had its outcome before it was begun. */
  #unwanted = -1;
  /** It has something to do: at first to get ready, and until then it begins nothing. */
  #active = true;
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
  readonly #realm = new Realm();
  readonly #stackHook = new StackHook();
  /** The URL of the module that changed the globals while it was loaded: the only one whose tasks run here then. */
  #home: string | undefined;
  /** The next result must not overtake what was told: it is told the same way. */
  #announced = false;
  #retired = false;

  /** From how many bytes on it says, once, that another is to take its place. */
  readonly #enough: number;
  /** When its memory is to be looked at again. */
  #measureAt: number;

  /**
   * @param memoryLimit MiB of heap that the runtime was told to allow; `Infinity` for no limit of its own.
   * @param enough MiB of memory from which on another is to take its place.
   */
  constructor(seat: Seat, memoryLimit = Infinity, enough = Infinity) {
    this.#enough = enough * MIB;
    this.#measureAt = enough === Infinity ? Infinity : 0;
    this.#seat = seat;
    this.#note = seat.note;
    this.#mayNote = seat.mayNote;
    this.#results = new Results(seat);
    this.output = new TaskOutput((message) => seat.post(message));
    this.#memoryLimit = memoryLimit;
    this.#heapLimit = memoryLimit === Infinity ? Infinity : heapLimit();
  }

  /** Imports the initializer, where there is one, and what is to be loaded ahead, and tells that the worker is ready. */
  async start({ initializer, ahead = [] }: Pick<WorkerSetup, "initializer" | "ahead">): Promise<void> {
    try {
      if (initializer !== undefined) {
        this.#seat.post({ type: "initializing" });
        const namespace = await import(importable(initializer.module));
        if (typeof namespace.dispose === "function") this.#dispose = namespace.dispose;
        if (typeof namespace.initialize === "function") await namespace.initialize(initializer.data);
        // What it changes is meant for all tasks.
        this.#accept();
      }
    } catch (error) {
      this.#seat.post({ type: "failed-start", error: describeError(error) });
      this.#seat.exit();
      return;
    }
    const home = await loadAhead(ahead, () => this.#accept());
    if (home !== undefined) this.#settle(home.module, home.url);
    // An exit that it has begun, or a rejection that nobody handles, shows only now.
    await new PromiseClass<void>((resolve) => nextTurn(resolve));
    if (this.#retired) return;
    this.#seat.post({ type: "ready", version: PROTOCOL_VERSION, at: now() });
    if (this.#runs.isEmpty) this.#active = false;
    else this.#goOn();
  }

  /** The worker is on its way out, though its code may go on for a while: that begins nothing, and counts for nothing. */
  leave(): void {
    try {
      this.#running?.flush();
    } catch {
      // It cannot be sent any more.
    }
    this.#retired = true;
    this.#runs.clear();
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
      this.#results.tell();
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
          const data = message.modules[i]!;
          this.#modules[data.module] = { data, loaded: undefined, own: undefined };
        }
        return false;
      case "forget":
        delete this.#modules[message.module];
        return false;
      case "run-one": {
        const { seq, task, id, attempt, slot, module, sealed, inner } = message;
        const args = sealed === undefined ? message.args : open(sealed) as unknown[];
        if (args !== undefined) restoreInnerErrors(args, inner);
        this.#runs.append({ seq, task, id, attempt, slot, module, args, noted: false, next: undefined });
        return true;
      }
      case "abort":
        if (this.#running?.seq === message.seq) this.#running.abort(message.over);
        else if (message.over) this.#unwanted = message.seq;
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
      this.#runs.append({
        seq: RunRecord.seq(words, at),
        task: RunRecord.id(words, at),
        id: RunRecord.id(words, at),
        attempt: RunRecord.attempt(words, at),
        slot: RunRecord.slot(words, at),
        module: RunRecord.module(words, at),
        args,
        noted: false,
        next: undefined,
      });
    }
  }

  /** Runs what is there; goes on by itself after a task that has to be awaited. */
  #loop(): void {
    for (;;) {
      // Before a task is claimed, not only after one: what a task leaves behind may change the globals while idle.
      const changed = this.#realm.spoilt;
      if (changed !== undefined) return this.#retire(changed);
      const run = this.#runs.take();
      if (run === undefined) break;
      const entry = this.#modules[run.module];
      // It was taken back, and has its outcome.
      if (entry === undefined) continue;
      const { loaded, data: { url } } = entry;
      // Whoever learns of the home takes it back.
      if (this.#home !== undefined && this.#home !== url) continue;
      if (!this.#stackHook.turnTo(entry)) return this.#retire("Error.prepareStackTrace");
      if (this.#mayNote?.(run) === false) return this.#retire("stdin", "closed its standard input");
      const bits = loaded !== undefined && "target" in loaded ? loaded.bits : 0;
      // Not the end of the last: reading its result, or the globals, may have run code that it left.
      const startedAt = now();
      if (!this.#seat.claim(run.seq, loaded === undefined, bits, startedAt)) continue;
      if (this.#note !== undefined) this.#note(run, startedAt);
      if (loaded === undefined) {
        void this.#load(entry, run);
        return;
      }
      if (!this.#begin(run, loaded, startedAt)) return;
    }
    this.#active = false;
    // With more to come it would be woken for nothing, at the moment at which that costs most: it looks by itself.
    if (!this.#seat.isOffered(this.#runs.lastSeq + 1)) this.#results.tell();
  }

  async #load(entry: ModuleEntry, run: Run): Promise<void> {
    this.output.begin(run.seq);
    // The dispatcher is to hear of what is done before this takes its time.
    this.#results.tell();
    const { specifier, url, exported } = entry.data;
    let namespace: Record<string, unknown> | undefined;
    try {
      namespace = await import(importable(url));
      const target = findTarget(namespace!, exported);
      entry.loaded = { target, bits: callbackBits(target) };
    } catch (thrown) {
      entry.loaded = namespace === undefined
        ? { message: `Cannot load ${specifier}`, thrown, caused: true }
        : { message: `Cannot run ${specifier}: ${(thrown as Error).message}`, thrown, caused: false };
    }
    if (this.#retired) return;
    const { loaded } = entry;
    if ("target" in loaded) {
      if (this.#accept()) this.#settle(run.module, url);
    } else {
      // It is imported again for the next task: it may have been mended.
      entry.loaded = undefined;
    }
    const startedAt = now();
    if ("target" in loaded) this.#seat.run(run.seq, loaded.bits, startedAt);
    if (this.#begin(run, loaded, startedAt)) this.#loop();
  }

  /** The globals are to be as they are now. True if they have changed. */
  #accept(): boolean {
    const globals = this.#realm.accept();
    const hook = this.#stackHook.accept();
    return globals !== undefined || hook !== undefined;
  }

  /** The globals are those of a module now, and no place for the tasks of others. */
  #settle(module: number, url: string): void {
    if (this.#home !== undefined) return;
    this.#home = url;
    this.#announced = true;
    this.#seat.post({ type: "home", module });
  }

  /** Runs a task. True if it is done, false if it goes on and will call `#loop` at its end. */
  #begin(run: Run, loaded: Loaded, startedAt: number): boolean {
    this.output.begin(run.seq);
    if (!("target" in loaded)) {
      const { message, thrown, caused } = loaded;
      this.output.end();
      this.#results.failToLoad(run.seq, startedAt, message, caused ? describeError(thrown) : undefined);
      return true;
    }
    if (run.args === undefined || run.seq === this.#unwanted) {
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
    this.#results.tell();
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
    // Nobody wants to know what: only that it is over.
    if (this.#running?.over) value = undefined;
    const posted = this.#finishRunning(endedAt) || this.#announced;
    this.#announced = false;
    this.#results.succeed({ seq: run.seq, callbacks, startedAt, endedAt }, value, posted);
  }

  /** The task is over. True if it reported progress. */
  #finishRunning(endedAt: number): boolean {
    this.#measure(endedAt);
    if (this.output.end()) this.#announced = true;
    this.#stackHook.keep();
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

  #fail(run: Run, callbacks: number, startedAt: number, error: unknown): void {
    if (this.#retired) return;
    if (this.#running?.over) return this.#succeed(run, callbacks, startedAt, undefined);
    const endedAt = now();
    this.#finishRunning(endedAt);
    this.#results.fail({ seq: run.seq, callbacks, startedAt, endedAt }, error);
  }

  /** Says that it takes too much memory, if it does. */
  #measure(now: number): void {
    if (now < this.#measureAt) return;
    this.#measureAt = now + MEASURE_MS;
    if (memoryUsed(this.#seat.measured) < this.#enough) return;
    this.#measureAt = Infinity;
    this.#seat.post({ type: "full" });
  }

  /** Ends this worker, of which a task has changed what other tasks count on. Its results are told before. */
  #retire(changed: string, what = `changed its globals (${changed})`): void {
    this.#retired = true;
    this.#results.tell();
    const message = `was replaced, because a task had ${what}`;
    this.#seat.post({ type: "dying", death: { reason: "exit", exitCode: 0, changed, message } });
    this.#seat.exit();
  }

  #outOfMemory(): void {
    const message = `ran out of memory (memoryLimit: ${this.#memoryLimit} MiB)`;
    this.#seat.post({ type: "dying", death: { reason: "memory", exitCode: null, message } });
    this.#seat.exit();
  }

  async #close(clean: boolean): Promise<void> {
    this.#running?.abort(true);
    this.#runs.clear();
    if (clean && !this.#active && this.#dispose !== undefined) {
      this.#seat.post({ type: "disposing" });
      try {
        await this.#dispose();
      } catch (error) {
        this.#seat.post({ type: "failed-dispose", error: describeError(error) });
      }
    }
    this.#seat.exit();
  }
}

function isBuffer(message: ToWorker): message is ArrayBuffer {
  return prototypeOf(message) === ArrayBufferPrototype;
}
