import type { Task } from "./scheduling.ts";
import type { WorkerRecord } from "./workers.ts";

/** How long a worker may take to end in peace, and after an interrupt, before it is a zombie; in milliseconds. */
const END_MS = 1_000;
/** How long one that has something to clean up may take to begin with that, on a machine that has much to do. */
const HEAR_MS = 5_000;

/** A thread that was interrupted has ended after this time, in milliseconds, or it is likely not to. */
const DOUBT_MS = 200;
/** For how long a zombie may be expected to end yet, in milliseconds: most wait for a call that returns. */
const HOPE_MS = 60_000;

/** A worker that is told to end. */
type Leaver = Pick<WorkerRecord<Task>, "id" | "bridge" | "lastFile">;

interface Ending {
  since: number;
  /** The file of the task that it ran last. */
  file: number | undefined;
  /** How long it has to end when asked to, in milliseconds. */
  grace: number;
  /** The entry interrupts it, which may be blocked for long. */
  readonly bridge: boolean;
  /** `interrupting`: a thread is to interrupt it that may be busy. Only when that says so its time is running. */
  stage: "retiring" | "disposing" | "asked" | "interrupting" | "interrupted" | "zombie";
}

/** One whose time is up: it is to be interrupted, or it is a zombie. */
export interface Overdue {
  readonly worker: number;
  readonly zombie: boolean;
  /** It was cleaning up. */
  readonly disposing: boolean;
  /** The file of the task that it ran last. */
  readonly file: number | undefined;
}

/** Workers that were told to end: interrupted after a grace, and zombies if they are still there after that. */
export class EndingWorkers {
  readonly #workers = new Map<number, Ending>();
  /** Files of which a worker could be stopped in the middle of a task. */
  readonly #stoppable = new Set<number>();
  #killed = 0;
  readonly #ended = { asked: 0, interrupted: 0 };

  get size(): number {
    return this.#workers.size;
  }

  get ids(): Iterable<number> {
    return this.#workers.keys();
  }

  /** How many were stopped, or had nothing to do but would not end. */
  get killed(): number {
    return this.#killed;
  }

  /** How many of those have ended, by what it took. */
  get ended(): { asked: number; interrupted: number } {
    return { ...this.#ended };
  }

  /** Whether it is on its way out in peace. */
  retires(worker: number): boolean {
    const stage = this.#workers.get(worker)?.stage;
    return stage === "retiring" || stage === "disposing";
  }

  /** When the last of those that end in peace must have done so; `-Infinity` for none. */
  get inPeaceBy(): number {
    let by = -Infinity;
    for (const [worker, ending] of this.#workers) {
      if (this.retires(worker)) by = Math.max(by, this.#due(ending));
    }
    return by;
  }

  get zombies(): number {
    return this.#count((stage) => stage === "zombie");
  }

  /** How many may clean up. */
  get inPeace(): number {
    return this.#count((stage) => stage === "retiring" || stage === "disposing");
  }

  #count(is: (stage: Ending["stage"]) => boolean): number {
    let count = 0;
    for (const { stage } of this.#workers.values()) if (is(stage)) count++;
    return count;
  }

  /** By when all zombies have had their time to end; `Infinity` where there is none. */
  get hopelessAt(): number {
    let at = -Infinity;
    for (const { stage, since } of this.#workers.values()) {
      if (stage === "zombie") at = Math.max(at, since + HOPE_MS);
    }
    return at === -Infinity ? Infinity : at;
  }

  /**
   * Whether a worker that ran a task of the file last may never end: it was interrupted, and does not end as others did.
   * While none of the file has been interrupted before, that is in doubt until it ends. Not while it is asked to: most
   * that hang can be stopped, and nothing is to wait for them that long.
   */
  doubts(file: number, now: number): boolean {
    for (const { file: last, stage, since, bridge } of this.#workers.values()) {
      if (last !== file) continue;
      if (stage === "zombie") return true;
      const interrupted = stage === "interrupted" || (stage === "interrupting" && !bridge);
      if (interrupted && (now > since + DOUBT_MS || !this.#stoppable.has(file))) return true;
    }
    return false;
  }

  /** When the next one is to be dealt with; `Infinity` for never. */
  get dueAt(): number {
    let at = Infinity;
    for (const ending of this.#workers.values()) at = Math.min(at, this.#due(ending));
    return at;
  }

  /** It has been interrupted: the nursery does that when it comes to it, or the entry. */
  interrupted(worker: number, now: number): void {
    const ending = this.#workers.get(worker);
    if (ending?.stage !== "interrupting") return;
    ending.stage = "interrupted";
    ending.since = now;
  }

  /** One that has nothing to do, but maybe something to clean up. */
  retire({ id, bridge, lastFile: file }: Leaver, cleansUp: boolean, now: number): void {
    const grace = cleansUp ? HEAR_MS : END_MS;
    this.#workers.set(id, { since: now, file, bridge, grace, stage: "retiring" });
  }

  /** It cleans up, and may take so long for that. */
  dispose(worker: number, grace: number, now: number): void {
    const ending = this.#workers.get(worker);
    if (ending?.stage !== "retiring") return;
    ending.stage = "disposing";
    ending.since = now;
    ending.grace = grace;
  }

  /** One that may be in the middle of a task. */
  stop({ id, bridge, lastFile: file }: Leaver, grace: number, now: number): void {
    this.#killed++;
    this.#workers.set(id, { since: now, file, bridge, grace, stage: "asked" });
  }

  /** It has ended. False if it was not told to. */
  gone(worker: number): boolean {
    const ending = this.#workers.get(worker);
    if (ending === undefined) return false;
    this.#workers.delete(worker);
    const { file, stage } = ending;
    const stopped = stage === "asked" || stage === "interrupting" || stage === "interrupted";
    if (file !== undefined && stopped) this.#stoppable.add(file);
    if (ending.stage === "asked") this.#ended.asked++;
    else if (ending.stage !== "retiring" && ending.stage !== "disposing") this.#ended.interrupted++;
    return true;
  }

  /** Those whose time is up. */
  tick(now: number): Overdue[] {
    const overdue: Overdue[] = [];
    for (const [worker, ending] of this.#workers) {
      if (now < this.#due(ending)) continue;
      ending.since = now;
      const { file } = ending;
      if (ending.stage === "interrupted") {
        ending.stage = "zombie";
        overdue.push({ worker, zombie: true, disposing: false, file });
        continue;
      }
      const disposing = ending.stage === "disposing";
      if (disposing || ending.stage === "retiring") this.#killed++;
      ending.stage = "interrupting";
      overdue.push({ worker, zombie: false, disposing, file });
    }
    return overdue;
  }

  #due({ since, grace, stage }: Ending): number {
    switch (stage) {
      case "retiring":
      case "disposing":
      case "asked":
        return since + grace;
      case "interrupted":
        return since + END_MS;
      case "interrupting":
      case "zombie":
        return Infinity;
    }
  }
}
