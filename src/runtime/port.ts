/**
 * What the dispatcher and the nursery need of a runtime. Only this folder knows what a worker is.
 *
 * @module
 */
import type { DeathData, FromWorker, Running, ToWorker, WorkerSpec } from "../wire/protocol.ts";

/** What workers of a kind can hold, for the scheduler, whose options have the same names. */
export interface Capacity {
  /** The most tasks that a worker holds at once: 1 where it cannot share memory with the dispatcher. */
  readonly maxOffered: number;
  /** The largest number that a task may have on a worker. */
  readonly maxSeq: number;
  /** The largest difference between the numbers of two tasks that a worker holds. */
  readonly maxSpan: number;
  /** How many spares there may be, for want of another number. */
  readonly maxSpares: number;
  /** How many workers may be starting at once while tasks run. */
  readonly maxStarting: number;
}

/** The dispatcher's end of a worker. */
export interface WorkerLink {
  /** What the worker shares with the dispatcher, where it can. */
  readonly memory: SharedArrayBuffer | undefined;
  /** Allows the worker to run this task from now on; its message follows. */
  offer(seq: number, now: number): void;
  /** Whoever started the worker has offered it this task, then. */
  offered(seq: number, at: number): void;
  /** True if the worker had not begun the task and never will. */
  takeBack(seq: number): boolean;
  /** What the worker does with this task, by the clock here. */
  look(seq: number): Running | undefined;
  /** Takes out all result records that it shares, and gives their length in words. */
  read(into: Int32Array): number;
  /** What has to be added to the times of this run, which has ended, and of those read with it, to have them by the clock here. */
  shift(seq: number, startedAt: number, endedAt: number): number;
  /** Takes note of what the worker tells, `at` by its own clock: that it is ready. */
  ready(at: number): void;
  /** That it begins a task, where it has no shared memory. */
  started(seq: number, at: number, loading: boolean, callbacks: number): void;
  /** Has a thread end by itself also where it does not come to read a message: see `stop_points.ts`. */
  stop(): void;
  /** That it is about to end, or has ended: it begins nothing any more. */
  leaves(): void;
  /** The name of the lock that the worker is to hold, where that is how its end is noticed. */
  readonly lock: string | undefined;
  /** Whether its end will be told by `gone`; else only whoever started it knows. */
  readonly tellsEnd: boolean;
  /** Whether that was told of a worker without shared memory: then it is handed nothing. */
  readonly leaving: boolean;
  post(message: ToWorker, transfer?: Transferable[]): void;
  /** No more messages; the worker has ended. */
  end(): void;
}

/** Who hears of a worker. */
export interface WorkerEvents {
  message(message: FromWorker): void;
  /** The worker's end of the port is gone, and so is the worker; all its messages came before. */
  gone(): void;
}

/** A worker, as the nursery that started it holds it. */
export interface WorkerHandle {
  /** Interrupts a thread, as soon as that is safe, or kills a process. Resolves when that is done. */
  kill(): Promise<void> | void;
  /** Resolves when all that it has said so far was passed on. */
  drained(): Promise<void>;
  /** It is not to keep the program running, where there is a choice. */
  letGo?(): void;
}

/** Starts a worker that speaks over the port. */
export type StartWorker = (
  spec: WorkerSpec,
  port: MessagePort,
  memory: SharedArrayBuffer | undefined,
  events: {
    /** It has ended, or is no longer able to run anything. */
    gone(death: DeathData): void;
    undeliverable(seq: number, error: unknown): void;
  },
) => WorkerHandle;
