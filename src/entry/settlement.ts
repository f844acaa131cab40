import { WorkerCrashError } from "../errors.ts";
import type { InfoTask } from "../info_task.ts";
import type { ErrorOutcome, Outcome, Status } from "../outcome.ts";
import { nextTurn } from "../runtime/host.ts";
import { withoutStack } from "../util/without_stack.ts";
import { now } from "../wire/now.ts";
import type { OutcomeData } from "../wire/protocol.ts";
import type { Callbacks } from "./callbacks.ts";
import type { EventHub } from "./event_hub.ts";
import { SLICE_MS } from "./inbox.ts";
import { LoadErrors } from "./load_errors.ts";
import { cancelled, errorOf, lateErrors, neverRan, shortName, withTask } from "./outcome_error.ts";
import type { Pending, PendingTable } from "./pending.ts";
import type { PoolLife } from "./pool_life.ts";
import type { Progress } from "./progress.ts";
import { Delivery } from "./push_context.ts";
import type { CheckedPushOptions } from "./read_options.ts";
import type { Rooms } from "./rooms.ts";
import type { Signals } from "./signals.ts";
import type { WaitingCancels } from "./waiting_cancels.ts";

/** What of a pool an outcome has to do with. */
export interface SettlementParts {
  /** The name of the pool. */
  readonly name: string;
  /** What messages say of the pool that a task is of, where it has a name. */
  readonly ofPool: string;
  readonly pending: PendingTable;
  readonly callbacks: Callbacks;
  readonly signals: Signals;
  readonly progress: Progress;
  readonly events: EventHub;
  readonly rooms: Rooms;
  readonly waitingCancels: WaitingCancels;
  readonly life: Pick<PoolLife<unknown>, "reason" | "terminating">;
}

/** How what is owed is paid: each task has one outcome, its callback called with it, and then its promise settled. */
export class Settlement {
  /** How many outcomes of which kind there were. */
  readonly counts: Record<Status, number> = { ok: 0, failed: 0, "timed-out": 0, crashed: 0, cancelled: 0 };
  readonly #ofPool: string;
  readonly #pending: PendingTable;
  readonly #callbacks: Callbacks;
  readonly #signals: Signals;
  readonly #progress: Progress;
  readonly #events: EventHub;
  readonly #rooms: Rooms;
  readonly #waitingCancels: WaitingCancels;
  readonly #life: Pick<PoolLife<unknown>, "reason" | "terminating">;
  readonly #loadErrors: LoadErrors;
  /** What tasks have printed whose outcomes follow. */
  readonly #outputs = new Map<number, string>();
  /** Who waits for the last outcome. */
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(parts: SettlementParts) {
    this.#ofPool = parts.ofPool;
    this.#pending = parts.pending;
    this.#callbacks = parts.callbacks;
    this.#signals = parts.signals;
    this.#progress = parts.progress;
    this.#events = parts.events;
    this.#rooms = parts.rooms;
    this.#waitingCancels = parts.waitingCancels;
    this.#life = parts.life;
    this.#loadErrors = new LoadErrors(parts.name);
  }

  /**
   * The outcome of a task that returned a small plain value: most are.
   *
   * @returns Whether it leaves a callback to a microtask.
   */
  value(
    taskId: number,
    workerId: number,
    attempts: number,
    callbacks: number,
    waitedMs: number,
    ranMs: number,
    value: unknown,
  ): boolean {
    const pending = this.#pending.take(taskId);
    if (pending === undefined) return false;
    const { task } = pending;
    const printed = this.#takeOutput(taskId);
    if (pending.wantsOnlyValue(callbacks) && !this.#events.watched) {
      this.#callbacks.learn(task.specifier, callbacks);
      this.counts.ok++;
      pending.fulfil(value);
      this.#afterSettling();
      return false;
    }
    const outcome = {
      status: "ok",
      value,
      task,
      taskId,
      workerId,
      attempts,
      waitedMs,
      ranMs,
      ...printed,
    } as const;
    return this.#settle(outcome, pending, callbacks) !== undefined;
  }

  /** A task has printed that, and its outcome follows. */
  printed(id: number, output: string): void {
    if (this.#pending.get(id) !== undefined) this.#outputs.set(id, output);
  }

  /** What a task printed, if it did. */
  #takeOutput(id: number): { output: string } | undefined {
    const output = this.#outputs.get(id);
    if (output === undefined) return undefined;
    this.#outputs.delete(id);
    return { output };
  }

  /** @returns What resolves when the callback was called, where it was not called yet. */
  outcome(data: OutcomeData): Promise<void> | undefined {
    const pending = this.#pending.take(data.id);
    // A late reply: the task was settled when the pool was terminated.
    if (pending === undefined) return undefined;
    const { task } = pending;
    const facts = {
      task,
      taskId: data.id,
      workerId: data.worker,
      attempts: data.attempts,
      waitedMs: data.waitedMs,
      ranMs: data.ranMs,
      ...this.#takeOutput(data.id),
    };
    const reason = data.status === "cancelled" ? this.#cancelReason(data.id, pending) : undefined;
    const name = this.nameOf(data.id, task, pending.options);
    const outcome: Outcome = data.status === "ok"
      ? { status: "ok", value: data.value, ...facts }
      : { status: data.status, error: errorOf(data, task, name, reason), ...facts };
    const calling = this.#settle(outcome, pending, data.callbacks);
    return calling instanceof Delivery ? calling.called() : calling;
  }

