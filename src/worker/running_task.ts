/**
 * A task while it runs: what it sees of itself, and what it tells before its end.
 *
 * @module
 */
import type { TaskContext } from "../context.ts";
import { innerErrors } from "../wire/inner_errors.ts";
import type { Isolation } from "../wire/lossy.ts";
import { now } from "../wire/now.ts";
import type { FromWorker, InnerErrors } from "../wire/protocol.ts";
import { Snapshot } from "./snapshot.ts";

// Taken when this is loaded: a task may patch them.
const apply = Reflect.apply;
const AbortControllerClass = AbortController;
const PromiseClass = Promise;
const DOMExceptionClass = DOMException;
const setTimer = setTimeout;
const clearTimer = clearTimeout;
const abort = AbortController.prototype.abort;
const signalOf = Object.getOwnPropertyDescriptor(AbortController.prototype, "signal")!.get!;

/** In this many milliseconds so many values of progress are told at once; those in between give way to the last. */
const PROGRESS_MS = 10;
const PROGRESS_BURST = 4;
/** How many yielded values may be on their way to the entry before a generator has to wait. */
const YIELDED_AHEAD = 16;

/** Which run of which task. */
export interface RunId {
  /** The task's number on its worker. */
  seq: number;
  id: number;
  attempt: number;
  slot: number;
}

interface Teller {
  readonly isolation: Isolation;
  post(message: FromWorker): void;
}

/** What a task knows of itself. */
export class RunningTask implements TaskContext {
  readonly #run: RunId;
  readonly #seat: Teller;
  #controller: AbortController | undefined;
  #aborted = false;
  /** Its result must not overtake what was told before: it is told the same way. */
  #progressed = false;
  /** Since when so many were told. */
  #burstAt = 0;
  #told = 0;
  /** The last value of a flood, which is yet to be told. */
  #held: { snapshot: Snapshot; inner: InnerErrors | undefined } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unanswered = 0;
  #goOn: (() => void) | undefined;
  #refused: Error | undefined;
  #ended = false;
  /** It has its outcome already. */
  #over = false;

  constructor(run: RunId, seat: Teller) {
    this.#run = run;
    this.#seat = seat;
  }

  get progressed(): boolean {
    return this.#progressed;
  }

  get over(): boolean {
    return this.#over;
  }

  /** What `console.log(this)` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](
    _depth: number,
    options: unknown,
    inspect: (value: unknown, options: unknown) => string,
  ): string {
    const { taskId, attempt, slot } = this;
    return `TaskContext ${inspect({ taskId, attempt, slot }, options)}`;
  }

  get seq(): number {
    return this.#run.seq;
  }

  get taskId(): number {
    return this.#run.id;
  }

  get attempt(): number {
    return this.#run.attempt;
  }

  get slot(): number {
    return this.#run.slot;
  }

  /** Made when it is first asked for: most tasks do not, and making one costs more than a small task. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortControllerClass();
    if (this.#aborted) apply(abort, this.#controller, []);
    return apply(signalOf, this.#controller, []);
  }

  progress(value: unknown): void {
    // Now, not when it is told: the task is to hear of it.
    const inner = innerErrors(value, "progress", this.#seat.isolation);
    this.#progressed = true;
    const at = now();
    if (at - this.#burstAt >= PROGRESS_MS) {
      this.#burstAt = at;
      this.#told = 0;
    }
    if (this.#told < PROGRESS_BURST) {
      this.#told++;
      this.#held = undefined;
      this.#post(value, inner, false);
      return;
    }
    // In a flood only the last of a moment is told: as it is now, since the task may go on with it.
    this.#held = { snapshot: new Snapshot(value), inner };
    this.#timer ??= setTimer(() => {
      this.#timer = undefined;
      this.flush();
    }, PROGRESS_MS);
  }

  /** Tells the last progress, before the task is over. */
  flush(): void {
    if (this.#held === undefined) return;
    const { snapshot, inner } = this.#held;
    this.#held = undefined;
    this.#burstAt = now();
    this.#told = 1;
    this.#post(snapshot.value, inner, false);
  }

  /** A value that a generator yielded. Resolves when it may go on. */
  async yielded(value: unknown): Promise<void> {
    const inner = innerErrors(value, "the value yielded", this.#seat.isolation);
    this.#progressed = true;
    this.#post(value, inner, true);
    if (++this.#unanswered < YIELDED_AHEAD || this.#over) return;
    await new PromiseClass<void>((resolve) => this.#goOn = resolve);
    if (this.#refused !== undefined) throw this.#refused;
  }

  /** The entry took a yielded value. */
  resume(): void {
    this.#unanswered--;
    this.#goOn?.();
    this.#goOn = undefined;
  }

  /** Something that it told could not be sent, which shows too late to throw it there: it is thrown at the next. */
  refuse(message: string): void {
    this.#refused = new DOMExceptionClass(message, "DataCloneError");
    this.#goOn?.();
    this.#goOn = undefined;
  }

  /** The task is over: nothing more is told. */
  end(): void {
    this.flush();
    if (this.#timer !== undefined) clearTimer(this.#timer);
    this.#timer = undefined;
    this.#ended = true;
  }

  #post(value: unknown, inner: InnerErrors | undefined, pull: boolean): void {
    if (this.#ended) return;
    if (this.#refused !== undefined) throw this.#refused;
    this.#seat.post({ type: "progress", seq: this.#run.seq, value, inner, pull });
  }

  /** @param over It has its outcome: nothing more is told of it, and a generator does not go on. */
  abort(over: boolean): void {
    this.#aborted = true;
    if (over) {
      this.#over = this.#ended = true;
      this.#held = undefined;
      this.#goOn?.();
      this.#goOn = undefined;
    }
    if (this.#controller !== undefined) apply(abort, this.#controller, []);
  }
}

type AnyGenerator = Generator<unknown, unknown> | AsyncGenerator<unknown, unknown>;

export function isGenerator(value: unknown): value is AnyGenerator {
  if (typeof value !== "object" || value === null) return false;
  const tag = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  return (tag === "Generator" || tag === "AsyncGenerator") &&
    typeof (value as AnyGenerator).next === "function";
}

/** Every value yielded is progress, the one returned is the result. */
export async function drive(generator: AnyGenerator, task: RunningTask): Promise<unknown> {
  for (;;) {
    const step = await generator.next();
    if (step.done) return step.value;
    await task.yielded(step.value);
    if (task.over) return await generator.return(undefined);
  }
}
