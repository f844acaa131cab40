import type { InfoTask } from "./info_task.ts";
import type { Outcome } from "./outcome.ts";
import type { Permissions } from "./permissions.ts";

/**
 * How a task that did not return is run again: the names and the back-off of `RetryOptions` of `@std/async`, and the
 * statuses after which it is tried again. Waiting for the next attempt holds no worker.
 */
export interface RetryOptions {
  /** How often the task is run at most, the first run included. Default 5. */
  maxAttempts?: number | undefined;
  /** Milliseconds before the second attempt. Default 1 000. */
  minTimeout?: number | undefined;
  /** Milliseconds between two attempts at most. Default 60 000. */
  maxTimeout?: number | undefined;
  /** The factor by which the wait grows with each attempt. Default 2. */
  multiplier?: number | undefined;
  /** The share of each wait that is left to chance, from 0 to 1. Default 1. */
  jitter?: number | undefined;
  /** The statuses after which the task is tried again. Default `["failed", "crashed"]`. */
  on?: readonly ("failed" | "crashed" | "timed-out")[] | undefined;
}

/**
 * The module that prepares workers, and what its `initialize()` is given: a value that can be cloned, as it is when the
 * pool is created.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess } from "@cm/multiprocess";
 * import { assertEquals } from "@std/assert";
 *
 * // Opens its database once for each worker, say.
 * const module = "data:text/javascript,export const initialize = (data) => globalThis.database = data.url";
 * await using mp = new MultiProcess({ size: 1, initializer: { module, data: { url: "db://main" } } });
 * await mp.start();
 *
 * const task = "data:text/javascript,export const runnable = () => globalThis.database";
 * assertEquals(await mp.run(new InfoTask(task, 5_000)), "db://main");
 * ```
 */
export interface Initializer {
  /** The module, as a task's is given. */
  module: string | URL;
  /** What its `initialize` is called with. */
  data?: unknown;
}

