import { MessageChannel as NodeChannel, type MessagePort as NodePort } from "node:worker_threads";
import { now } from "../now.ts";
import type { FromWorker, Running, ToWorker } from "../protocol.ts";
import type { WorkerEvents, WorkerLink } from "./port.ts";
import { RemoteClock } from "./remote_clock.ts";
import { SharedSeat, SLOTS } from "./shared.ts";

/** How many tasks a worker may hold, and how many may start at once beside others that work, for the scheduler. */
export function capacityOf(
  isolation: "thread" | "process",
): { maxOffered: number; maxSpan: number; maxStarting: number } {
  // A thread's numbers must fit the slots also with gaps between them; a process cannot give a task back, and its start
  // keeps a core busy.
  return isolation === "thread"
    ? { maxOffered: SLOTS / 2, maxSpan: SLOTS, maxStarting: Infinity }
    : { maxOffered: 1, maxSpan: Infinity, maxStarting: Math.ceil(navigator.hardwareConcurrency / 2) };
}

abstract class PortLink implements WorkerLink {
  abstract readonly memory: SharedArrayBuffer | undefined;
  readonly #port: NodePort;

  constructor(port: NodePort, events: WorkerEvents) {
    this.#port = port;
    this.#port.on("message", (message: FromWorker) => events.message(message));
    this.#port.on("close", () => events.gone());
  }

  abstract offer(seq: number): void;
  abstract takeBack(seq: number): boolean;
  abstract look(seq: number): Running | undefined;
  abstract read(into: Int32Array): number;
  abstract ready(at: number): void;
  abstract started(seq: number, at: number, loading: boolean, callbacks: number): void;

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

  override offer(seq: number): void {
    this.#seat.offer(seq);
  }

  override takeBack(seq: number): boolean {
    return this.#seat.takeBack(seq);
  }

  override look(seq: number): Running | undefined {
    return this.#seat.look(seq);
  }

  override read(into: Int32Array): number {
    return this.#seat.read(into);
  }

  override ready(): void {}

  override started(): void {}
}

/** To a child process: one task at a time, and the child tells when it begins. */
class ProcessLink extends PortLink {
  readonly memory = undefined;
  readonly #clock = new RemoteClock();
  /** When it was allowed to do what it tells of next. */
  #allowedAt = now();
  #running: Running | undefined;
  #ended = false;

  override offer(): void {
    this.#allowedAt = now();
  }

  override takeBack(seq: number): boolean {
    return this.#ended && this.#running?.seq !== seq;
  }

  override look(seq: number): Running | undefined {
    return this.#running?.seq === seq ? this.#running : undefined;
  }

  override read(): number {
    return 0;
  }

  override ready(at: number): void {
    this.#clock.read(at, this.#allowedAt, now());
  }

  override started(seq: number, at: number, loading: boolean, callbacks: number): void {
    const since = this.#clock.read(at, this.#allowedAt, now());
    this.#running = { seq, since, loading, callbacks: loading ? undefined : callbacks };
  }

  override end(): void {
    this.#ended = true;
    super.end();
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
