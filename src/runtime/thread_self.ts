/**
 * What differs between runtimes for a thread that runs tasks: how it ends, how it hears of its end, what a task must not
 * get hold of. Taken when this is loaded: a task may patch any of it.
 *
 * @module
 */
import type { MessagePort as NodePort } from "node:worker_threads";
import type { WorkerSetup } from "../wire/protocol.ts";
import { giveGlobals } from "./given_globals.ts";
import { host, need } from "./host.ts";
import { guardProcess, guardProgram } from "./program_globals.ts";
import type { ThreadData } from "./thread.ts";

/** See the module's description. */
export interface ThreadSelf {
  /** What it was given when it was started. */
  data(): ThreadData | Promise<ThreadData>;
  /** Ends the thread. */
  exit(code: number): void;
  /** The code that a task has set for its end. */
  exitCode(): number;
  /** Keeps the thread's port from tasks, which could answer for others with it. */
  hide(port: NodePort): void;
  /** Calls back when the thread is about to end because a task wants it to. */
  onLeave(leave: () => void): void;
  /** Calls back with what nobody has caught; the thread does not end by itself then. */
  onUncaught(die: (thrown: unknown, how: string) => void): void;
  /** Gives tasks the globals that they are to have. */
  furnish(isolation: "thread" | "process", setup: WorkerSetup): void;
}

/** The thread that this is. */
export const thread: ThreadSelf = host === "deno"
  ? onDeno()
  : host === "browser"
  ? onWeb()
  : host === "bun"
  ? onBun()
  : onNode();

function workerData(): ThreadData {
  return need("node:worker_threads").workerData;
}

function onDeno(): ThreadSelf {
  // Not `process.exit`: it loops until the thread is interrupted, which happens once. After an exit by a task it would
  // spin for ever (seen up to 2.9.6).
  const exit = Deno.exit;
  const exitCode = Object.getOwnPropertyDescriptor(Deno, "exitCode")?.get;
  return {
    data: workerData,
    exit,
    exitCode: () => exitCode?.call(Deno) ?? 0,

    /**
     * Deno calls these with the port, or with an event that has it as its target, when a message arrives (seen up to
     * 2.9.6).
     */
    hide(port) {
      Object.defineProperty(port, "dispatchEvent", { value: EventTarget.prototype.dispatchEvent });
      keepGetters(Event.prototype, MessageEvent.prototype, MessageChannel.prototype);
    },

    onLeave(leave) {
      addEventListener("unload", leave);
      // After `close()` the `unload` comes late: a task that begins meanwhile would be lost with the thread (seen up to 2.9.6).
      onClose(leave);
    },

    onUncaught: onUncaughtEvent,

    furnish(isolation, setup) {
      // Node workers on Deno lack it (denoland/deno: seen up to 2.9.6), and modules written for workers expect it.
      if (!("self" in globalThis)) {
        Object.defineProperty(globalThis, "self", { value: globalThis, configurable: true });
      }
      if (isolation === "thread") guardProgram();
      giveGlobals(setup);
    },
  };
}

/** Nobody replaces the getters of these any more: they are called with what they are of. */
function keepGetters(...prototypes: object[]): void {
  for (const prototype of prototypes) {
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (get !== undefined) Object.defineProperty(prototype, name, { configurable: false });
    }
  }
}

/** What a port of the web gives away is the target of its events, and those only to whoever gets hold of one. */
function hideWebPort(): void {
  keepGetters(Event.prototype, MessageEvent.prototype);
}

function onClose(leave: () => void): void {
  const { close } = globalThis as { close?: () => void };
  if (close === undefined) return;
  const closing = () => {
    leave();
    close.call(globalThis);
  };
  Object.defineProperty(globalThis, "close", { value: closing, configurable: true, writable: true });
}

function onUncaughtEvent(die: (thrown: unknown, how: string) => void): void {
  addEventListener("error", (event) => {
    event.preventDefault();
    die(event.error, "an uncaught error");
  });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    die(event.reason, "an unhandled rejection");
  });
}

function firstMessage(): Promise<ThreadData> {
  return new Promise((resolve) => {
    addEventListener("message", (event) => resolve((event as MessageEvent).data), { once: true });
  });
}

/** A Web Worker in a browser. It ends by `close()` only, and without a code. */
function onWeb(): ThreadSelf {
  const { close } = globalThis as unknown as { close(): void };
  const end = close.bind(globalThis);
  const data = firstMessage();
  return {
    data: () => data,
    exit: end,
    exitCode: () => 0,
    hide: hideWebPort,
    onLeave: onClose,
    onUncaught: onUncaughtEvent,
    furnish() {},
  };
}

/** The method by which Node delivers messages, with the port as `this` (seen up to 24.21). */
const DISPATCH = Symbol.for("nodejs.internal.kHybridDispatch");

/** What threads of Node and Bun have in common. */
function onProcess(): Pick<ThreadSelf, "exit" | "exitCode" | "onLeave" | "onUncaught"> {
  const process = need("node:process");
  const { exit } = process;
  return {
    exit: (code) => exit.call(process, code),
    exitCode: () => Number(process.exitCode ?? 0),
    onLeave: (leave) => void process.on("exit", leave),
    onUncaught(die) {
      process.on("uncaughtException", (error) => die(error, "an uncaught error"));
      process.on("unhandledRejection", (reason) => die(reason, "an unhandled rejection"));
    },
  };
}

/** A Web Worker on Bun. */
function onBun(): ThreadSelf {
  const data = firstMessage();
  return {
    ...onProcess(),
    data: () => data,
    hide: hideWebPort,
    furnish: guardProcess,
  };
}

function onNode(): ThreadSelf {
  const process = need("node:process");
  const hooks = need("node:async_hooks");
  return {
    ...onProcess(),
    data: workerData,

    hide(port) {
      const dispatch = (port as unknown as Record<symbol, unknown>)[DISPATCH];
      if (dispatch !== undefined) Object.defineProperty(port, DISPATCH, { value: dispatch });
      // What a task starts belongs to what runs it, and that is the message's delivery. What stands in for the port is always
      // the same: Node 22 keeps what an `AsyncLocalStorage` holds in it, and asks again where that is read (seen with 22.23).
      const resource = hooks.executionAsyncResource;
      const standIn = {};
      hooks.executionAsyncResource = () => {
        const current = resource();
        return current === port ? standIn : current;
      };
      const inside = process as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>;
      const handles = inside._getActiveHandles;
      if (handles !== undefined) {
        inside._getActiveHandles = () => (handles.call(process) as unknown[]).filter((each) => each !== port);
      }
      const binding = inside.binding;
      if (binding !== undefined) {
        inside.binding = (name) => {
          if (name === "async_wrap") throw new Error("No such module: async_wrap");
          return binding.call(process, name);
        };
      }
      need("node:module").syncBuiltinESMExports();
    },

    // `node:worker_threads` keep signals, stdin and the working directory from threads, and give them `env` and `argv`.
    furnish() {},
  };
}
