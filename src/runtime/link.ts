import { MessageChannel as NodeChannel, type MessagePort as NodePort } from "node:worker_threads";
import { now } from "../wire/now.ts";
import type { FromWorker, Running, ToWorker } from "../wire/protocol.ts";
import type { SchedulerOptions } from "../scheduler/scheduling.ts";
import { listen } from "./listen.ts";
import type { WorkerEvents, WorkerLink } from "./port.ts";
import { RemoteClock } from "./remote_clock.ts";
import { SharedSeat, SLOTS } from "./shared.ts";

/** A word of a record holds no larger number. */
const MAX_SEQ = 2 ** 31 - 1;

/** How many tasks a worker may hold, and how many workers may start at once beside others, for the scheduler. */
export function capacityOf(
  isolation: "thread" | "process",
): Pick<SchedulerOptions, "maxOffered" | "maxSeq" | "maxSpan" | "maxStarting"> {
  // A thread's numbers must fit the slots also with gaps between them; a process cannot give a task back, and its start
  // keeps a core busy.
  return isolation === "thread"
    ? { maxOffered: SLOTS / 2, maxSeq: MAX_SEQ, maxSpan: SLOTS, maxStarting: Infinity }
    : {
      maxOffered: 1,
      maxSeq: MAX_SEQ,
      maxSpan: Infinity,
      maxStarting: Math.ceil(navigator.hardwareConcurrency / 2),
    };
}

abstract class PortLink implements WorkerLink {
  abstract readonly memory: SharedArrayBuffer | undefined;
  readonly #port: NodePort;
  readonly #clock = new RemoteClock();
  readonly #createdAt = now();
  /** When the tasks that it holds were offered, by the last bits of their numbers. */
  readonly #offeredAt = new Float64Array(SLOTS);

  constructor(port: NodePort, events: WorkerEvents) {
    this.#port = port;
    listen<FromWorker>(port, (message) => events.message(message));
    this.#port.on("close", () => events.gone());
  }

  abstract takeBack(seq: number): boolean;
  abstract look(seq: number): Running | undefined;
  abstract read(into: Int32Array): number;
  abstract leaves(): void;
  abstract started(seq: number, at: number, loading: boolean, callbacks: number): void;

  offer(seq: number, now: number): void {
    this.#offeredAt[seq % SLOTS] = now;
  }

  ready(at: number): void {
    this.#clock.note(this.#createdAt, at, at, now());
  }

  shift(seq: number, startedAt: number, endedAt: number): number {
    this.#clock.note(this.#offeredAt[seq % SLOTS]!, startedAt, endedAt, now());
    return this.#clock.shift;
  }

  post(message: ToWorker, transfer?: Transferable[]): void {
    this.#port.postMessage(message, transfer as never);
  }

  end(): void {
    this.#port.close();
  }
}

/** To a thread: claims and results in shared memory. */
class ThreadLink extends PortLink {
  readonly #seat = new SharedSeat();

  get memory(): SharedArrayBuffer {
    return this.#seat.memory;
  }

  override offer(seq: number, now: number): void {
    super.offer(seq, now);
    this.#seat.offer(seq);
  }

  override takeBack(seq: number): boolean {
    return this.#seat.takeBack(seq);
  }

  override look(seq: number): Running | undefined {
    const running = this.#seat.look(seq);
    if (running === undefined) return undefined;
    return { ...running, since: running.since + this.shift(seq, running.since, running.since) };
  }

  override read(into: Int32Array): number {
    return this.#seat.read(into);
  }

  override started(): void {}

  override leaves(): void {}
}

/** To a child process: one task at a time, and the child tells when it begins. */
class ProcessLink extends PortLink {
  readonly memory = undefined;
  #running: Running | undefined;
  #leaving = false;

  /** A child that ended without a word may have begun the task and not come to tell: none is to run twice. */
  override takeBack(seq: number): boolean {
    return this.#leaving && this.#running?.seq !== seq;
  }

  override leaves(): void {
    this.#leaving = true;
  }

  override look(seq: number): Running | undefined {
    return this.#running?.seq === seq ? this.#running : undefined;
  }

  override read(): number {
    return 0;
  }

  override started(seq: number, at: number, loading: boolean, callbacks: number): void {
    const since = at + this.shift(seq, at, at);
    this.#running = { seq, since, loading, callbacks: loading ? undefined : callbacks };
  }
}

/** The dispatcher's end of a new worker, and the port that the worker is to have. */
export function createLink(
  isolation: "thread" | "process",
  events: WorkerEvents,
): { link: WorkerLink; port: MessagePort } {
  // A channel of `node:worker_threads` tells when its other end is gone; on Deno a web channel does not.
  const { port1, port2 } = new NodeChannel();
  const link = isolation === "thread" ? new ThreadLink(port1, events) : new ProcessLink(port1, events);
  return { link, port: port2 as unknown as MessagePort };
}
