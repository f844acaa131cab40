import { now } from "../wire/now.ts";
import type { FromWorker } from "../wire/protocol.ts";

// Taken when this is loaded: a task may patch them.
const setTimer = setTimeout;
const clearTimer = clearTimeout;
const apply = Reflect.apply;
const slice = String.prototype.slice;

/** In this many milliseconds so many pieces are told as they are printed; the rest is gathered. */
const BURST_MS = 10;
const BURST = 16;
/** How much of what is gathered is kept: the end of it, in UTF-16 code units. */
const MAX_GATHERED = 1 << 16;

/** Where something is printed. */
export type Stream = "stdout" | "stderr";

/**
 * What a task prints, on its way to the dispatcher. It is told at once, since the task may hang, or end its worker,
 * with the next line; only in a flood it is gathered for a moment.
 */
export class TaskOutput {
  readonly #post: (message: FromWorker) => void;
  /** The number of the task that prints. */
  #seq: number | undefined;
  #printed = false;
  #burstAt = 0;
  #told = 0;
  #gathered = "";
  #stream: Stream = "stdout";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  /** What is printed from now on is the task's. */
  begin(seq: number): void {
    this.#seq = seq;
  }

  /** The task is over. True if it has printed something: its result must not overtake that. */
  end(): boolean {
    const printed = this.#printed;
    if (printed) this.#flush();
    this.#seq = undefined;
    this.#printed = false;
    return printed;
  }

  /** Something was printed. False if no task runs. */
  print(stream: Stream, text: string): boolean {
    if (this.#seq === undefined) return false;
    if (text === "") return true;
    this.#printed = true;
    const at = now();
    if (at - this.#burstAt >= BURST_MS) {
      this.#flush();
      this.#burstAt = at;
      this.#told = 0;
    }
    if (this.#told < BURST) {
      this.#told++;
      this.#tell(stream, text);
      return true;
    }
    if (stream !== this.#stream) this.#flush();
    this.#stream = stream;
    this.#gathered = apply(slice, this.#gathered + text, [-MAX_GATHERED]) as string;
    this.#timer ??= setTimer(() => this.#flush(), BURST_MS);
    return true;
  }

  #flush(): void {
    if (this.#timer !== undefined) clearTimer(this.#timer);
    this.#timer = undefined;
    if (this.#gathered === "") return;
    const text = this.#gathered;
    this.#gathered = "";
    this.#tell(this.#stream, text);
  }

  #tell(stream: Stream, text: string): void {
    if (this.#seq === undefined) return;
    this.#post({
      type: "output",
      seq: this.#seq,
      stream,
      text: apply(slice, text, [-MAX_GATHERED]) as string,
    });
  }
}
