/**
 * The entry's end of the dispatcher: starts its thread and the nursery's, gathers what is pushed in a turn into one
 * message, and hands on what comes back.
 *
 * @module
 */
import type { InfoTask } from "../info_task.ts";
import { copyLarge } from "../wire/copies.ts";
import { innerErrorsOfArguments, restoreInnerErrors } from "../wire/inner_errors.ts";
import { now } from "../wire/now.ts";
import { Bridge, noteStart } from "../runtime/bridge.ts";
import { startsBlock } from "../runtime/host.ts";
import { onNothingLeft } from "../runtime/nothing_left.ts";
import { ModuleNumbers } from "./module_numbers.ts";
import { type OwnThread, startOwnThread } from "../runtime/own_thread.ts";
import { placesOf } from "../runtime/web.ts";
import { Inbox, type Message, type OnValue } from "./inbox.ts";
import type { CheckedPushOptions } from "./read_options.ts";
import {
  type DeathData,
  type DispatcherOptions,
  FIRST_RUN,
  type FirstModule,
  type FromNurseryThread,
  type OutcomeData,
  PROTOCOL_VERSION,
  type RetryData,
  type TaskOrigin,
  type ToDispatcher,
  type ToEntry,
  type ToNurseryThread,
} from "../wire/protocol.ts";
import { BatchHead, RecordWriter, TaskRecord, writeRun } from "../wire/records.ts";
import { moduleData } from "../wire/task_module.ts";
import { bytesToSeal, open, seal } from "../wire/sealed.ts";
import { checkTransfer } from "../transfer.ts";

/** Tasks in one message at most. */
const MAX_BATCH = 256;

/** What the pool itself is told. */
export type MessageToPool = Exclude<
  Message,
  { type: "outcome" | "told" | "kill-bridge" | "zombie" | "sound" | "again" }
>;

/** Who hears of what comes from the dispatcher. */
export interface DispatcherEvents {
  value: OnValue;
  /**
   * A task ended in any other way, or returned more.
   *
   * @returns Undefined if its callback was called; else resolves when it has been.
   */
  outcome(outcome: OutcomeData): Promise<void> | undefined;
  message(message: MessageToPool): void;
  /** The dispatcher, or the nursery, has died. */
  died(error: unknown): void;
  /** Whether anybody waits for anything of the pool; absent where somebody always does. */
  owes?(): boolean;
  /** Nothing keeps the program running any more: it is about to end. */
  abandoned?(): void;
  /** There will be an outcome of a task that was pushed before this pool was: it gets an id here, which is returned. */
  adopt(task: InfoTask): number;
}

/** What a pool needs of whatever runs its tasks. */
export interface PoolClient {
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
  ): void;
  post(
    message: Exclude<
      ToDispatcher,
      | ArrayBuffer
      | { type: "hello" | "bridge-gone" | "bridge-interrupted" | "module" | "forget" | "inspect" | "push" }
    >,
  ): void;
  /** Asks which callbacks a module has. The answer is a message with the number that this returns. */
  inspect(specifier: string): number;
  /** Resolves when all workers have ended, or the dispatcher has. */
  readonly closed: Promise<void>;
  /** Keeps the program running, where it need not be kept, until nothing is owed any more. */
  hold(): void;
  /** Has the workers end when all tasks have. See `closed`. */
  stop(): Promise<void>;
  /** Has all workers killed; resolves when it is known which tasks were running. See `closed`. */
  terminate(): Promise<void>;
  /** Ends everything, whatever it is doing. No event comes any more. */
  end(): Promise<void>;
}

