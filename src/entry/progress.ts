import { now } from "../wire/now.ts";
import type { Callbacks } from "./callbacks.ts";
import type { EventHub } from "./event_hub.ts";
import type { PendingTable } from "./pending.ts";
import type { PoolLife } from "./pool_life.ts";
import { PushContext } from "./push_context.ts";

/** What tasks report before their outcome: `onProgress` hears of it in the context of the push. */
export class Progress {
  readonly #pending: PendingTable;
  readonly #callbacks: Callbacks;
  readonly #events: EventHub;
  readonly #life: Pick<PoolLife<unknown>, "client">;
  /** The contexts of pushes that want to hear of it, by task. */
  readonly #contexts = new Map<number, PushContext>();

  constructor(
    pending: PendingTable,
    callbacks: Callbacks,
    events: EventHub,
    life: Pick<PoolLife<unknown>, "client">,
  ) {
    this.#pending = pending;
    this.#callbacks = callbacks;
    this.#events = events;
    this.#life = life;
  }

  /** The task that is being pushed has an `onProgress`. */
  expect(id: number): void {
    this.#contexts.set(id, new PushContext());
  }

  /** Such a task has its outcome. */
  end(id: number): void {
    this.#contexts.delete(id);
  }

  /** @param pull The task is a generator, and goes on when it is told to. */
  report(id: number, value: unknown, pull: boolean): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    if (this.#events.watched) this.#events.emit({ type: "progress", at: now(), taskId: id, value });
    // A generator waits until its value is taken.
    const resume = () => {
      if (pull) this.#life.client?.post({ type: "resume", id });
    };
    const onProgress = pending.options?.onProgress;
    if (onProgress === undefined) return resume();
    this.#contexts.get(id)!.run(() => {
      const taking = this.#callbacks.progress(onProgress, value, pending.task, id);
      if (taking === undefined) resume();
      else void taking.then(resume);
    });
  }
}
