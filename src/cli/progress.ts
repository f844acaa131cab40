import { writeError } from "./write_error.ts";

/** How often the bar is drawn, and how often a line is written where there is no terminal, in milliseconds. */
const BAR_MS = 100;
const LINE_MS = 10_000;
const WIDTH = 24;

/** Tells on stderr how far things are: a bar on a terminal, else a line now and then. */
export class Progress {
  readonly #total: number | undefined;
  readonly #bar: boolean;
  readonly #startedAt = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #done = 0;
  #failed = 0;
  #drawn = false;

  /** @param total How many there are, where that is known. */
  constructor(total: number | undefined) {
    this.#total = total;
    this.#bar = Deno.stderr.isTerminal();
    this.#timer = setInterval(() => this.#show(), this.#bar ? BAR_MS : LINE_MS);
  }

  add(failed: boolean): void {
    this.#done++;
    if (failed) this.#failed++;
  }

  /** Something else is about to be written to the terminal. */
  clear(): void {
    if (this.#drawn) writeError("\r\x1b[2K");
    this.#drawn = false;
  }

  end(): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #show(): void {
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const text = describe(this.#done, this.#failed, this.#total, seconds);
    if (!this.#bar) return writeError(`${text}\n`);
    writeError(`\r\x1b[2K${this.#total === undefined ? "" : `${bar(this.#done / this.#total)} `}${text}`);
    this.#drawn = true;
  }
}

/** Such as `120 of 1000, 3 failed, 40.2/s, 22 s left`. */
export function describe(done: number, failed: number, total: number | undefined, seconds: number): string {
  const rate = done / seconds;
  return [
    total === undefined ? `${done} done` : `${done} of ${total}`,
    `${failed} failed`,
    `${rate < 100 ? rate.toFixed(1) : Math.round(rate)}/s`,
    ...(total === undefined || done === 0 ? [] : [`${timeOf((total - done) / rate)} left`]),
  ].join(", ");
}

function bar(share: number): string {
  const filled = Math.round(WIDTH * Math.min(1, share));
  return `[${"#".repeat(filled)}${"-".repeat(WIDTH - filled)}]`;
}

function timeOf(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.trunc(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.trunc(minutes / 60)} h ${minutes % 60} min`;
}
