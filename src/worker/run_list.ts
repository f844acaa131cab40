import type { RunId } from "./running_task.ts";

/** A task to run. */
export interface Run extends RunId {
  /** Its id in the pool that runs it; that which it is told may be of the pool that it was pushed to. */
  readonly task: number;
  readonly module: number;
  /** Undefined for a task that only loads its module. */
  readonly args: unknown[] | undefined;
  next: Run | undefined;
  /** It is known, outside this process, to have begun. */
  noted: boolean;
}

/** The tasks that a worker has been given, in the order in which they came. Of our own: arrays can be patched. */
export class RunList {
  #first: Run | undefined;
  #last: Run | undefined;
  /** The number of the task that came last. */
  #lastSeq = -1;

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  append(run: Run): void {
    if (this.#last === undefined) this.#first = run;
    else this.#last.next = run;
    this.#last = run;
    this.#lastSeq = run.seq;
  }

  /** Takes the first. */
  take(): Run | undefined {
    const run = this.#first;
    if (run === undefined) return undefined;
    this.#first = run.next;
    if (run.next === undefined) this.#last = undefined;
    return run;
  }

  clear(): void {
    this.#first = this.#last = undefined;
  }
}
