/** For how long what was needed once may be needed again, in milliseconds. */
const QUIET_MS = 10_000;
/** How long a start is taken to last as long as there was none, in milliseconds. */
const START_MS = 600;
/** What one start counts for in how long a start takes. */
const START_WEIGHT = 0.25;
/** A task that has run so many times longer than its like is taken for one that hangs. */
const LONGER = 4;
/** How many of the last runs, at least, tell how many tasks are stopped. */
const REMEMBERED = 200;
/** Below this no run is long, in milliseconds. */
const LONG_MS = 10;

/** What is known of a task that runs. */
export interface RunningTask {
  /** When it began. */
  readonly since: number;
  readonly timeout: number;
  /** How long its like runs; undefined where that is not known. */
  readonly estimate: number | undefined;
}

/**
 * How many workers beyond the size of the pool there are to be, warm or starting.
 *
 * Each one that takes over is replaced at once, and its replacement is there a start later. So there must be as many as
 * are stopped within the time of a start: as there were at most in the last seconds. And before that: as many as tasks run
 * that look as if they were going to be, or as are to be expected of the tasks that wait, if they are like the last ones.
 */
export class Spares {
  readonly #least: number;
  readonly #most: number;
  #startMs = START_MS;
  /** When workers were stopped, within the time of a start. */
  #stops: number[] = [];
  /** How many were stopped within the time of a start up to then: later ones count less, each is the most from then on. */
  #peaks: { at: number; count: number }[] = [];
  /** Of the last tasks: how many ran to their end, how many were stopped, and how long all of them took. */
  #last = { ran: 0, stopped: 0, ms: 0 };
  /** How many stops running tasks have announced at most, and until when that is believed. */
  #announced = { count: 0, until: -Infinity };

  /**
   * @param least How many there are when nothing is stopped.
   * @param most How many there are at most.
   */
  constructor(least: number, most: number) {
    this.#least = least;
    this.#most = most;
  }

  /** A worker was ready so many milliseconds after its start began. */
  started(ms: number): void {
    this.#startMs += START_WEIGHT * (ms - this.#startMs);
  }

  /** A task ran to its end. */
  ran(ms: number): void {
    const last = this.#last;
    last.ms += ms;
    if (++last.ran + last.stopped >= 2 * REMEMBERED) {
      this.#last = { ran: last.ran / 2, stopped: last.stopped / 2, ms: last.ms / 2 };
    }
  }

  /** A worker was stopped, or was ended by a task; that ran so many milliseconds. */
  stopped(now: number, ms: number): void {
    if (this.#most === this.#least) return;
    this.#last.stopped++;
    this.#last.ms += ms;
    this.#stops = this.#stops.filter((at) => at > now - this.#startMs);
    this.#stops.push(now);
    const count = this.#stops.length;
    this.#peaks = this.#peaks.filter((peak) => peak.count > count);
    this.#peaks.push({ at: now, count });
  }

  /**
   * How many there are to be now; `expected` are known to be stopped soon.
   *
   * @param remember Whether as many may be stopped as were in the last seconds.
   */
  wanted(expected: number, now: number, remember = true): number {
    while (this.#peaks.length > 0 && this.#peaks[0]!.at + QUIET_MS <= now) this.#peaks.shift();
    if (now >= this.#announced.until) this.#announced.count = 0;
    const count = Math.ceil(
      Math.max(remember ? this.#peaks[0]?.count ?? 0 : 0, this.#announced.count, expected),
    );
    return Math.max(this.#least, Math.min(this.#most, count));
  }

  /** Whether so many tasks were stopped that more are to be expected. */
  get foresees(): boolean {
    // One may have been a single misfortune.
    return this.#last.stopped >= 2 && this.#last.ran > 0;
  }

  /**
   * How many stops are to be expected within a start of a pool of that size, if those that wait are like the last ones:
   * the mean, and what chance adds to that at times.
   */
  foreseen(waiting: number, size: number): number {
    const { ran, stopped, ms } = this.#last;
    if (!this.foresees) return 0;
    const within = size * this.#startMs * (ran + stopped) / ms;
    const mean = Math.min(waiting, within) * stopped / (ran + stopped);
    return mean + Math.sqrt(mean);
  }

  /** When fewer may be wanted; `Infinity` for never. */
  get fewerAt(): number {
    const { count, until } = this.#announced;
    return Math.min(
      this.#peaks.length === 0 ? Infinity : this.#peaks[0]!.at + QUIET_MS,
      count > 0 ? until : Infinity,
    );
  }

  /** Running tasks look as if they were going to be stopped; that is believed until the spares for them are there. */
  announced(expected: number, now: number): void {
    const until = now + 2 * this.#startMs;
    if (expected >= this.#announced.count || now >= this.#announced.until) {
      this.#announced = { count: expected, until };
    }
  }

  /** From when on a task that is still running counts as one that will be stopped; `Infinity` for never. */
  doubtAt({ since, timeout, estimate }: RunningTask): number {
    if (this.#most === this.#least) return Infinity;
    const long = estimate === undefined ? timeout / 2 : Math.max(LONG_MS, LONGER * estimate);
    // Earlier would be no use: a spare would wait.
    return long < timeout ? since + Math.max(long, timeout - this.#startMs) : Infinity;
  }

  /**
   * How many stops such a task stands for: by the time that a spare is there the next ones in its place may have been
   * stopped too.
   */
  expects({ timeout }: RunningTask): number {
    return Math.max(1, this.#startMs / timeout);
  }
}
