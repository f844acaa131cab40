import type { Run } from "./run_list.ts";
import type { Isolation } from "../wire/lossy.ts";
import type { FromWorker } from "../wire/protocol.ts";

/** How a worker talks to the dispatcher; what differs between a thread and a process. */
export interface Seat {
  /** What it differs by for values on their way. */
  readonly isolation: Isolation;
  /** Whose memory is that of this worker. */
  readonly measured: "process" | "thread";
  /** True if the task is this worker's to run. */
  claim(seq: number, loading: boolean, callbacks: number, now: number): boolean;
  /** It has claimed the task, and is about to begin it: where that has to be known when its process has died. */
  readonly note?: ((run: Run, now: number) => void) | undefined;
  /** Whether that can be done: not where a task has closed what it needs. Asked before the task is claimed. */
  readonly mayNote?: ((run: Run) => boolean) | undefined;
  /** A task that was loading runs now. */
  run(seq: number, callbacks: number, now: number): void;
  /** Whether a task is to come that this worker may claim. */
  isOffered(seq: number): boolean;
  /** Keeps a result record where it outlives this worker; false if it must be posted. */
  write(record: Int32Array, length: number): boolean;
  /** Whether the dispatcher should be told of results now. */
  readonly crowded: boolean;
  /** Whether there are results that it has not read. */
  readonly unread: boolean;
  post(message: FromWorker, transfer?: Transferable[]): void;
  /** Ends this worker. */
  exit(): void;
}
