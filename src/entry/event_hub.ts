import type { PoolEvent } from "../events.ts";

/** Hands events to all who watch. */
export class EventHub {
  readonly #watchers = new Set<Watcher>();
  readonly #onChange: (watched: boolean) => void;
  /** The workers of whose start those who watch were told, but not of their end: who comes later is told as well. */
  readonly #alive = new Map<number, PoolEvent>();
  #closed = false;

  /** @param onChange Called when the first begins to watch, and when the last has stopped. */
  constructor(onChange: (watched: boolean) => void) {
    this.#onChange = onChange;
  }

  /** Whether anybody watches. Emitting is free only because nobody makes an event before asking. */
  get watched(): boolean {
    return this.#watchers.size > 0;
  }

  emit(event: PoolEvent): void {
    if (event.type === "worker-started") this.#alive.set(event.workerId, event);
    else if (event.type === "worker-gone") this.#alive.delete(event.workerId);
    for (const watcher of this.#watchers) watcher.push(event);
  }

  /** Watches from now on. */
  watch(): AsyncIterableIterator<PoolEvent> {
    const watcher = new Watcher(() => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      this.#alive.clear();
      this.#onChange(false);
    });
    if (this.#closed) {
      watcher.close();
      return watcher;
    }
    for (const started of this.#alive.values()) watcher.push(started);
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) this.#onChange(true);
    return watcher;
  }

  /** No more events. */
  close(): void {
    this.#closed = true;
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers.clear();
  }
}

type Step = IteratorResult<PoolEvent, undefined>;

class Watcher implements AsyncIterableIterator<PoolEvent> {
  #incoming: PoolEvent[] = [];
  /** Turned round, so that the next one is last: taking the first of a long array would move all the others. */
  #outgoing: PoolEvent[] = [];
  /** Those who asked for an event before there was one. */
  #waiting: ((step: Step) => void)[] = [];
  #closed = false;
  readonly #leave: () => void;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  push(event: PoolEvent): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#incoming.push(event);
    else waiting({ done: false, value: event });
  }

  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  next(): Promise<Step> {
    if (this.#outgoing.length === 0) {
      this.#outgoing = this.#incoming.reverse();
      this.#incoming = [];
    }
    const value = this.#outgoing.pop();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<Step> {
    this.close();
    this.#incoming = [];
    this.#outgoing = [];
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