  /** @returns Undefined if the callback was called, or there is none; else what will call it. */
  #settle(
    outcome: Outcome,
    pending: Pending,
    callbacks: number | undefined,
  ): Delivery | Promise<void> | undefined {
    const { task, options } = pending;
    const { taskId, workerId, status, attempts, ranMs } = outcome;
    if (options?.signal !== undefined) this.#signals.delete(options.signal, taskId);
    if (options?.onProgress !== undefined) this.#progress.end(taskId);
    if (this.#events.watched) {
      const message = outcome.status === "ok" ? undefined : outcome.error.message;
      this.#events.emit({ type: "settled", at: now(), taskId, workerId, status, attempts, ranMs, message });
    }
    this.counts[status]++;
    if (callbacks !== undefined) this.#callbacks.learn(task.specifier, callbacks);
    const calling = this.#call(outcome, pending, callbacks ?? this.#callbacks.known(task.specifier));
    this.#afterSettling();
    return calling;
  }

  /** Has the callback called, if there is one, and then the promise settled. */
  #call(
    outcome: Outcome,
    pending: Pending,
    bits: number | undefined,
  ): Delivery | Promise<void> | undefined {
    const { options } = pending;
    if (this.#callbacks.isDue(outcome, options, bits)) {
      if (pending.delivered) {
        const delivery = new Delivery(outcome, options, bits, pending.wantsValue);
        this.#callbacks.begin();
        pending.deliver(delivery);
        return delivery;
      }
      const firing = this.#callbacks.fire(outcome, options, bits);
      if (firing !== undefined) return firing.then(() => pending.settle(outcome));
    } else if (!pending.wantsValue && options?.heard === undefined) {
      this.#loadErrors.untold(outcome);
    }
    pending.settle(outcome);
    return undefined;
  }

  /** Runs in the context of the push. One function for all promises. */
  readonly deliver = (result: unknown): unknown => {
    if (!(result instanceof Delivery)) return result;
    const firing = this.#callbacks.fire(result.outcome, result.options, result.bits);
    this.#callbacks.end();
    return firing === undefined ? result.end() : firing.then(() => result.end());
  };

  #afterSettling(): void {
    if (this.#rooms.waiting) this.#rooms.wake();
    if (this.#pending.size === 0) this.#drained?.resolve();
  }

  /** Resolves when every task has its outcome. */
  async settled(): Promise<void> {
    if (this.#pending.size === 0) return;
    this.#drained = Promise.withResolvers();
    await this.#drained.promise;
  }

  /** Settles a task that never got to a worker. In a later microtask: nobody expects a callback inside `push`. */
  settleHere(id: number, status: ErrorOutcome["status"], thrown: unknown): void {
    queueMicrotask(() => {
      const pending = this.#pending.take(id);
      if (pending === undefined) return;
      this.#settleUnrun(id, pending, status, withTask(thrown, pending.task));
    });
  }

  /** Ends all tasks that have no outcome. No worker can be asked about them any more. */
  async cancelAll(): Promise<void> {
    this.#callbacks.orphan();
    // As it is now: the errors may be made when the pool has ended.
    const { reason } = this.#life;
    await this.#settleAll("cancelled", (id, task, options) => {
      const signal = options?.signal;
      return cancelled(this.nameOf(id, task, options), task, signal?.aborted ? signal.reason : reason);
    });
  }

  /** Ends all tasks that have no outcome; the message is the end of a sentence. */
  crashAll(message: string, reason: "error" | "dispatcher", cause: unknown): void {
    void this.#settleAll("crashed", (id, task, options) => {
      const what = `${this.nameOf(id, task, options)} crashed: ${message}`;
      return withoutStack(() => new WorkerCrashError(what, reason, null, { task, cause }));
    });
  }

  /** Gives all tasks that are pending now the same kind of end, in slices. */
  async #settleAll(
    status: ErrorOutcome["status"],
    makeError: (id: number, task: InfoTask, options: CheckedPushOptions | undefined) => Error,
  ): Promise<void> {
    const late = lateErrors(status, makeError);
    let since = performance.now();
    let count = 0;
    for (const id of this.#pending.ids()) {
      // The callback of an earlier one may have had it settled, or its own outcome may have come.
      const pending = this.#pending.take(id);
      if (pending === undefined) continue;
      const { task, options } = pending;
      if (options === undefined && !pending.wantsValue) void this.#settle(late(id, task), pending, undefined);
      else this.#settleUnrun(id, pending, status, makeError(id, task, options));
      if (++count % 64 !== 0 || performance.now() - since < SLICE_MS) continue;
      await new Promise<void>((resolve) => nextTurn(resolve));
      since = performance.now();
    }
  }

  #settleUnrun(id: number, pending: Pending, status: ErrorOutcome["status"], error: Error): void {
    void this.#settle({ status, error, ...neverRan(pending.task, id) }, pending, undefined);
  }

  /** Why a task was cancelled: its own signal comes first. */
  #cancelReason(id: number, { options }: Pending): unknown {
    const signal = options?.signal;
    if (signal?.aborted) return signal.reason;
    return this.#life.terminating ? this.#life.reason : this.#waitingCancels.reasonOf(id);
  }

  /** What a task is called in messages. */
  nameOf(id: number, task: InfoTask, options: CheckedPushOptions | undefined): string {
    return `Task ${id} (${options?.label ?? shortName(task)})${this.#ofPool}`;
  }
}