/** What a pool is made of. Every option has a default. */
export interface MultiProcessOptions {
  /** How many tasks run at once. Default: the number of cores. */
  size?: number | undefined;
  /** How many workers are kept when there is little to do. Default: `size`. */
  minSize?: number | undefined;
  /** Milliseconds until an idle worker beyond `minSize` is ended. Default 10 000. */
  idleTimeout?: number | undefined;
  /**
   * Warm workers beyond `size`, each ready to take over at once when a worker is stopped. `"auto"`, the default: one,
   * and while tasks hang as many as are stopped within the time that a start takes, up to `maxSpares`; ten seconds after
   * the last of them one again. A thread takes about 7 MiB of memory, a process 45.
   */
  spares?: number | "auto" | undefined;
  /**
   * How many spares there are at most with `spares: "auto"`. Default: for threads eight a core, but no more than 32; for
   * processes two a core, but no more than 8.
   */
  maxSpares?: number | undefined;
  /**
   * What a worker is. `"thread"`: fast, shares memory. `"process"`: slower, can always be killed, contains native
   * crashes and exhausted memory, and can be given fewer permissions; needs `--allow-run`. `"auto"`, the default:
   * threads where the runtime can stop them (Deno 2.9.4 and later), else processes where they may be started.
   * `"cell"`: threads in one child process, which another takes over from: see below.
   *
   * Not every thread can be stopped. Where processes may be started (`--allow-run`, `--allow-env`), `"auto"` learns: a
   * module of which a thread could not be stopped, or that took its process along, runs in processes from then on. It
   * says so on stderr and in `Stats.inProcesses`.
   *
   * What is the whole program's, a task in a thread cannot change: `Deno.chdir()`, `Deno.umask(mask)` and
   * `Deno.addSignalListener()` throw `Deno.errors.NotSupported`, and listeners of `process.on("SIGTERM")` hear nothing. Its
   * environment is the program's own. In a process all of these are the worker's own. In both, stdin is at its end.
   *
   * A task sees the same names, arguments, environment and flags in both; for flags in processes the program needs Linux,
   * and `--allow-all` or `--allow-run`. Where the program prints into a pipe, what tasks in processes print passes
   * through the pool, in whole lines, and may come a moment after their outcome; `stop()` waits for it.
   *
   * A **cell** is a child process that holds all workers of the pool, as threads. Nothing that a task does harms the
   * program: a thread that cannot be stopped, and a crash of the runtime, cost the cell and not the program, and the
   * next cell takes over. Tasks are `crashed` that ran in a cell that crashed, or had just run there and their outcomes
   * not left it yet; quick tasks (12 µs) also that were next, at most 7 for each worker. All others are run in the next
   * cell, and none is run twice. In a cell with a thread that does not end, the tasks beside it run on, while the next
   * has taken over: until they have ended, more than `size` tasks may run, and a `slot` be taken twice; then its
   * workers are disposed of. From the first such event on, and for a minute after the last, a spare cell is kept. Where
   * other programs take all cores, Linux gives a cell the lot of one program, tasks that spin included: outcomes have
   * been seen 0.3 s late then, when threads had none.
   *
   * A module of which several tasks in a row ended their cells is held: one at a time is tried, in a cell in which nothing
   * else runs, until one returns. As with workers, `maxRestarts` counts cells, and a module of which many different
   * tasks did and none ever returned is given up, for a second at a time.
   *
   * A cell that cannot be started, for want of memory, say, is tried again after a pause, of up to 5 s, while tasks
   * wait; what waits when none could be started for a minute is `crashed`, and the pool tries on. One that never had a
   * cell ends after three. The standard input of a cell is where a cell writes down what was begun: a task that closes
   * it costs its worker, which is replaced; one that writes there, or cuts it off, can have tasks run twice, or taken
   * for begun, when their cell dies.
   *
   * A cell is about as quick as threads, where values are small: they are copied, also those in `transfer`. What a process
   * can have, a cell can: `permissions`, `cwd`, `v8Flags`, and a `memoryLimit`, where each thread has that much heap and
   * all together that much for each of them. Needs Deno 2.9.4 or later, not on Windows, and `--allow-run`, `--allow-env`, `--allow-read`,
   * `--allow-write` and `--allow-net`: for a socket and a file, both without a name once the cell is there.
   */
  isolation?: "auto" | "thread" | "process" | "cell" | undefined;
  /**
   * Whether `start()` starts one worker on its own thread, which runs the first tasks until the pool has others. From
   * Deno 2.9.1 on a worker that is started by another thread than the main one sleeps for half a second (seen up to
   * 2.9.6), and all others are, so that no task needs the main thread to be watched, stopped or replaced.
   *
   * With it the first outcome is there after some 60 ms instead of 600. The price: `start()` keeps its thread for some
   * 30 ms more; and a task that begins in that first half second, hangs, and whose thread of `start()` is blocked when
   * its limit passes, is `timed-out` on time and its place is taken, but its worker uses a core until that thread's
   * next turn. Where that cannot be had: `false`.
   *
   * On Node and Bun nothing sleeps; there the first task waits for one thread's start instead of two.
   *
   * It has no effect with processes, with an `initializer` (which would run once more), when the pool is started from a
   * worker, and on Deno where workers do not sleep. It counts as none of the pool's workers. Default `true`.
   */
  bridge?: boolean | undefined;
  /** How many tasks may wait, beyond those that run, before `push` throws. Default `Infinity`. */
  maxQueue?: number | undefined;
  /** Runs after which a worker is replaced, between two tasks. Default `Infinity`. */
  maxTasksPerWorker?: number | undefined;
  /**
   * MiB of memory from which on a worker is replaced by a new one, between two tasks and without a gap: for what leaks.
   * Looked at after a task, a few times a second at most. A thread counts its heap and buffers, a process all its memory;
   * garbage that is not collected yet counts too. Default: no bound. See also `memoryLimit`, which ends a task.
   */
  maxMemoryBeforeRecycle?: number | undefined;
  /** How tasks that did not return are tried again, unless the push says otherwise. Default: they are not. */
  retry?: RetryOptions | undefined;
  /**
   * A module that every worker imports before its first task. Its `initialize()` and, when a worker ends cleanly, its
   * `dispose()` are called and awaited, where it exports them. If it throws, the pool cannot start. What it changes of
   * the globals is meant for all tasks; a task module that does so while it is loaded has workers of its own.
   */
  initializer?: string | URL | Initializer | undefined;
  /**
   * The environment variables of tasks: `"inherit"`, those of the program; `"none"`; the names of some of them, as they
   * are when the pool is created; or an object of all there are to be. Default `"inherit"`.
   *
   * In a thread it is what `Deno.env` and `process.env` tell, and changing it changes nothing for others; code can still
   * find a way to those of the program, for one by starting a process. In a process there are no others.
   */
  env?: "inherit" | "none" | readonly string[] | Readonly<Record<string, string>> | undefined;
  /** `Deno.args` and `process.argv.slice(2)` of tasks. Default: `Deno.args` of the program, and nothing. */
  argv?: readonly string[] | undefined;
  /**
   * What becomes of what tasks print by `console`, `Deno.stdout`, `process.stdout` and their like for errors.
   * `"inherit"`, the default: it goes where the program prints. `"capture"`: it is told with the outcome, and as `output`
   * of `events()`. `"ignore"`: nothing. What a task's module prints while it is loaded is that of the task which had it
   * loaded; what native code and processes that tasks start print is not captured, and ignored in processes only.
   *
   * @example Usage
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * await using mp = new MultiProcess({ size: 1, output: "capture" });
   * mp.start();
   * const task = "data:text/javascript,export const runnable = () => { console.log('step', 1); while (true); }";
   * const outcome = await mp.push(new InfoTask(task, 200));
   * assertEquals([outcome.status, outcome.output], ["timed-out", "step 1\n"]);
   * ```
   */
  output?: "inherit" | "capture" | "ignore" | undefined;
  /** The working directory of tasks. Needs processes. Default: that of the program. */
  cwd?: string | URL | undefined;
  /**
   * Flags for V8, such as `["--expose-gc", "--stack-size=2000"]`, beside those that the program was started with. Needs
   * processes.
   */
  v8Flags?: readonly string[] | undefined;
  /**
   * Milliseconds that loading a task's module may take. Running the `initializer` may take as long, times the number of
   * workers per core. Default 10 000.
   */
  loadTimeout?: number | undefined;
  /**
   * MiB of memory that a worker may use. In a thread only the heap counts, not the buffers, and on Node one that takes
   * more can end the whole process: with `isolation: "auto"` tasks then run in processes, where those may be started.
   * Default: what the runtime allows.
   */
  memoryLimit?: number | undefined;
  /**
   * What tasks may do, never more than the process itself; they may read the files of their module all the same. Needs
   * processes. Default: what the process may. A new module with files outside the folders that `read` names costs all workers:
   * name its folder where new ones come often. Deno has no way to name a path with a comma: such an item is a
   * `RangeError`, and a task whose module has such a file cannot be loaded. Only on Deno: Node cannot deny all of them, so
   * there all but `"inherit"` is a `TypeError`.
   */
  permissions?: Permissions | undefined;
  /** Milliseconds that `stop()` waits for callbacks. Default `Infinity`. */
  callbackTimeout?: number | undefined;
  /**
   * Milliseconds that the initializer's `dispose()` may take when a worker ends cleanly: at `stop()`, after
   * `idleTimeout` or `maxTasksPerWorker`. Past it the worker is ended, and a line on stderr says so. `terminate()` does
   * not wait. Default 5 000.
   */
  disposeTimeout?: number | undefined;
  /**
   * Called with what a callback threw; may be async. Default: one line on stderr. If an `onProgress` threw, the
   * task has no outcome yet: `outcome` is then a `failed` one whose error says so.
   */
  onCallbackError?: ((error: unknown, outcome: Outcome) => unknown) | undefined;
  /** Shown in messages. Default `"multiprocess"`. */
  name?: string | undefined;
  /**
   * Milliseconds that a stopped worker has to end by itself before it is interrupted. Default 300; 0 on Node, where that
   * harms nobody else.
   */
  killGrace?: number | undefined;
  /**
   * Milliseconds that a task has to let go of its worker when it is cancelled while it runs. Its own `signal` aborts, and
   * a generator is ended at its next `yield`; one that ends within the grace, whatever it returns or throws, keeps its
   * worker, which is stopped otherwise. The outcome is `cancelled` at once all the same, and nothing is heard of the task
   * after it. A spare takes over meanwhile. Default 0: the worker is stopped.
   *
   * @example A task that only waits costs no worker
   * ```ts
   * import { InfoTask, MultiProcess } from "@cm/multiprocess";
   * import { assertEquals } from "@std/assert";
   *
   * await using mp = new MultiProcess({ size: 1, cancelGrace: 5_000 });
   * await mp.start();
   * const wait = `data:text/javascript,export function runnable() {
   *   return new Promise((resolve) => this.signal.addEventListener("abort", resolve));
   * }`;
   * const controller = new AbortController();
   * const outcome = mp.push(new InfoTask(wait, 60_000), { signal: controller.signal });
   * while ((await mp.stats()).running === 0);
   * controller.abort();
   * assertEquals((await outcome).status, "cancelled");
   * while ((await mp.stats()).workers.stopping > 0);
   * assertEquals((await mp.stats()).killed, 0);
   * ```
   */
  cancelGrace?: number | undefined;
  /**
   * The same at the time limit: the outcome is `timed-out` on time, and a task that lets go of its worker within the grace
   * keeps it. Default 0.
   */
  timeoutGrace?: number | undefined;
  /**
   * How many stopped workers may refuse to end; beyond that no threads are started. Tasks that wait are run by processes
   * with `isolation: "auto"`, where those may be started; otherwise they wait for one of the stopped workers to end, for
   * up to a minute, and are `crashed` then. Default: `size` + 4.
   */
  maxZombies?: number | undefined;
  /**
   * How many workers that ended without being told to are replaced in a second, beyond a burst of three; how many cells,
   * too, with `isolation: "cell"`. One that had done good work is replaced at once, and does not count. Default: `size`.
   */
  maxRestarts?: number | undefined;
  /**
   * How far the priority of tasks is below the program's, from 0 (the same) to 19, as of `nice`: where there are more
   * threads than cores, the program's own thread, what watches the limits and workers that start come before tasks that
   * compute. What tasks start has it, too. Only on Linux, where each thread has a priority of its own; on Deno it needs
   * `--allow-sys`, and is left out without that. Default 5: where both want a core, a task gets a
   * quarter of it.
   */
  nice?: number | undefined;
}

