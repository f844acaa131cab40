/**
 * The entry's end of the dispatcher: starts its thread and the nursery's, gathers what is pushed in a turn into one
 * message, and reads the outcomes.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { ByteBuffer, decode } from "../wire/codec.ts";
import type { InfoTask } from "../info_task.ts";
import { refuseLossy } from "../wire/lossy.ts";
import { now } from "../wire/now.ts";
import type { CheckedPushOptions } from "../options.ts";
import {
  type DispatcherOptions,
  type OutcomeData,
  PROTOCOL_VERSION,
  type RetryData,
  type ToDispatcher,
  type ToEntry,
} from "../wire/protocol.ts";
import { BatchHead, OutcomeRecord, RecordWriter, TaskRecord } from "../wire/records.ts";
import { checkTransfer } from "../transfer.ts";
import { within } from "../util/within.ts";

/** Tasks in one message at most. */
const MAX_BATCH = 256;

/** How long the nursery has to end the workers, in milliseconds. */
const NURSERY_MS = 500;

/** How long outcomes are handled at a stretch before timers and requests have their turn, in milliseconds. */
const SLICE_MS = 4;

/** Who hears of what comes from the dispatcher. */
export interface DispatcherEvents {
  /** A task returned a small plain value. */
  value(
    id: number,
    worker: number,
    attempts: number,
    callbacks: number,
    waitedMs: number,
    ranMs: number,
    value: unknown,
  ): void;
  outcome(outcome: OutcomeData): void;
  message(message: Exclude<ToEntry, ArrayBuffer | { type: "outcome" | "told" }>): void;
  /** The dispatcher, or the nursery, has died. */
  died(error: unknown): void;
}

/** See the module's description. */
export class DispatcherClient {
  readonly #dispatcher: Worker;
  readonly #nursery: Worker;
  readonly #events: DispatcherEvents;
  readonly #modules = new Map<string, number>();
  readonly #batch = new RecordWriter(BatchHead.words);
  #batchAt = 0;
  #flushing = false;
  #backlog: ToEntry[] = [];
  /** How far the first of them is read. */
  #reading: { buffer: ByteBuffer; at: number } | undefined;
  #paused = false;
  #sliceStart = 0;
  #sliceEnd = 0;
  readonly #isolation: DispatcherOptions["isolation"];
  #lastSpecifier = "";
  #lastModule = -1;
  readonly #told = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #ended = false;

