import { QueueFullError } from "../errors.ts";
import type { InfoTask } from "../info_task.ts";
import type { MapOptions, PushOptions } from "../options.ts";
import type { MapOutcome, Outcome } from "../outcome.ts";
import { isThenable } from "../util/thenable.ts";

/** What `map` needs of a pool. */
export interface MapTarget {
  push(task: InfoTask, options: PushOptions): Promise<Outcome>;
  room(): Promise<void>;
  /** Whether others wait for room, or were just told that there is some. */
  contended(): boolean;
}

/** What is done for every input. */
export interface MapWork<I, V> {
  toTask(input: I): InfoTask;
  /** Makes what the loop is given; what it throws ends the loop. */
  give(outcome: Outcome, input: I, index: number): V;
}

/** Gives outcomes, whatever they are. */
export function giveOutcome<I>(outcome: Outcome, input: I, index: number): MapOutcome<unknown, I> {
  return { ...outcome, input, index };
}

/** Gives values; throws the error of the first outcome that is none. */
export function giveValue(outcome: Outcome): unknown {
  if (outcome.status !== "ok") throw outcome.error;
  return outcome.value;
}

/** The options of `map`, checked. */
export type CheckedMapOptions<I> = MapOptions<unknown, I> & { concurrency: number };

/** A task that was pushed and whose outcome the loop has not been given. */
interface Flight<I> {
  readonly input: I;
  readonly index: number;
  outcome: Outcome | undefined;
  done: Promise<void>;
}

/** A task that waits for room. */
interface Waiting<I> {
  readonly task: InfoTask;
  readonly input: I;
}

type Step<V> = IteratorResult<V, void>;

const DONE: IteratorReturnResult<void> = { done: true, value: undefined };

/**
 * Runs a task for every input and gives what becomes of them. See `MultiProcess.map` and `mapValues`.
 *
 * Whatever happens (an input came, a task is over, the queue has room, the signal aborted) advances it: as long as
 * somebody waits for a value, it pulls inputs while there may be more in flight, and gives what is due.
 *
 * Not an async generator: there, `return()` waits until the `next()` before it is answered, which may be as long as a
 * task's limit, or for ever. Here it cancels at once.
 */
export class Mapping<I, V> implements AsyncGenerator<V, void, undefined> {
  readonly #pool: MapTarget;
  readonly #work: MapWork<I, V>;
  readonly #options: CheckedMapOptions<I>;
  /** Aborts what is in flight. */
  readonly #controller = new AbortController();
  /** What every push is given. */
  readonly #pushOptions: PushOptions;
  /** Opens the source. It is, like everything else, begun with the first value that is asked for. */
  #open: (() => Iterator<I> | AsyncIterator<I>) | undefined;
  #source: Iterator<I> | AsyncIterator<I> | undefined;
  /** In flight, oldest first. Also those whose outcome nobody has asked for. */
  readonly #flights = new Set<Flight<I>>();
  /** Those whose outcome is there, in the order in which they came. */
  #ready: Flight<I>[] = [];
  /** Those who asked for a value that is not there. */
  #takers: PromiseWithResolvers<Step<V>>[] = [];
  #waiting: Waiting<I> | undefined;
  #index = 0;
  #pulling = false;
  /** The source has ended, or has thrown: it needs no closing. */
  #exhausted = false;
  /** Nothing more is pulled, pushed or given. */
  #over = false;
  /** Why, until somebody was told. */
  #failure: { reason: unknown } | undefined;
  #closed: Promise<void> | undefined;
  readonly #abort = () => this.#fail(this.#options.signal!.reason);

