/**
 * The entry of a thread worker. Runs beside tasks that may patch or delete any global: everything is taken here,
 * before the first of them is loaded.
 *
 * @module
 */
import { type MessagePort as NodePort, workerData } from "node:worker_threads";
import { describeError } from "../wire/error_data.ts";
import type { DeathData, FromWorker, ToWorker } from "../wire/protocol.ts";
import { type Seat, TaskRunner } from "../worker/task_runner.ts";
import { listen } from "./listen.ts";
import { SharedSeat } from "./shared.ts";
import type { ThreadData } from "./thread.ts";

/** Deno's types lack it. */
interface Locks {
  request(name: string, held: () => Promise<void>): Promise<void>;
  query(): Promise<Record<"held" | "pending", { name: string }[]>>;
}

const LOCK_PREFIX = "multiprocess-";

const data = workerData as ThreadData;
const port = data.port as unknown as NodePort;
const { memory, initializer, memoryLimit } = data;
const { locks } = navigator as unknown as { locks?: Locks };
// Tasks can import `workerData` too, and have no business with the port.
data.port = data.memory = undefined;

const postMessage = port.postMessage.bind(port);
// Deno iterates over the list, which a task may have made impossible.
const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void =>
  transfer.length === 0 ? postMessage(message) : postMessage(message, transfer);
// Not `process.exit`: it loops until the thread is interrupted, which happens once. After an exit by a task it would
// spin for ever (seen up to 2.9.6).
const exitThread = Deno.exit;
const exitCode = Object.getOwnPropertyDescriptor(Deno, "exitCode")?.get;
/** An exit has begun. Deno may deliver another message after it, and run what is scheduled (seen up to 2.9.6). */
let leaving = false;
hidePort();

/**
 * Deno calls these with the port, or with an event that has it as its target, when a message arrives (seen up to
 * 2.9.6): a task that patched them would get hold of it, and could answer for other tasks.
 */
function hidePort(): void {
  Object.defineProperty(port, "dispatchEvent", { value: EventTarget.prototype.dispatchEvent });
  for (const prototype of [Event.prototype, MessageEvent.prototype]) {
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (get !== undefined) Object.defineProperty(prototype, name, { configurable: false });
    }
  }
}

/** In shared memory: see `shared.ts`. */
class ThreadSeat extends SharedSeat implements Seat {
  readonly isolation = "thread";

  post(message: FromWorker, transfer?: ArrayBuffer[]): void {
    post(message, transfer);
  }

  exit(): void {
    exit(0);
  }
}

/** In a child process: every step is a message. */
class MessageSeat implements Seat {
  readonly isolation = "process";
  readonly crowded = false;
  readonly unread = false;

  claim(seq: number, loading: boolean, callbacks: number, at: number): boolean {
    post({ type: "started", seq, at, loading, callbacks });
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

  post(message: FromWorker, transfer?: ArrayBuffer[]): void {
    post(message, transfer);
  }

  exit(): void {
    exit(0);
  }
}

function exit(code: number): void {
  depart();
  exitThread(code);
}

function depart(): void {
  leaving = true;
  runner.leave();
}

/** Tells why, and ends the thread. */
function die(event: Event, thrown: unknown, how: string): void {
  event.preventDefault();
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
  const code = exitCode?.call(Deno) ?? 0;
  post({ type: "dying", death: { reason: "exit", exitCode: code, message: `exited with code ${code}` } });
}

addEventListener("unload", leave);
// After `close()` the `unload` comes late: a task that begins meanwhile would be lost with the thread (seen up to 2.9.6).
const { close } = globalThis as { close?: () => void };
if (close !== undefined) {
  const closing = () => {
    leave();
    close.call(globalThis);
  };
  Object.defineProperty(globalThis, "close", { value: closing, configurable: true, writable: true });
}

addEventListener("error", (event) => die(event, event.error, "an uncaught error"));
addEventListener("unhandledrejection", (event) => die(event, event.reason, "an unhandled rejection"));

// Node workers on Deno lack it (denoland/deno: seen up to 2.9.6), and modules written for workers expect it.
if (!("self" in globalThis)) {
  Object.defineProperty(globalThis, "self", { value: globalThis, configurable: true });
}

const runner = new TaskRunner(memory === undefined ? new MessageSeat() : new ThreadSeat(memory), memoryLimit);
listen<ToWorker>(port, (message) => {
  if (!leaving) runner.receive(message);
});

const held = holdLock();
hideLocks();
await held;
await runner.start(initializer);

/**
 * From 2.9.4 on Deno interrupts code of a worker only while the worker holds a Web Lock. Held for the whole life;
 * its name is the worker's own, so nobody waits for it. Older versions have no locks: then this is skipped.
 */
function holdLock(): Promise<void> {
  return new Promise((ready, fail) => {
    if (locks === undefined) return ready();
    const request = locks.request.bind(locks);
    const uuid = crypto.randomUUID.bind(crypto);
    const forever = new Promise<void>(() => {});
    const hold = async () => {
      let held = false;
      try {
        await request(LOCK_PREFIX + uuid(), () => {
          held = true;
          ready();
          return forever;
        });
      } catch (error) {
        if (!held) return fail(error);
        // Stolen: code of this process that is no task of ours can see all its locks, and take them.
        void hold();
      }
    };
    void hold();
  });
}

/** Tasks do not see the locks of the pool, which are those of the whole process, and so cannot steal them. */
function hideLocks(): void {
  if (locks === undefined) return;
  const query = locks.query.bind(locks);
  const foreign = ({ name }: { name: string }) => !name.startsWith(LOCK_PREFIX);
  Object.getPrototypeOf(locks).query = async () => {
    const { held, pending } = await query();
    return { held: held.filter(foreign), pending: pending.filter(foreign) };
  };
}
