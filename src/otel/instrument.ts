import {
  type BatchObservableCallback,
  context,
  type Link,
  metrics,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { InfoTask, Outcome, TaskPool } from "../../mod.ts";
import { isInline, shortSpecifier } from "../util/specifier.ts";

const SCOPE = "@cm/multiprocess";

/** The bounds of the histograms in seconds, as the semantic conventions advise for durations, and shorter ones. */
const SECONDS = [
  0.0001,
  0.001,
  0.005,
  0.01,
  0.025,
  0.05,
  0.075,
  0.1,
  0.25,
  0.5,
  0.75,
  1,
  2.5,
  5,
  7.5,
  10,
  30,
  60,
];

/** Options for {@linkcode instrument}. */
export interface InstrumentOptions {
  /** The value of the attribute `multiprocess.pool.name`, to tell pools apart. Default `"multiprocess"`. */
  name?: string | undefined;
}

/**
 * Has a pool tell OpenTelemetry of its tasks: a span from the push to the outcome, linked to the span in which the task
 * was pushed, with the last run as its child; and metrics.
 *
 * | metric | kind | unit | attributes |
 * |---|---|---|---|
 * | `multiprocess.task.duration` | histogram, of the last run | s | `multiprocess.task.status`, `error.type` |
 * | `multiprocess.task.wait.duration` | histogram, from the push to that run | s | `multiprocess.task.status` |
 * | `multiprocess.task.active` | up-down counter | {task} | `multiprocess.task.state`: `queued`, `running` |
 * | `multiprocess.worker.count` | up-down counter | {worker} | `multiprocess.worker.state`: `starting`, `idle`, `busy`, `stopping`, `zombie` |
 * | `multiprocess.worker.killed` | counter | {worker} | |
 *
 * It costs about as much as two spans a task. Where no SDK is registered, all of it does nothing: on Deno run with
 * `OTEL_DENO=true`.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess } from "@cm/multiprocess";
 * import { instrument } from "@cm/multiprocess/otel";
 * import { assertEquals } from "@std/assert";
 *
 * await using mp = instrument(new MultiProcess(2), { name: "thumbnails" });
 * mp.start();
 * assertEquals(await mp.run(new InfoTask("data:text/javascript,export default (n) => 2 * n", 1_000, 21)), 42);
 * ```
 *
 * @param pool A pool, on this machine or on many. Its methods are replaced by ones that tell.
 * @param options The name of the pool.
 * @returns The pool.
 */
export function instrument<P extends TaskPool>(pool: P, options: InstrumentOptions = {}): P {
  const name = options.name ?? "multiprocess";
  const teller = new Teller(name);
  const push = pool.push.bind(pool) as (task: InfoTask, options?: unknown) => Promise<Outcome>;
  const map = pool.map.bind(pool) as TaskPool["map"];

  const told = (task: InfoTask, options?: unknown): Promise<Outcome> => {
    const pushed = teller.pushed();
    const outcome = push(task, options);
    void outcome.then((outcome) => teller.settled(pushed, outcome));
    return outcome;
  };
  const unobserve = teller.observe(pool);
  // A `MultiProcess` takes options.
  const stop = pool.stop.bind(pool) as (...options: unknown[]) => ReturnType<TaskPool["stop"]>;
  const terminate = pool.terminate.bind(pool);
  const mapped: TaskPool["map"] = (inputs, toTask, options) => {
    const pushes = new WeakMap<InfoTask, Pushed>();
    const outcomes = map(inputs, (input) => {
      const task = toTask(input);
      pushes.set(task, teller.pushed());
      return task;
    }, options);
    return listen(
      outcomes,
      (outcome) => teller.settled(pushes.get(outcome.task)!, outcome),
    ) as typeof outcomes;
  };
  // `bind` needs none: its functions call these.
  const replacements: Pick<TaskPool, "push" | "run" | "map" | "mapValues" | "stop" | "terminate"> = {
    push: told as TaskPool["push"],
    run: (async (task: InfoTask, options?: unknown) => {
      const outcome = await told(task, options);
      if (outcome.status === "ok") return outcome.value;
      throw outcome.error;
    }) as TaskPool["run"],
    map: mapped,
    mapValues: (inputs, toTask, options) => new Values(mapped(inputs, toTask, options)),
    stop: (...options: unknown[]) => stop(...options).finally(unobserve),
    terminate: (reason) => terminate(reason).finally(unobserve),
  };
  return Object.assign(pool, replacements);
}

/** What is known of a task when it is pushed. */
interface Pushed {
  readonly at: number;
  readonly link: Link | undefined;
}

/** Tells OpenTelemetry. */
class Teller {
  readonly #pool: Record<string, string>;
  readonly #tracer = trace.getTracer(SCOPE);
  readonly #meter = metrics.getMeter(SCOPE);
  readonly #ran;
  readonly #waited;

  constructor(name: string) {
    this.#pool = { "multiprocess.pool.name": name };
    const advice = { explicitBucketBoundaries: SECONDS };
    this.#ran = this.#meter.createHistogram("multiprocess.task.duration", {
      unit: "s",
      description: "How long the last run of a task took.",
      advice,
    });
    this.#waited = this.#meter.createHistogram("multiprocess.task.wait.duration", {
      unit: "s",
      description: "How long a task waited from its push to its last run, or to its end if it never ran.",
      advice,
    });
  }

  pushed(): Pushed {
    const span = trace.getSpanContext(context.active());
    return { at: Date.now(), link: span === undefined ? undefined : { context: span } };
  }

  settled({ at, link }: Pushed, outcome: Outcome): void {
    const { status, taskId, workerId, attempts, waitedMs, ranMs } = outcome;
    const attributes = {
      ...this.#pool,
      "multiprocess.task.status": status,
      ...(status !== "ok" && { "error.type": typeOf(outcome) }),
    };
    this.#waited.record(waitedMs / 1_000, { ...this.#pool, "multiprocess.task.status": status });
    if (attempts > 0) this.#ran.record(ranMs / 1_000, attributes);

    const name = nameOf(outcome.task);
    const facts = { ...attributes, "multiprocess.task.id": taskId, "multiprocess.task.attempts": attempts };
    // With times of its own, when all is known: nothing is kept for tasks that wait.
    const startedAt = at + waitedMs;
    const endedAt = startedAt + ranMs;
    const links = link === undefined ? [] : [link];
    const whole = this.#tracer.startSpan(
      `push ${name}`,
      { kind: SpanKind.PRODUCER, startTime: at, attributes: facts, links, root: true },
      ROOT_CONTEXT,
    );
    if (attempts > 0) {
      const run = this.#tracer.startSpan(`run ${name}`, {
        kind: SpanKind.CONSUMER,
        startTime: startedAt,
        attributes: { ...facts, ...(workerId !== undefined && { "multiprocess.worker.id": workerId }) },
      }, trace.setSpan(ROOT_CONTEXT, whole));
      mark(run, outcome);
      run.end(endedAt);
    }
    mark(whole, outcome);
    whole.end(endedAt);
  }

  /** Tells how much there is of what changes, whenever that is asked for. Returns what ends it. */
  observe(pool: TaskPool): () => void {
    const tasks = this.#meter.createObservableUpDownCounter("multiprocess.task.active", {
      unit: "{task}",
      description: "Tasks that have been pushed and have no outcome.",
    });
    const workers = this.#meter.createObservableUpDownCounter("multiprocess.worker.count", {
      unit: "{worker}",
      description: "Workers by what they do.",
    });
    const killed = this.#meter.createObservableCounter("multiprocess.worker.killed", {
      unit: "{worker}",
      description: "Workers that were stopped, because their task had passed its limit or was cancelled.",
    });
    const instruments = [tasks, workers, killed];
    const tell: BatchObservableCallback = async (result) => {
      const stats = await pool.stats();
      for (const state of ["queued", "running"] as const) {
        result.observe(tasks, stats[state], { ...this.#pool, "multiprocess.task.state": state });
      }
      for (const [state, count] of [...Object.entries(stats.workers), ["zombie", stats.zombies] as const]) {
        result.observe(workers, count, { ...this.#pool, "multiprocess.worker.state": state });
      }
      result.observe(killed, stats.killed, this.#pool);
    };
    this.#meter.addBatchObservableCallback(tell, instruments);
    return () => this.#meter.removeBatchObservableCallback(tell, instruments);
  }
}

/** The same outcomes; each is told as it comes. */
function listen<T extends Outcome>(
  outcomes: AsyncGenerator<T, void, undefined>,
  settled: (outcome: T) => void,
): AsyncGenerator<T, void, undefined> {
  const next = outcomes.next.bind(outcomes);
  outcomes.next = async () => {
    const step = await next();
    if (!step.done) settled(step.value);
    return step;
  };
  return outcomes;
}

/** The values of outcomes, of which the first that is not `ok` ends it. */
class Values<R> implements AsyncGenerator<R, void, undefined> {
  readonly #outcomes: AsyncGenerator<Outcome<R>, void, undefined>;

  constructor(outcomes: AsyncGenerator<Outcome<R>, void, undefined>) {
    this.#outcomes = outcomes;
  }

  async next(): Promise<IteratorResult<R, void>> {
    const step = await this.#outcomes.next();
    if (step.done) return step;
    if (step.value.status === "ok") return { done: false, value: step.value.value };
    await this.#outcomes.return();
    throw step.value.error;
  }

  async return(): Promise<IteratorResult<R, void>> {
    await this.#outcomes.return();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<R, void>> {
    await this.#outcomes.return();
    throw error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#outcomes.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function mark(span: Span, outcome: Outcome): void {
  if (outcome.status === "ok") return;
  const { error } = outcome;
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  span.recordException(error);
}

/** `error.type` of the semantic conventions: the class of the error, of which there are few. */
function typeOf(outcome: Outcome): string {
  return outcome.status === "ok" ? "" : outcome.error.name;
}

/** The end of the specifier, or the function's name: of few values, as names of spans should be. */
function nameOf({ specifier }: InfoTask): string {
  return specifier.startsWith("data:") && !isInline(specifier) ? "data:" : shortSpecifier(specifier);
}
