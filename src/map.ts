import { QueueFullError } from "./errors.ts";
import type { InfoTask } from "./info_task.ts";
import type { Outcome } from "./outcome.ts";
import type { MapOptions, PushOptions } from "./options.ts";

/** What `map` needs of a pool. */
export interface MapTarget {
  push(task: InfoTask, options: PushOptions): Promise<Outcome>;
  room(): Promise<void>;
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
  const source: Iterators<I> = Symbol.asyncIterator in inputs
    ? inputs[Symbol.asyncIterator]()
    : inputs[Symbol.iterator]();
  const controller = new AbortController();
  /** In flight, oldest first; an outcome stays until it is yielded. */
  const flights: { outcome?: Outcome; done: Promise<void> }[] = [];
  let failure: { reason: unknown } | undefined;
  let exhausted = false;
  let pulling = false;
  let waiting: InfoTask | undefined;
  let woken = Promise.withResolvers<void>();
  const wake = () => woken.resolve();
  const fail = (reason: unknown) => {
    failure ??= { reason };
    wake();
  };
  const abort = () => fail(signal!.reason);

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
      waiting = task;
      pool.room().then(() => {
        waiting = undefined;
        push(task);
        wake();
      }, fail);
    }
  };

  const take = (step: IteratorResult<I>) => {
    if (step.done) {
      exhausted = true;
      return;
    }
    try {
      push(toTask(step.value));
    } catch (error) {
      fail(error);
    }
  };

  const fill = () => {
    while (!exhausted && !pulling && !failure && waiting === undefined && flights.length < concurrency) {
      try {
        const step = source.next();
        if (!(step instanceof Promise)) {
          take(step as IteratorResult<I>);
          continue;
        }
        pulling = true;
        step.then(take).catch(fail).finally(() => {
          pulling = false;
          wake();
        });
      } catch (error) {
        fail(error);
      }
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
    signal?.removeEventListener("abort", abort);
    controller.abort(failure?.reason);
    await Promise.all(flights.map(({ done }) => done));
    // Not awaited while it is being pulled: a source that hangs must not hold the loop.
    if (!exhausted) {
      const returned = Promise.resolve(source.return?.()).catch(() => {});
      if (!pulling) await returned;
    }
  }
}
