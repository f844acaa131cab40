import { spawn } from "node:child_process";
import process from "node:process";
import { describeError } from "../error_data.ts";
import type { DeathData, FromWorker, ToWorker } from "../protocol.ts";
import type { StartWorker } from "./port.ts";
import { bootstrap } from "./thread.ts";

/** From the nursery to the child. */
export type ToChild =
  | { type: "start"; initializer: string | undefined; memoryLimit: number | undefined }
  | { type: "message"; message: ToWorker };

/** From the child to the nursery. */
export type FromChild =
  | { type: "message"; message: FromWorker }
  | { type: "dying"; death: DeathData };

/** How V8 ends a process whose heap is full: a trap or an abort, as signal or as the shell's code for it. */
const OUT_OF_MEMORY = ["SIGTRAP", "SIGABRT", "SIGILL", 133, 134, 132];

/**
 * Starts a child process. It hosts one thread worker and answers on its main thread, which no task can block, so
 * that it notices when its parent has died. Here its messages are passed on to the dispatcher's port, whose end is
 * closed when the process has ended.
 */
export const startProcess: StartWorker = (spec, port, _memory, events) => {
  const child = spawn(process.execPath, [
    "run",
    "--no-prompt",
    "--quiet",
    ...(spec.memoryLimit === undefined ? [] : [`--v8-flags=--max-old-space-size=${spec.memoryLimit}`]),
    ...(spec.flags ?? ["--allow-all"]),
    // Not the file itself: for a `data:` module Deno looks for the configuration of the working directory.
    bootstrap(new URL("./process_worker.ts", import.meta.url)).href,
  ], { stdio: ["ignore", "inherit", "inherit", "ipc"], serialization: "advanced" });

  let death: DeathData | undefined;
  let over = false;
  const end = (final: DeathData) => {
    if (over) return;
    over = true;
    events.gone(death ?? final);
    port.close();
  };
  const send = (message: ToChild) => {
    if (child.connected) child.send(message as never);
  };
  child.on("message", (message: FromChild) => {
    if (message.type === "dying") {
      death = message.death;
      return;
    }
    if (message.message.type === "dying") death = message.message.death;
    port.postMessage(message.message);
  });
  child.on(
    "error",
    (error) => end({ reason: "error", exitCode: null, error: describeError(error), message: error.message }),
  );
  child.on("exit", (code, signal) => end(deathOf(code, signal, spec.memoryLimit)));
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    try {
      send({ type: "message", message: data });
    } catch (error) {
      if (data.type !== "run-one") throw error;
      events.undeliverable(data.seq, error);
    }
  };
  send({ type: "start", initializer: spec.initializer, memoryLimit: spec.memoryLimit });
  return { kill: () => void child.kill("SIGKILL") };
};

function deathOf(code: number | null, signal: string | null, memoryLimit: number | undefined): DeathData {
  if (OUT_OF_MEMORY.includes(signal ?? code ?? 0)) {
    const limit = memoryLimit === undefined ? "" : ` (memoryLimit: ${memoryLimit} MiB)`;
    return { reason: "memory", exitCode: code, message: `ran out of memory${limit}` };
  }
  return signal === null
    ? { reason: "exit", exitCode: code, message: `exited with code ${code}` }
    : { reason: "signal", exitCode: code, message: `was killed by ${signal}` };
}