/** See the module's description. */
export class DispatcherClient implements PoolClient {
  readonly #dispatcher: OwnThread;
  readonly #bridge: Bridge | undefined;
  /** What has started the workers: the nursery, or the dispatcher where one thread is both, or they are in cells. */
  readonly #keeper: OwnThread;
  readonly #events: DispatcherEvents;
  readonly #modules = new ModuleNumbers({
    named: (module, specifier) => this.#name(module, specifier),
    forgotten: (module, sent) => this.post({ type: "forget", module, sent }),
  });
  /** The greeting, as long as it has not left: see `#hand`. */
  #hello: Extract<ToDispatcher, { type: "hello" }> | undefined;
  readonly #batch = new RecordWriter(BatchHead.words);
  #batchAt = 0;
  #flushing = false;
  readonly #inbox: Inbox;
  readonly #isolation: DispatcherOptions["isolation"];
  readonly #told = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  /** The workers have ended that are to end before the keeper does, or it has died itself. */
  readonly #keeperEnded = Promise.withResolvers<void>();
  readonly #forget: () => void;
  #held = true;
  #ended = false;

  constructor(options: DispatcherOptions, events: DispatcherEvents) {
    const { name, setup } = options;
    this.#events = events;
    this.#inbox = new Inbox(events.value, (message) => this.#handle(message), () => this.#letGo());
    this.#forget = onNothingLeft(() => events.abandoned?.());
    this.#isolation = options.cell ? "process" : options.isolation;
    const died = (error: unknown) => {
      this.#keeperEnded.resolve();
      events.died(error);
    };
    let dispatcher: OwnThread | undefined;
    let channel: MessageChannel | undefined;
    try {
      const bridge = this.#bridge = options.bridge ? new Bridge() : undefined;
      dispatcher = this.#dispatcher = options.cell
        ? startOwnThread("cells", name, died)
        : startsBlock
        ? startOwnThread("dispatcher", name, events.died)
        : startOwnThread("manager", name, died);
      dispatcher.onmessage = ({ data }: MessageEvent<ToEntry>) => this.#inbox.take(data);
      channel = options.cell ? undefined : new MessageChannel();
      this.#hello = {
        type: "hello",
        version: PROTOCOL_VERSION,
        options,
        nursery: channel?.port2,
        bridge: bridge?.data,
      };
      if (bridge?.takesTask) queueMicrotask(() => this.#greet());
      else this.#greet();
      if (channel === undefined) {
        this.#keeper = dispatcher;
        return;
      }
      // All in one turn: an entry that blocks from now on has a whole pool. What is needed first is started first.
      this.#bridge?.start(setup, (death) => this.#bridgeGone(death));
      this.#keeper = startsBlock ? startOwnThread("nursery", name, died) : dispatcher;
      const { port1: port } = channel;
      const places = placesOf(["thread_worker"]);
      this.#keeper.postMessage({ type: "serve", port, places } satisfies ToNurseryThread, [port]);
    } catch (error) {
      // Nobody has it, to end what was started.
      this.#ended = true;
      this.#forget();
      const greeted = channel !== undefined && this.#hello === undefined;
      this.#hello = undefined;
      if (greeted) {
        // It ends with the thread, as the other one does. Closed here, what the dispatcher asks the nursery would be taken
        // out first, and Deno keeps the ports in it open (seen up to 2.9.6).
        dispatcher!.postMessage({ type: "terminate" } satisfies ToDispatcher, [channel!.port1]);
      } else {
        channel?.port1.close();
        channel?.port2.close();
      }
      dispatcher?.terminate();
      void this.#bridge?.discard(greeted);
      throw error;
    }
  }

  /** Sends what comes before all else. */
  #greet(): void {
    const hello = this.#hello;
    if (hello === undefined) return;
    this.#hello = undefined;
    const ports = [hello.nursery, hello.bridge?.port].filter((port) => port !== undefined);
    this.#dispatcher.postMessage(hello, ports);
  }

  #name(module: number, specifier: string): void {
    const hello = this.#hello;
    if (hello !== undefined && hello.first === undefined) {
      hello.first = { module, specifier, task: undefined };
    } else this.post({ type: "module", module, specifier });
  }

  /**
   * Hands the first task to the bridge, if it is pushed in the turn in which both are started: the dispatcher hears of it
   * with the greeting.
   */
  #hand(first: FirstModule): void {
    first.task = this.#takeBatch();
    const runs = new RecordWriter();
    const { seq, attempt, slot } = FIRST_RUN;
    writeRun(runs, new Int32Array(first.task), BatchHead.words, seq, attempt, slot);
    this.#bridge!.hand(moduleData(first.module, first.specifier), runs.take());
    this.#greet();
  }

  #bridgeGone(death: DeathData): void {
    if (!this.#ended) this.post({ type: "bridge-gone", death });
  }

  async #killBridge(): Promise<void> {
    await this.#bridge?.kill();
    if (!this.#ended) this.post({ type: "bridge-interrupted" });
  }

  post(message: ToDispatcher, transfer: Transferable[] = []): void {
    this.#greet();
    this.flush();
    this.#dispatcher.postMessage(message, transfer);
  }

  /** @param origin For a task of another pool. Such a task can be cancelled, as those with a signal can. */
  push(
    id: number,
    task: InfoTask,
    options: CheckedPushOptions | undefined,
    retry: RetryData | undefined,
    origin?: TaskOrigin,
  ): void {
    const module = this.#modules.get(task.specifier);
    const plain = retry === undefined && origin === undefined && (options === undefined || isPlain(options));
    if (!plain || !this.#append(id, module.number, task)) {
      this.#send(id, module.number, task, options, retry, origin);
    }
    if (!this.#held) this.hold();
    module.sent++;
  }

  inspect(specifier: string): number {
    const module = this.#modules.get(specifier);
    this.post({ type: "inspect", module: module.number });
    module.sent++;
    return module.number;
  }

  /** Sends what was gathered. */
  flush(): void {
    if (this.#batch.count === 0) return;
    const buffer = this.#takeBatch();
    this.#dispatcher.postMessage(buffer, [buffer]);
  }

  #takeBatch(): ArrayBuffer {
    BatchHead.put(this.#batch.words, this.#batch.count, this.#batchAt);
    return this.#batch.take();
  }

  hold(): void {
    if (this.#held || this.#ended) return;
    this.#held = true;
    this.#dispatcher.hold(true);
  }

  /** All that has come so far was handed on. */
  #letGo(): void {
    if (!this.#held || this.#ended || this.#events.owes?.() !== false) return;
    this.#held = false;
    this.#dispatcher.hold(false);
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  stop(): Promise<void> {
    this.post({ type: "stop" });
    return this.closed;
  }

  terminate(): Promise<void> {
    this.post({ type: "terminate" });
    return this.#told.promise;
  }

  /** Ends both threads and all workers. */
  async end(): Promise<void> {
    this.hold();
    this.#greet();
    this.#ended = true;
    this.#forget();
    this.#inbox.close();
    this.#told.resolve();
    this.#closed.resolve();
    if (this.#dispatcher !== this.#keeper) this.#dispatcher.terminate();
    const bridge = this.#bridge?.kill();
    this.#keeper.onmessage = ({ data }: MessageEvent<ToEntry | FromNurseryThread>) => {
      if ("type" in data && data.type === "ended") this.#keeperEnded.resolve();
    };
    this.#keeper.postMessage({ type: "end" } satisfies ToNurseryThread);
    // It may be starting a worker. Its end interrupts all workers that it still has.
    const keeper = this.#keeperEnded.promise.then(() => this.#keeper.terminate());
    await Promise.all([bridge, keeper]);
  }

  #append(id: number, module: number, task: InfoTask): boolean {
    const batch = this.#batch;
    const at = batch.begin(TaskRecord.header);
    TaskRecord.put(batch.words, at, id, module, task.timeout);
    if (!batch.list(task.args)) return false;
    batch.end();
    if (batch.count === 1) this.#batchAt = now();
    if (this.#hello?.first !== undefined) {
      this.#hand(this.#hello.first);
    } else if (batch.count >= MAX_BATCH) {
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
    origin: TaskOrigin | undefined,
  ): void {
    let args = [...task.args];
    const inner = innerErrorsOfArguments(args, this.#isolation);
    let transfer = options?.transfer ?? [];
    // A message that cannot be sent would take the buffers along all the same.
    if (transfer.length > 0) checkTransfer(args, transfer);
    else ({ values: args, buffers: transfer } = copyLarge(args) ?? { values: args, buffers: transfer });
    const data = {
      id,
      module,
      timeout: task.timeout,
      args,
      inner,
      transfer,
      priority: options?.priority ?? 0,
      softTimeout: options?.softTimeout,
      cancelGrace: options?.cancelGrace,
      timeoutGrace: options?.timeoutGrace,
      retry,
      origin,
    };
    // Another attempt needs the arguments again.
    const sealable = this.#isolation === "thread" && retry === undefined;
    const bytes = sealable ? bytesToSeal(transfer) : 0;
    if (bytes === 0) return this.post({ type: "push", task: data, at: now() }, transfer);
    seal(args, transfer, (sealed) => {
      const task = { ...data, args: [], transfer: [], sealed, bytes };
      this.post({ type: "push", task, at: now() }, [sealed]);
    });
  }

  /** Handles a message. True if it left a callback to a microtask. */
  #handle(message: Message): boolean {
    switch (message.type) {
      case "outcome": {
        const { outcome } = message;
        if (outcome.sealed !== undefined) outcome.value = open(outcome.sealed);
        restoreInnerErrors([outcome.value], outcome.inner);
        outcome.inner = undefined;
        return this.#events.outcome(outcome) !== undefined;
      }
      case "told":
        this.#told.resolve();
        return false;
      case "zombie":
      case "sound":
      case "again":
        return false;
      case "kill-bridge":
        void this.#killBridge();
        return false;
      case "ready":
        noteStart(message.startMs);
        this.#events.message(message);
        return false;
      case "progress":
        restoreInnerErrors([message.value], message.inner);
        this.#events.message(message);
        return true;
      default:
        this.#events.message(message);
        if (message.type === "closed") this.#closed.resolve();
        return false;
    }
  }
}

/** Whether a record can hold all that the dispatcher needs to know. */
function isPlain(options: CheckedPushOptions): boolean {
  return options.signal === undefined && options.priority === undefined &&
    options.softTimeout === undefined &&
    options.cancelGrace === undefined &&
    options.timeoutGrace === undefined &&
    options.transfer === undefined;
}
