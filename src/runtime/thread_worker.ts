/**
 * The entry of a thread worker. Runs beside tasks that may patch or delete any global: everything is taken here,
 * before the first of them is loaded.
 *
 * @module
 */
import type { MessagePort as NodePort } from "node:worker_threads";
import { describeError } from "../wire/error_data.ts";
import { now } from "../wire/now.ts";
import type { DeathData, FromWorker, ToWorker, WorkerSetup } from "../wire/protocol.ts";
import type { Seat } from "../worker/seat.ts";
import { TaskRunner } from "../worker/task_runner.ts";
import { BUILTINS, loadBuiltin, noteGlobals } from "./builtins.ts";
import { Gate } from "./gate.ts";
import { host, need } from "./host.ts";
import { openLife, settled, UNSETTLED } from "./life.ts";
import { listen } from "./listen.ts";
import { lowerPriority } from "./priority.ts";
import { hideLocks, holdLock, isInterruptible } from "./lock.ts";
import { Claims } from "./claims.ts";
import { SharedSeat } from "./shared.ts";
import type { ThreadData } from "./thread.ts";
import { addStopPoints } from "./stop_points.ts";
import { interruptAgain } from "./interrupt.ts";
import { thread } from "./thread_self.ts";
import { replaceStreaming } from "./wasm.ts";

/** How long the main thread of a child process may take to tell that a task begins, in milliseconds. */
const TOLD_MS = 1_000;
const loadWord = Atomics.load;
const storeWord = Atomics.store;
const waitWord = Atomics.wait;

/** A hurried worker loads no built-ins while messages have come within this, in milliseconds. */
const QUIET_MS = 50;
/** But it does not wait longer than this for that, in milliseconds. */
const MAX_QUIET_MS = 2_000;

const setTimeout = host === "deno" ? need("node:timers").setTimeout : globalThis.setTimeout;
const PromiseClass = Promise;

const data: ThreadData = await thread.data();
const port = data.port as unknown as NodePort;
const { isolation, memory, setup, hurried, lock } = data;
const life = openLife(data.life);
// Tasks can import `workerData` too, and have no business with the port.
data.port = data.memory = data.life = undefined;

const postMessage = port.postMessage.bind(port);
// Deno iterates over the list, which a task may have made impossible.
const post = (message: FromWorker, transfer: Transferable[] = []): void =>
  transfer.length === 0 ? postMessage(message) : postMessage(message, transfer as ArrayBuffer[]);
/** An exit has begun. Deno may deliver another message after it, and run what is scheduled (seen up to 2.9.6). */
let leaving = false;
/** Nothing else would tell that it has ended. */
const unseen = host === "browser" && lock === undefined;
const wait = (ms: number) => new PromiseClass<void>((resolve) => setTimeout(resolve, ms));
thread.hide(port);

/** In a cell. */
const claims = data.claims === undefined ? undefined : new Claims(data.claims);

/** In shared memory: see `shared.ts`. */
class ThreadSeat extends SharedSeat implements Seat {
  /** What it tells leaves a cell, and then its process. */
  readonly isolation = claims === undefined ? "thread" : "process";
  readonly measured = "thread";
  readonly note = claims?.note;
  readonly mayNote = claims?.mayNote;

  post(message: FromWorker, transfer?: Transferable[]): void {
    post(message, transfer);
  }

  exit(): void {
    exit(0);
  }
}

/** In a child process, or where no memory is shared: every step is a message. */
class MessageSeat implements Seat {
  readonly isolation = isolation;
  readonly measured = isolation;
  readonly crowded = false;
  readonly unread = false;
  /** The number of the last task whose beginning is known outside this process. */
  readonly #told = memory === undefined ? undefined : new Int32Array(memory);

