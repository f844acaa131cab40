import { spawn } from "node:child_process";
import process from "node:process";
import { describeError } from "../wire/error_data.ts";
import { type DeathData, RESULTS, type ToWorker, type WorkerSpec } from "../wire/protocol.ts";
import { decodeMessage, DRAIN_MS, encodeMessage, type FromChild, type ToChild } from "./process_message.ts";
import { PROCESS_TURNS, quiet } from "./quiet.ts";
import { isReadableFile, localFiles } from "./permissions.ts";
import type { StartWorker } from "./port.ts";
import { bootstrap } from "./thread.ts";

/** How V8 ends a process, whose heap may be full: a trap or an abort, as signal or as the shell's code for it. */
const TRAPS = ["SIGTRAP", "SIGABRT", "SIGILL", 133, 134, 132];

/** How long a process that said that it ends, or that cannot be spoken to any more, may still be there. */
const EXIT_MS = 500;

/**
 * Starts a child process. It hosts one thread worker and answers on its main thread, which no task can block, so
 * that it notices when its parent has died. Here its messages are passed on to the dispatcher's port, whose end is
 * closed when the process has ended.
 */
export const startProcess: StartWorker = (spec, port, _memory, events) => {
  let child: Child | undefined;
  let death: DeathData | undefined;
  let over = false;
  /** How many messages have come. */
  let heard = 0;
  const end = (final: DeathData) => {
    if (over) return;
    over = true;
    events.gone(death ?? final);
    port.close();
  };
  const send = (message: ToChild) => {
    const bytes = encodeMessage(message);
    if (child?.connected) child.send(bytes as never);
  };
  const start = (flags: string[]) => {
    if (over) return;
    child = spawnChild(flags);
    /** It is on its way out; if it does not get there by itself, it is helped. */
    const finish = (final: DeathData) => {
      setTimeout(() => {
        if (over) return;
        killGroup(child!);
        end(final);
      }, EXIT_MS);
    };
    child.on("message", (bytes: Uint8Array) => {
      heard++;
      const message = decodeMessage<FromChild>(bytes);
      if (message.type === "dying") {
        death ??= message.death;
        finish(death);
        return;
      }
      const inner = message.message;
      if (inner !== RESULTS && inner.type === "dying") death ??= inner.death;
      port.postMessage(message.message);
    });
    child.on("error", (error) => {
      // It may be that it could not be spoken to, or not be killed: nobody is to be left behind.
      killGroup(child!);
      end(failure(error, heard > 0 ? "was lost" : undefined));
    });
    child.on("exit", (code, signal) => {
      const final = deathOf(code, signal, spec.memoryLimit);
      // What its tasks have started goes along.
      killGroup(child!);
      // Its last messages may still be on their way: the channel closes behind them, and tells so before their turn.
      const last = () => setTimeout(() => end(final));
      if (!child!.connected) last();
      else child!.once("disconnect", last);
      setTimeout(() => end(final), DRAIN_MS);
    });
    child.on("disconnect", () => finish({ reason: "exit", exitCode: null, message: "closed its channel" }));
    port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
      try {
        send({ type: "message", message: data });
      } catch (error) {
        if (data instanceof ArrayBuffer || data.type !== "run-one") throw error;
        events.undeliverable(data.seq, error);
      }
    };
    send({ type: "start", initializer: spec.initializer, memoryLimit: spec.memoryLimit });
  };
  if (spec.readable.length === 0 && spec.flags.includes("--allow-read")) start(spec.flags);
  else readFlags(spec).then(start).catch((error) => end(failure(error)));
  return {
    drained: () => quiet(() => heard, PROCESS_TURNS),
    kill() {
      if (child !== undefined) killGroup(child);
      else end({ reason: "signal", exitCode: null, message: "was killed before it was started" });
    },
  };
};

type Child = ReturnType<typeof spawn>;

function spawnChild(flags: string[]): Child {
  return spawn(process.execPath, [
    "run",
    "--no-prompt",
    "--quiet",
    ...flags,
    // Not the file itself: for a `data:` module Deno looks for the configuration of the working directory.
    bootstrap(new URL("./process_worker.ts", import.meta.url)).href,
  ], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "advanced",
    // A group of its own, so that what the tasks start can be killed along with it.
    detached: true,
  });
}

/**
 * The flags, with leave to read the files of the modules that are to run: those that may be read here, since a task
 * module can name whatever it likes as a part of it.
 */
async function readFlags({ flags, readable }: WorkerSpec): Promise<string[]> {
  const own = new URL("./thread_worker.ts", import.meta.url).href;
  const [ownFiles, ...graphs] = await Promise.all([own, ...readable].map(localFiles));
  const files = [...ownFiles!, ...graphs.flat().filter(isReadableFile)];
  const named = flags.find((flag) => flag.startsWith("--allow-read="));
  const rest = flags.filter((flag) => flag !== named);
  if (files.length === 0) return flags;
  const list = [...new Set(files)].map((file) => file.replaceAll(",", ",,")).join(",");
  return [...rest, named === undefined ? `--allow-read=${list}` : `${named},${list}`];
}

function failure(thrown: unknown, what = "could not be started"): DeathData {
  const error = describeError(thrown);
  return { reason: "error", exitCode: null, error, message: `${what}: ${error.message}` };
}

function killGroup(child: Child): void {
  // Not started at all.
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended already, or there are no process groups here.
    child.kill("SIGKILL");
  }
}

function deathOf(code: number | null, signal: string | null, memoryLimit: number | undefined): DeathData {
  const trapped = TRAPS.includes(signal ?? code ?? 0);
  if (trapped && memoryLimit !== undefined) {
    return {
      reason: "memory",
      exitCode: code,
      message: `ran out of memory (memoryLimit: ${memoryLimit} MiB)`,
    };
  }
  const perhaps = trapped ? " (it may have run out of memory)" : "";
  return signal === null
    ? { reason: "exit", exitCode: code, message: `exited with code ${code}${perhaps}` }
    : { reason: "signal", exitCode: code, message: `was killed by ${signal}${perhaps}` };
}
