/**
 * What happens in a pool, for whoever watches: enough to draw every worker's time line. `at` is in milliseconds since
 * the epoch.
 */
export type PoolEvent =
  | {
    /** A task was pushed. */
    type: "pushed";
    /** When. */
    at: number;
    /** The task. */
    taskId: number;
  }
  | {
    /** A run of a task began. Told when the dispatcher learns of it, which may be up to 50 ms later. */
    type: "started";
    /** When. */
    at: number;
    /** The task. */
    taskId: number;
    /** 1 for the first run, 2 for the first retry. */
    attempt: number;
    /** The worker that runs it. */
    workerId: number;
  }
  | {
    /** A task reported progress. */
    type: "progress";
    /** When it arrived. */
    at: number;
    /** The task. */
    taskId: number;
    /** What it reported. */
    value: unknown;
  }
  | {
    /** A task has its outcome. */
    type: "settled";
    /** When it arrived. */
    at: number;
    /** The task. */
    taskId: number;
    /** The worker that ran it last; undefined for a task that never ran. */
    workerId: number | undefined;
    /** How it ended. */
    status: "ok" | "failed" | "timed-out" | "crashed" | "cancelled";
    /** How often it was run. */
    attempts: number;
    /** Milliseconds of its last run. */
    ranMs: number;
  }
  | {
    /** A worker is warm, was told to end, or has ended. */
    type: "worker-started" | "worker-killed" | "worker-gone";
    /** When. */
    at: number;
    /** The worker. */
    workerId: number;
  };

/** Hands events to all who watch. */
export class EventHub {
  readonly #watchers = new Set<Watcher>();
  readonly #onChange: (watched: boolean) => void;
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
    for (const watcher of this.#watchers) watcher.push(event);
  }

  /** Watches from now on. */
  watch(): AsyncIterableIterator<PoolEvent> {
    const watcher = new Watcher(() => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#onChange(false);
    });
    if (this.#closed) {
      watcher.close();
      return watcher;
    }
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
  /** Turned round, the next one last: taking the first of a long array would move all the others. */
  #outgoing: PoolEvent[] = [];
  /** Who asked for more than there is. */
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
