import type { MessagePort as NodePort } from "node:worker_threads";
import { now } from "../wire/now.ts";
import type { BridgeData, FromWorker, Running, ToWorker } from "../wire/protocol.ts";
import { cores, hasNodeWorkers, host, need, sharesMemory } from "./host.ts";
import { listen } from "./listen.ts";
import { newLock, onceFree } from "./lock.ts";
import type { Capacity, WorkerEvents, WorkerLink } from "./port.ts";
import { RemoteClock } from "./remote_clock.ts";
import { createMemory, SharedSeat, SLOTS } from "./shared.ts";

// A channel of `node:worker_threads` tells when its other end is gone; on Deno a web channel does not.
const Channel = (hasNodeWorkers ? need("node:worker_threads").MessageChannel : MessageChannel) as new () => {
  port1: NodePort;
  port2: NodePort;
};

/** A word of a record holds no larger number. */
const MAX_SEQ = 2 ** 31 - 1;

/** What the scheduler may ask of workers of this kind. */
export function capacityOf(isolation: "thread" | "process"): Capacity {
  // A thread's numbers must fit the slots also with gaps between them; a process cannot give a task back. Its start keeps
  // a core busy, but where tasks hang again and again it is what all others wait for: two for each core get most done.
  const threads = cores();
  const maxSpares = Math.min(8 * threads, 32);
  if (isolation === "thread" && !sharesMemory) return alone(maxSpares, Infinity);
  return isolation === "thread"
    ? { maxOffered: SLOTS / 2, maxSeq: MAX_SEQ, maxSpan: SLOTS, maxSpares, maxStarting: Infinity }
    : alone(Math.min(2 * threads, 8), 2 * threads);
}

/** Workers that cannot share memory hold one task at a time. */
function alone(maxSpares: number, maxStarting: number): Capacity {
  return { maxOffered: 1, maxSeq: MAX_SEQ, maxSpan: Infinity, maxSpares, maxStarting };
}

abstract class PortLink implements WorkerLink {
  abstract readonly memory: SharedArrayBuffer | undefined;
  abstract readonly leaving: boolean;
  readonly #port: NodePort;
  readonly #events: WorkerEvents;
  /** In a browser the only sign that a worker has ended is that it holds its lock no more. */
  readonly lock: string | undefined;
  tellsEnd = host !== "browser";
  readonly #clock = new RemoteClock();
  readonly #createdAt = now();
  /** When the tasks that it holds were offered, by the last bits of their numbers. */
  readonly #offeredAt = new Float64Array(SLOTS);

  constructor(port: NodePort, events: WorkerEvents, lock: string | undefined) {
    this.#port = port;
    this.lock = lock;
    listen<FromWorker>(port, (message) => events.message(message));
    if (host !== "browser") onClose(port, () => events.gone());
    this.#events = events;
  }

  abstract takeBack(seq: number): boolean;
  abstract look(seq: number): Running | undefined;
  abstract read(into: Int32Array): number;
  abstract stop(): void;
  abstract leaves(): void;
  abstract started(seq: number, at: number, loading: boolean, callbacks: number): void;

  offer(seq: number, now: number): void {
    this.offered(seq, now);
  }

  offered(seq: number, at: number): void {
    this.#offeredAt[seq % SLOTS] = at;
  }

  ready(at: number): void {
    this.#clock.note(this.#createdAt, at, at, now());
    if (this.lock === undefined) return;
    // It holds the lock by now. What it has posted before its end comes first.
    this.tellsEnd = true;
    onceFree(this.lock, () => setTimeout(() => this.#events.gone()));
  }

  shift(seq: number, startedAt: number, endedAt: number): number {
    this.#clock.note(this.#offeredAt[seq % SLOTS]!, startedAt, endedAt, now());
    return this.#clock.shift;
  }

  post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#port.postMessage(message, transfer as never);
  }

  end(): void {
    this.#port.close();
  }
}

/** To a thread: claims and results in shared memory. */
class ThreadLink extends PortLink {
  readonly leaving = false;
  readonly #seat: SharedSeat;

  constructor(port: NodePort, memory: SharedArrayBuffer, events: WorkerEvents, lock: string | undefined) {
    super(port, events, lock);
    this.#seat = new SharedSeat(memory);
  }

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

  override stop(): void {
    this.#seat.stop();
  }

  override leaves(): void {}
}

/** To a child process, or to a thread that shares no memory: one task at a time, and the child tells when it begins, before it does. */
class ProcessLink extends PortLink {
  readonly memory = undefined;
  #running: Running | undefined;
  leaving = false;

  /** True if the child has ended, and all that it had told by then was heard: it did not tell of this task. */
  override takeBack(seq: number): boolean {
    return this.leaving && this.#running?.seq !== seq;
  }

  /** It is killed. */
  override stop(): void {}

  override leaves(): void {
    this.leaving = true;
  }

  override post(message: ToWorker, transfer: Transferable[] = []): void {
    const moves = !(message instanceof ArrayBuffer) && message.type === "run-one" && transfer.length > 0;
    super.post(moves ? { ...message, moved: transfer as ArrayBuffer[] } : message, transfer);
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

/** Calls back when the other end of the port is gone. */
function onClose(port: NodePort, gone: () => void): void {
  if (hasNodeWorkers) port.on("close", gone);
  else (port as unknown as MessagePort).addEventListener("close", gone);
}

function linkOver(
  port: NodePort,
  memory: SharedArrayBuffer | undefined,
  events: WorkerEvents,
  lock: string | undefined,
): WorkerLink {
  return memory === undefined
    ? new ProcessLink(port, events, lock)
    : new ThreadLink(port, memory, events, lock);
}

/** The dispatcher's end of a new worker, and the port that the worker is to have. */
export function createLink(
  isolation: "thread" | "process",
  events: WorkerEvents,
): { link: WorkerLink; port: MessagePort } {
  const { port1, port2 } = new Channel();
  const memory = isolation === "thread" && sharesMemory ? createMemory() : undefined;
  const link = linkOver(port1, memory, events, newLock());
  return { link, port: port2 as unknown as MessagePort };
}

/** The dispatcher's end of the worker that the entry has started. */
export function adoptLink({ port, memory, lock }: BridgeData, events: WorkerEvents): WorkerLink {
  if (host !== "deno") return linkOver(port as unknown as NodePort, memory, events, lock);
  // A port that came with a message of the web does not tell when its other end is gone; received by way of
  // `node:worker_threads` it does (seen up to Deno 2.9.6).
  const { port1, port2 } = new Channel();
  port2.postMessage(port, [port as never]);
  const { message } = need("node:worker_threads").receiveMessageOnPort(port1) as { message: NodePort };
  port1.close();
  return linkOver(message, memory, events, lock);
}
