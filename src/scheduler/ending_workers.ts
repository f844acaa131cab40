/** How long a worker may take to end in peace, and one that was interrupted until it is a zombie, in milliseconds. */
const END_MS = 1_000;

interface Ending {
  since: number;
  stage: "retiring" | "asked" | "interrupted" | "zombie";
}

/** Workers that were told to end: interrupted after a grace, and zombies if they are still there after that. */
export class EndingWorkers {
  readonly #killGrace: number;
  readonly #workers = new Map<number, Ending>();
  #killed = 0;
  readonly #ended = { asked: 0, interrupted: 0 };

  constructor(killGrace: number) {
    this.#killGrace = killGrace;
  }

  get size(): number {
    return this.#workers.size;
  }

  get ids(): Iterable<number> {
    return this.#workers.keys();
  }

  /** How many had nothing to do but would not end, or were stopped. */
  get killed(): number {
    return this.#killed;
  }

  /** How many of those have ended, by what it took. */
  get ended(): { asked: number; interrupted: number } {
    return { ...this.#ended };
  }

  get zombies(): number {
    let zombies = 0;
    for (const { stage } of this.#workers.values()) if (stage === "zombie") zombies++;
    return zombies;
  }

  /** When the next one is to be dealt with; `Infinity` for never. */
  get dueAt(): number {
    let at = Infinity;
    for (const ending of this.#workers.values()) at = Math.min(at, this.#due(ending));
    return at;
  }

  /** One that has nothing to do. */
  retire(worker: number, now: number): void {
    this.#workers.set(worker, { since: now, stage: "retiring" });
  }

  /** One that may be in the middle of a task. */
  stop(worker: number, now: number): void {
    this.#killed++;
    this.#workers.set(worker, { since: now, stage: "asked" });
  }

  /** It has ended. False if it was not told to. */
  gone(worker: number): boolean {
    const ending = this.#workers.get(worker);
    if (ending === undefined) return false;
    this.#workers.delete(worker);
    if (ending.stage === "asked") this.#ended.asked++;
    else if (ending.stage !== "retiring") this.#ended.interrupted++;
    return true;
  }

  /** Those whose time is up: they are to be interrupted now. */
  tick(now: number): number[] {
    const interrupted: number[] = [];
    for (const [worker, ending] of this.#workers) {
      if (now < this.#due(ending)) continue;
      ending.since = now;
      if (ending.stage === "interrupted") {
        ending.stage = "zombie";
        continue;
      }
      if (ending.stage === "retiring") this.#killed++;
      ending.stage = "interrupted";
      interrupted.push(worker);
    }
    return interrupted;
  }

  #due({ since, stage }: Ending): number {
    switch (stage) {
      case "retiring":
      case "interrupted":
        return since + END_MS;
      case "asked":
        return since + this.#killGrace;
      case "zombie":
        return Infinity;
    }
  }
}
