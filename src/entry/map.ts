import { QueueFullError } from "../errors.ts";
import type { InfoTask } from "../info_task.ts";
import type { Outcome } from "../outcome.ts";
import type { MapOptions, PushOptions } from "../options.ts";
import { isThenable } from "../util/thenable.ts";

/** What `map` needs of a pool. */
export interface MapTarget {
  push(task: InfoTask, options: PushOptions): Promise<Outcome>;
  room(): Promise<void>;
  /** Whether others wait for room, or were just told that there is some. */
  contended(): boolean;
}

type Iterators<I> = Iterator<I> | AsyncIterator<I>;

/**
 * Runs a task for every input and yields the outcomes. See `MultiProcess.map`.
 *
 * One loop, woken by whatever happens (an input came, a task is over, the queue has room, the signal aborted): it
 * pulls inputs while there may be more in flight, and yields what is due.
 */
export async function* mapOutcomes<I>(
  pool: MapTarget,
  inputs: Iterable<I> | AsyncIterable<I>,
  toTask: (input: I) => InfoTask,
  { ordered = true, concurrency, signal, ...options }: MapOptions & { concurrency: number },
): AsyncGenerator<Outcome, void, undefined> {
  const source = iteratorOf(inputs);
  const controller = new AbortController();
  /** In flight, oldest first; an outcome stays until it is yielded. */
  const flights: { outcome?: Outcome; done: Promise<void> }[] = [];
  let failure: { reason: unknown } | undefined;
  /** Nothing more is pulled and pushed. */
  let over = false;
  /** The source has ended, or has thrown: it needs no closing. */
  let exhausted = false;
  let pulling = false;
  let waiting: InfoTask | undefined;
  let woken = Promise.withResolvers<void>();
  const wake = () => woken.resolve();
  const fail = (reason: unknown) => {
    failure ??= { reason };
    over = true;
    // At once: who takes the outcomes may be at something else for long.
    controller.abort(failure.reason);
    wake();
  };
  const abort = () => fail(signal!.reason);

  const wait = (task: InfoTask) => {
    waiting = task;
    pool.room().then(() => {
      if (over) return;
      waiting = undefined;
      push(task);
      wake();
    }, fail);
  };

  const push = (task: InfoTask) => {
    try {
      const outcome = pool.push(task, { ...options, signal: controller.signal });
      const flight: typeof flights[number] = {
        done: outcome.then((outcome) => {
          flight.outcome = outcome;
          wake();
        }),
      };
      flights.push(flight);
    } catch (error) {
      if (!(error instanceof QueueFullError)) return fail(error);
      wait(task);
    }
  };

  const take = (step: IteratorResult<I>) => {
    if (typeof step !== "object" || step === null) throw new TypeError("Cannot map: next() gave no object");
    if (step.done) {
      exhausted = true;
      return;
    }
    if (over) return;
    try {
      const task = toTask(step.value);
      // Not before those who asked for room before.
      if (pool.contended()) wait(task);
      else push(task);
    } catch (error) {
      fail(error);
    }
  };

  /** What next() throws. */
  const end = (error: unknown) => {
    exhausted = true;
    fail(error);
  };

  const fill = () => {
    while (!exhausted && !pulling && !over && waiting === undefined && flights.length < concurrency) {
      try {
        const step = source.next();
        if (!isThenable(step)) {
          take(step);
          continue;
        }
        pulling = true;
        Promise.resolve(step).then(take).catch(end).finally(() => {
          pulling = false;
          wake();
        });
      } catch (error) {
        end(error);
      }
    }
  };

  /** As `for … of` does: what it throws counts only where nothing else was thrown. */
  const close = async () => {
    if (exhausted) return;
    try {
      const returned = source.return?.();
      // Not awaited while it is being pulled: a source that hangs must not hold the loop.
      if (!pulling) await returned;
      else if (isThenable(returned)) returned.then(undefined, () => {});
    } catch (error) {
      if (failure === undefined) throw error;
    }
  };

  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  try {
    for (;;) {
      fill();
      if (failure !== undefined) throw failure.reason;
      const due = ordered
        ? (flights[0]?.outcome ? 0 : -1)
        : flights.findIndex(({ outcome }) => outcome !== undefined);
      if (due >= 0) {
        yield flights.splice(due, 1)[0]!.outcome!;
        continue;
      }
      if (exhausted && flights.length === 0 && waiting === undefined) return;
      await woken.promise;
      woken = Promise.withResolvers();
    }
  } finally {
    over = true;
    signal?.removeEventListener("abort", abort);
    controller.abort(failure?.reason);
    await Promise.all(flights.map(({ done }) => done));
    await close();
  }
}

/** Also of a string. */
function iteratorOf<I>(inputs: Iterable<I> | AsyncIterable<I>): Iterators<I> {
  return Symbol.asyncIterator in Object(inputs)
    ? (inputs as AsyncIterable<I>)[Symbol.asyncIterator]()
    : (inputs as Iterable<I>)[Symbol.iterator]();
}