  constructor(options: DispatcherOptions, name: string, events: DispatcherEvents) {
    this.#events = events;
    this.#isolation = options.isolation;
    this.#dispatcher = startWorker(
      new URL("../runtime/dispatcher_worker.ts", import.meta.url),
      `${name} dispatcher`,
      events,
    );
    this.#nursery = startWorker(
      new URL("../runtime/nursery_worker.ts", import.meta.url),
      `${name} nursery`,
      events,
    );
    this.#dispatcher.onmessage = ({ data }: MessageEvent<ToEntry>) => this.#take(data);
    const { port1, port2 } = new MessageChannel();
    this.#nursery.postMessage({ port: port1 }, [port1]);
    this.post({ type: "hello", version: PROTOCOL_VERSION, options, nursery: port2 }, [port2]);
  }

  post(message: ToDispatcher, transfer: Transferable[] = []): void {
    this.flush();
    this.#dispatcher.postMessage(message, transfer);
  }

  /**
   * Sends a task, with its arguments as they are now.
   *
   * @throws What cloning the arguments threw; then nothing was sent, and no buffer was moved.
   */
  push(
    id: number,
    task: InfoTask,
    options: CheckedPushOptions | undefined,
    retry: RetryData | undefined,
  ): void {
    const module = this.module(task.specifier);
    if (
      retry === undefined && (options === undefined || isPlain(options)) && this.#append(id, module, task)
    ) return;
    this.#send(id, module, task, options, retry);
  }

  /** The number of a module, told to the dispatcher when it is new. */
  module(specifier: string): number {
    if (specifier === this.#lastSpecifier) return this.#lastModule;
    let module = this.#modules.get(specifier);
    if (module === undefined) {
      module = this.#modules.size;
      this.#modules.set(specifier, module);
      this.post({ type: "module", module, specifier });
    }
    this.#lastSpecifier = specifier;
    return this.#lastModule = module;
  }

  /** Sends what was gathered. */
  flush(): void {
    if (this.#batch.count === 0) return;
    BatchHead.put(this.#batch.words, this.#batch.count, this.#batchAt);
    const buffer = this.#batch.take();
    this.#dispatcher.postMessage(buffer, [buffer]);
  }

  /** Resolves when all workers have ended, or the dispatcher has. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Has the workers end when all tasks have. See `closed`. */
  stop(): Promise<void> {
    this.post({ type: "stop" });
    return this.closed;
  }

  /** Has all workers killed; resolves when it is known which tasks were running. See `closed`. */
  terminate(): Promise<void> {
    this.post({ type: "terminate" });
    return this.#told.promise;
  }

  /** Ends both threads and all workers, whatever they do. Nothing is told any more. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#told.resolve();
    this.#closed.resolve();
    this.#dispatcher.terminate();
    const ended = Promise.withResolvers<void>();
    this.#nursery.onmessage = () => ended.resolve();
    this.#nursery.postMessage("end");
    // It may be starting a worker, or have died itself.
    await within(ended.promise, NURSERY_MS);
    this.#nursery.terminate();
  }

  #append(id: number, module: number, task: InfoTask): boolean {
    const batch = this.#batch;
    const at = batch.begin(TaskRecord.header);
    TaskRecord.put(batch.words, at, id, module, task.timeout);
    if (!batch.list(task.args)) return false;
    batch.end();
    if (batch.count === 1) this.#batchAt = now();
    if (batch.count >= MAX_BATCH) {
      this.flush();
    } else if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.flush();
      });
    }
    return true;
  }

  #send(
    id: number,
    module: number,
    task: InfoTask,
    options: CheckedPushOptions | undefined,
    retry: RetryData | undefined,
  ): void {
    const args = [...task.args];
    for (let i = 0; i < args.length; i++) refuseLossy(args[i], `argument ${i + 1}`, this.#isolation);
    const transfer = options?.transfer ?? [];
    // A message that cannot be sent would take the buffers along all the same.
    if (transfer.length > 0) checkTransfer(args, transfer);
    const data = {
      id,
      module,
      timeout: task.timeout,
      args,
      transfer,
      priority: options?.priority ?? 0,
      softTimeout: options?.softTimeout,
      retry,
    };
    this.post({ type: "push", task: data, at: now() }, transfer);
  }

  /**
   * Handles messages in slices: Deno hands over all that have come before it turns to timers and requests again, and
   * with them go the callbacks.
   */
  #take(message: ToEntry): void {
    this.#backlog.push(message);
    if (this.#paused) return;
    const now = performance.now();
    if (now - this.#sliceEnd > 1) this.#sliceStart = now;
    this.#drain();
  }

  #drain(): void {
    let next = 0;
    while (next < this.#backlog.length && !this.#ended && !this.#sliceOver()) {
      if (this.#receive(this.#backlog[next]!)) next++;
    }
    // What is left when the threads have been ended is of no use: all is settled.
    this.#backlog = this.#ended ? [] : this.#backlog.slice(next);
    this.#sliceEnd = performance.now();
    this.#paused = this.#backlog.length > 0;
    if (!this.#paused) return;
    setImmediate(() => {
      this.#sliceStart = performance.now();
      this.#drain();
    });
  }

  #sliceOver(): boolean {
    return performance.now() - this.#sliceStart >= SLICE_MS;
  }

  /** Handles a message, or as much of it as there is time for: false if there is more. */
  #receive(message: ToEntry): boolean {
    if (message instanceof ArrayBuffer) {
      this.#reading ??= { buffer: new ByteBuffer(message), at: 0 };
      if (!this.#read(this.#reading)) return false;
      this.#reading = undefined;
      return true;
    }
    switch (message.type) {
      case "outcome":
        this.#events.outcome(message.outcome);
        return true;
      case "told":
        this.#told.resolve();
        return true;
      default:
        this.#events.message(message);
        if (message.type === "closed") this.#closed.resolve();
        return true;
    }
  }

  #read(reading: { buffer: ByteBuffer; at: number }): boolean {
    const { buffer } = reading;
    const { words } = buffer;
    const { length } = words;
    for (let count = 1; reading.at < length; count++) {
      const { at } = reading;
      buffer.at = 4 * (at + OutcomeRecord.header);
      const value = decode(buffer);
      reading.at += words[at]!;
      this.#events.value(
        OutcomeRecord.id(words, at),
        OutcomeRecord.worker(words, at),
        OutcomeRecord.attempts(words, at),
        OutcomeRecord.callbacks(words, at),
        OutcomeRecord.waitedMs(words, at),
        OutcomeRecord.ranMs(words, at),
        value,
      );
      if (count % 8 === 0 && this.#sliceOver()) return reading.at >= length;
    }
    return true;
  }
}

function startWorker(url: URL, name: string, events: DispatcherEvents): Worker {
  const worker = new Worker(url, { type: "module", name });
  worker.onerror = (event) => {
    // Else it would end the process.
    event.preventDefault();
    events.died(event.error ?? new Error(event.message));
  };
  worker.onmessageerror = () => events.died(new Error("A message could not be read"));
  return worker;
}

/** Whether a record can hold all that the dispatcher needs to know. */
function isPlain(options: CheckedPushOptions): boolean {
  return options.signal === undefined && options.priority === undefined &&
    options.softTimeout === undefined &&
    options.transfer === undefined;
}

/**
 * Never runs: worker files are outside the module graph, so `deno cache`, `deno check` and publishing would not see
 * them unless something in it names them.
 */
export function _graph(): Promise<unknown>[] {
  return [
    import("../runtime/dispatcher_worker.ts"),
    import("../runtime/nursery_worker.ts"),
    import("../runtime/thread_worker.ts"),
    import("../runtime/process_worker.ts"),
  ];
}