  constructor(
    pool: MapTarget,
    inputs: Iterable<I> | AsyncIterable<I>,
    work: MapWork<I, V>,
    options: CheckedMapOptions<I>,
  ) {
    this.#pool = pool;
    this.#work = work;
    this.#options = options;
    const { ordered: _ordered, concurrency: _concurrency, transfer: _transfer, label, ...others } = options;
    this.#pushOptions = {
      ...others,
      signal: this.#controller.signal,
      label: typeof label === "string" ? label : undefined,
    };
    this.#open = () => iteratorOf(inputs);
  }

  next(): Promise<Step<V>> {
    if (this.#over) return this.#last();
    const taker = Promise.withResolvers<Step<V>>();
    this.#takers.push(taker);
    if (this.#open !== undefined) this.#begin(this.#open);
    this.#advance();
    return taker.promise;
  }

  async return(): Promise<Step<V>> {
    this.#failure = undefined;
    this.#release(this.#takers.splice(0));
    await this.#close(undefined);
    return DONE;
  }

  async throw(error: unknown): Promise<Step<V>> {
    this.#failure = undefined;
    this.#release(this.#takers.splice(0));
    await this.#close({ reason: error });
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  get [Symbol.toStringTag](): string {
    return "Mapping";
  }

  #begin(open: () => Iterator<I> | AsyncIterator<I>): void {
    this.#open = undefined;
    const { signal } = this.#options;
    signal?.addEventListener("abort", this.#abort, { once: true });
    if (signal?.aborted) return this.#abort();
    try {
      this.#source = open();
    } catch (error) {
      this.#end(error);
    }
  }

  #advance(): void {
    while (this.#takers.length > 0 && !this.#over) {
      this.#fill();
      // Pulling may have ended it.
      if (this.#over) return;
      const flight = this.#due();
      if (flight !== undefined) this.#give(flight);
      else if (this.#exhausted && this.#flights.size === 0 && this.#waiting === undefined) this.#complete();
      else return;
    }
  }

  /** The task whose outcome is next. */
  #due(): Flight<I> | undefined {
    if (this.#options.ordered === false) return this.#ready.shift();
    const [first] = this.#flights;
    return first?.outcome === undefined ? undefined : first;
  }

  #give(flight: Flight<I>): void {
    this.#flights.delete(flight);
    try {
      const value = this.#work.give(flight.outcome!, flight.input, flight.index);
      this.#takers.shift()!.resolve({ done: false, value });
    } catch (error) {
      this.#fail(error);
    }
  }

  #fill(): void {
    while (
      !this.#exhausted && !this.#pulling && !this.#over && this.#waiting === undefined &&
      this.#flights.size < this.#options.concurrency
    ) this.#pull();
  }

  #pull(): void {
    this.#pulling = true;
    try {
      const step = this.#source!.next();
      if (isThenable(step)) return void this.#await(step);
      this.#pulling = false;
      this.#take(step);
    } catch (error) {
      this.#pulling = false;
      this.#end(error);
    }
  }

  async #await(step: PromiseLike<IteratorResult<I>>): Promise<void> {
    try {
      const taken = await step;
      this.#pulling = false;
      this.#take(taken);
    } catch (error) {
      this.#pulling = false;
      this.#end(error);
    }
    this.#advance();
  }

  /** What the source gave. */
  #take(step: IteratorResult<I>): void {
    if (typeof step !== "object" || step === null) throw new TypeError("Cannot map: next() gave no object");
    if (step.done) {
      this.#exhausted = true;
      return;
    }
    if (this.#over) return;
    try {
      const input = step.value;
      const task = this.#work.toTask(input);
      // Those who asked for room earlier come first.
      if (this.#pool.contended()) this.#wait({ task, input });
      else this.#push({ task, input });
    } catch (error) {
      this.#fail(error);
    }
  }

  #wait(waiting: Waiting<I>): void {
    this.#waiting = waiting;
    this.#pool.room().then(() => {
      if (this.#over) return;
      this.#waiting = undefined;
      this.#push(waiting);
      this.#advance();
    }, (error) => this.#fail(error));
  }

  #push(pushed: Waiting<I>): void {
    const { task, input } = pushed;
    const index = this.#index;
    try {
      const outcome = this.#pool.push(task, this.#optionsFor(input, index));
      this.#index++;
      const flight: Flight<I> = { input, index, outcome: undefined, done: Promise.resolve() };
      flight.done = outcome.then((outcome) => {
        flight.outcome = outcome;
        if (this.#options.ordered === false) this.#ready.push(flight);
        this.#advance();
      });
      this.#flights.add(flight);
    } catch (error) {
      if (error instanceof QueueFullError) this.#wait(pushed);
      else this.#fail(error);
    }
  }

  #optionsFor(input: I, index: number): PushOptions {
    const { transfer, label } = this.#options;
    if (transfer === undefined && typeof label !== "function") return this.#pushOptions;
    const options = { ...this.#pushOptions };
    if (transfer !== undefined) options.transfer = transfer(input);
    if (typeof label === "function") options.label = label(input, index);
    return options;
  }

  // The end

  /** The source has thrown. */
  #end(error: unknown): void {
    this.#exhausted = true;
    this.#fail(error);
  }

  /** All is done. */
  #complete(): void {
    void this.#close(undefined);
    this.#release(this.#takers.splice(0));
  }

  #fail(reason: unknown): void {
    if (this.#over) return;
    this.#failure = { reason };
    // At once: whoever takes the outcomes may be busy with something else for long.
    this.#close(this.#failure).catch(() => {});
    const [first, ...rest] = this.#takers.splice(0);
    if (first !== undefined) first.resolve(this.#last());
    this.#release(rest);
  }

  /** What is given when nothing more comes: the failure, once, when nothing is left of what was begun. */
  async #last(): Promise<Step<V>> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) return DONE;
    await this.#closed;
    throw failure.reason;
  }

  #release(takers: PromiseWithResolvers<Step<V>>[]): void {
    for (const taker of takers) taker.resolve(DONE);
  }

  /** Cancels what is in flight and tells the source, at once; resolves when nothing is left of either. */
  #close(failure: { reason: unknown } | undefined): Promise<void> {
    return this.#closed ??= this.#leave(failure);
  }

  async #leave(failure: { reason: unknown } | undefined): Promise<void> {
    this.#over = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    if (this.#flights.size > 0) this.#controller.abort(failure?.reason);
    const source = this.#closeSource(failure !== undefined);
    const [closed] = await Promise.allSettled([source, ...[...this.#flights].map(({ done }) => done)]);
    if (closed.status === "rejected") throw closed.reason;
  }

  /** Closes the source, as `for … of` does: what this throws counts only if nothing else was thrown. */
  async #closeSource(failed: boolean): Promise<void> {
    if (this.#exhausted || this.#source === undefined) return;
    this.#exhausted = true;
    // A source that hangs must not hold the loop: it is told, but not waited for.
    const pulling = this.#pulling;
    try {
      const returned = this.#source.return?.();
      if (!pulling) await returned;
      else if (isThenable(returned)) returned.then(undefined, () => {});
    } catch (error) {
      if (!failed && !pulling) throw error;
    }
  }
}

/** The iterator of any iterable, a string too. */
function iteratorOf<I>(inputs: Iterable<I> | AsyncIterable<I>): Iterator<I> | AsyncIterator<I> {
  return Symbol.asyncIterator in Object(inputs)
    ? (inputs as AsyncIterable<I>)[Symbol.asyncIterator]()
    : (inputs as Iterable<I>)[Symbol.iterator]();
}
