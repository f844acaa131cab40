/**
 * Progress: what tasks report, on its way from the machine to the producer.
 *
 * @module
 */
import type { QueueEventsProducer } from "bullmq";
import { pack, type Packed, unpack } from "./wire.ts";

/** How often what a task reports is published, in milliseconds. */
const PUBLISH_MS = 100;
/** How many values are kept that have not been published; of more the oldest are dropped, but never a generator's. */
const MAX_KEPT = 256;
/** How many events the store keeps for a producer that does not read them. */
const MAX_EVENTS = 1_000;

/** Publishes what one run of a task reports. */
export class ReportWriter {
  readonly #to: QueueEventsProducer;
  readonly #job: string;
  readonly #attempt: number;
  readonly #maxBytes: number;
  #published = 0;
  #values: { value: unknown; taken: (() => void) | undefined }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What is being published. */
  #publishing: Promise<void> | undefined;

  constructor(to: QueueEventsProducer, job: string, attempt: number, maxBytes: number) {
    this.#to = to;
    this.#job = job;
    this.#attempt = attempt;
    this.#maxBytes = maxBytes;
  }

  /** How many values have been published. */
  get published(): number {
    return this.#published;
  }

  add(value: unknown, taken: (() => void) | undefined): void {
    this.#values.push({ value, taken });
    if (this.#values.length > MAX_KEPT) {
      const oldest = this.#values.findIndex((each) => each.taken === undefined);
      if (oldest >= 0) this.#values.splice(oldest, 1);
    }
    this.#timer ??= setTimeout(() => this.#publish(), PUBLISH_MS);
  }

  /** What is left, which travels with the outcome. */
  async rest(): Promise<unknown[]> {
    clearTimeout(this.#timer);
    await this.#publishing;
    return this.#values.splice(0).map(({ value }) => value);
  }

  #publish(): void {
    this.#timer = undefined;
    const taken = this.#values.splice(0);
    this.#publishing = this.#send(taken.map(({ value }) => value)).finally(() => {
      for (const each of taken) each.taken?.();
    });
  }

  async #send(values: unknown[]): Promise<void> {
    try {
      const { packed, bytes } = pack(values, true);
      // As many as fit: all of them may be too much for one event.
      if (bytes > this.#maxBytes) {
        if (values.length > 1) { for (const value of values) await this.#send([value]); }
        return;
      }
      const event = {
        // Not "progress": BullMQ has an event of that name, with a form of its own.
        eventName: "report",
        job: this.#job,
        attempt: String(this.#attempt),
        values: JSON.stringify(packed),
      };
      await this.#to.publishEvent(event, MAX_EVENTS);
      this.#published += values.length;
    } catch {
      // The queue cannot be reached: what a task reports is not worth waiting for.
    }
  }
}

/** What a machine published. */
export interface ReportEvent {
  job: string;
  attempt: string;
  values: string;
}

/** What is in an event; nothing if it is damaged. */
export function readReport({ values }: ReportEvent): unknown[] {
  try {
    const unpacked = unpack(JSON.parse(values) as Packed);
    return Array.isArray(unpacked) ? unpacked : [];
  } catch {
    return [];
  }
}

/** How much of a task's progress the producer has seen, and who waits to see more. */
export class ReportsSeen {
  #attempt = 0;
  #count = 0;
  #waiting: { count: number; resolve: () => void } | undefined;

  add(attempt: number, count: number): void {
    if (attempt !== this.#attempt) this.#count = 0;
    this.#attempt = attempt;
    this.#count += count;
    if (this.#waiting !== undefined && this.#count >= this.#waiting.count) this.#waiting.resolve();
  }

  /** Resolves when that many values of an attempt have been seen. */
  until(attempt: number, count: number): Promise<void> {
    if (count === 0 || (attempt === this.#attempt && this.#count >= count)) return Promise.resolve();
    if (attempt !== this.#attempt) this.#count = 0;
    this.#attempt = attempt;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { count, resolve };
    return promise;
  }
}