/** How a pool is stopped. */
export interface StopOptions {
  /**
   * What becomes of tasks that no worker has begun. `"run"`, the default: they are run. `"cancel"`: they are
   * `cancelled`, as by `cancelWaiting`, and what runs goes on to its end.
   */
  waiting?: "run" | "cancel" | undefined;
  /** The `cause` of the `TaskCancelledError` that those get. */
  reason?: unknown;
}

/** How one task is run. `R` is its value, `P` what it reports as progress. */
export interface PushOptions<R = unknown, P = unknown> {
  /** Called with the value instead of the module's `callback`. */
  callback?: ((value: R, outcome: Outcome<R>) => unknown) | undefined;
  /** Called with the error instead of the module's `errorCallback`. */
  errorCallback?: ((error: Error, outcome: Outcome<R>) => unknown) | undefined;
  /** Cancels the task when it aborts. */
  signal?: AbortSignal | undefined;
  /** Higher goes first; a waiting task gains one level a second. Any finite number. Default 0. */
  priority?: number | undefined;
  /** How the task is tried again. Default: the pool's `retry`. */
  retry?: RetryOptions | undefined;
  /** Milliseconds of running after which the task's `signal` aborts, so that it can finish cleanly. */
  softTimeout?: number | undefined;
  /** How long it may take to let go of its worker when it is cancelled. Default: the pool's `cancelGrace`. */
  cancelGrace?: number | undefined;
  /** How long it may take to let go of its worker at its limit. Default: the pool's `timeoutGrace`. */
  timeoutGrace?: number | undefined;
  /** Buffers among the arguments that are moved, not copied. */
  transfer?: ArrayBuffer[] | undefined;
  /** Called with everything the task reports as progress: what its generator yields, or it gives to `progress()`. */
  onProgress?: ((value: P, task: InfoTask) => unknown) | undefined;
  /** What the task is called in messages and events. Default: the end of its specifier, or its inline function's name. */
  label?: string | undefined;
}

/** How a whole sequence of tasks is run. `R` is the value of each, `I` its input, `P` what it reports as progress. */
export interface MapOptions<R = unknown, I = unknown, P = unknown>
  extends Omit<PushOptions<R, P>, "transfer" | "label"> {
  /** Outcomes in the order of the inputs; `false`: as they complete. Default `true`. */
  ordered?: boolean | undefined;
  /** How many tasks are in flight at most. Default: twice the pool's size, 64 for a `Fleet`. */
  concurrency?: number | undefined;
  /** Names the buffers among the arguments of an input's task that are moved, not copied. */
  transfer?: ((input: I) => ArrayBuffer[]) | undefined;
  /** What the tasks are called in messages and events, or what the task of an input is. */
  label?: string | ((input: I, index: number) => string) | undefined;
}

/** How a bound task is run each time. */
export interface BindOptions<R = unknown, P = unknown> extends PushOptions<R, P> {
  /** The time limit in milliseconds, more than 0 and less than 2³¹, or `Infinity` for none. */
  timeout: number;
}