  /** Begins no task before that is known outside: of a process that was killed one can tell what it had not begun. */
  claim(seq: number, loading: boolean, callbacks: number, at: number): boolean {
    post({ type: "started", seq, at, loading, callbacks });
    if (this.#told === undefined) return true;
    for (let last; (last = loadWord(this.#told, 0)) !== seq;) {
      if (waitWord(this.#told, 0, last, TOLD_MS) === "timed-out") break;
    }
    return true;
  }

  run(seq: number, callbacks: number, at: number): void {
    post({ type: "started", seq, at, loading: false, callbacks });
  }

  isOffered(): boolean {
    return false;
  }

  write(): boolean {
    return false;
  }

  post(message: FromWorker, transfer?: Transferable[]): void {
    post(message, transfer);
  }

  exit(): void {
    exit(0);
  }
}

function exit(code: number): void {
  depart();
  if (unseen) post({ type: "dying", death: { reason: "exit", exitCode: code, message: "exited" } });
  thread.exit(code);
}

function depart(): void {
  leaving = true;
  runner.leave();
}

/** Tells why, and ends the thread. */
function die(thrown: unknown, how: string): void {
  if (leaving) return;
  depart();
  const error = describeError(thrown);
  const death: DeathData = {
    reason: "error",
    exitCode: 1,
    error,
    message: `ended with ${how}: ${error.message}`,
  };
  try {
    post({ type: "dying", death });
  } finally {
    exit(1);
  }
}

/** A task is ending the thread. */
function leave(): void {
  if (leaving) return;
  depart();
  const code = thread.exitCode();
  post({ type: "dying", death: { reason: "exit", exitCode: code, message: `exited with code ${code}` } });
}

thread.onLeave(leave);
thread.onUncaught(die);
thread.furnish(isolation, setup);
noteGlobals();

const seat = isolation === "process" || memory === undefined ? new MessageSeat() : new ThreadSeat(memory);
const runner = new TaskRunner(seat, setup.memoryLimit, setup.maxMemoryBeforeRecycle);
/** Of the calls that are stop points. */
const gate = new Gate(life, end, () => (seat as ThreadSeat).stopped);

/** When the last message came. */
let heardAt = 0;
/** What has come while a built-in is loaded. */
let held: ToWorker[] | undefined;

// Not `await begin()`: of a thread that ends before its module has been evaluated Deno keeps two descriptors of the event
// loop and the memory of its modules for good (seen up to 2.9.6).
begin().catch((thrown) => die(thrown, "an uncaught error"));

async function begin(): Promise<void> {
  if (setup.output !== "inherit") {
    const { divertOutput } = await import("./diverted_output.ts");
    divertOutput(
      setup.output === "ignore" ? () => true : (stream, text) => runner.output.print(stream, text),
    );
  }
  listen<ToWorker>(port, (message) => {
    heardAt = now();
    if (held !== undefined) held.push(message);
    else if (!leaving) runner.receive(message);
  });
  hideLocks();
  // Else nothing interrupts it, and a process is killed.
  if (!isInterruptible || isolation === "process") {
    if (lock !== undefined) await holdLock(lock);
    return await start(setup);
  }
  replaceStreaming();
  // An initializer takes its time anyhow.
  if (hurried && setup.initializer === undefined) {
    storeWord(life, 0, UNSETTLED);
    await holdLock();
    await start({ initializer: undefined });
    await settle();
  } else {
    for (let step = 0; step < BUILTINS; step++) await loadBuiltin(step);
    addStopPoints(gate);
    settled(life);
    await holdLock();
    await start(setup);
  }
}

/** What makes it ready is not to wait behind tasks: only then its priority is lowered. */
async function start(given: Pick<WorkerSetup, "initializer">): Promise<void> {
  await runner.start(given);
  lowerPriority(setup.nice);
}

/** Loads all built-ins while nothing else is to be done, one in a turn of the event loop. */
async function settle(): Promise<void> {
  const since = heardAt = now();
  for (let step = 0; step < BUILTINS; step++) {
    await wait(step === 0 ? QUIET_MS : 0);
    while (now() < heardAt + QUIET_MS && now() < since + MAX_QUIET_MS) await wait(QUIET_MS);
    if (leaving) return;
    await loadInside(step);
  }
  addStopPoints(gate);
  settled(life);
}

/** No interrupt comes meanwhile, and no task begins that one would have to wait for. */
async function loadInside(step: number): Promise<void> {
  const messages: ToWorker[] = held = [];
  gate.enter();
  await loadBuiltin(step);
  gate.leave();
  held = undefined;
  for (const message of messages) if (!leaving) runner.receive(message);
}

/** At a stop point. */
function end(): void {
  try {
    if (!leaving) exit(0);
  } catch {
    // It was interrupted already, and that got lost.
  }
  interruptAgain();
}
