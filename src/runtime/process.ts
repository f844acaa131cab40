import { describeError } from "../wire/error_data.ts";
import { type DeathData, type FromWorker, RESULTS, type RunOne, type ToWorker } from "../wire/protocol.ts";
import { type Child, deathOf, killGroup, printed, spawnChild } from "./child.ts";
import { childArguments } from "./child_command.ts";
import { listen } from "./listen.ts";
import { decodeMessage, DRAIN_MS, encodeMessage, type FromChild, type ToChild } from "./process_message.ts";
import { PROCESS_TURNS, quiet } from "./quiet.ts";
import type { StartWorker } from "./port.ts";

/** How long a process that said that it ends, or that cannot be spoken to any more, may still be there. */
const EXIT_MS = 500;

export { printed };

export { mayReadModule } from "./child_command.ts";

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
  /** What came with buffers that are nowhere else, until the process tells that it begins it. */
  let kept: RunOne | undefined;
  const exited = Promise.withResolvers<void>();
  const disconnected = Promise.withResolvers<void>();
  /** @param drained Whether all that it has told was passed on. */
  const end = (final: DeathData, drained = false) => {
    if (over) return;
    over = true;
    death ??= final;
    exited.resolve();
    // It may not have read all: then nothing tells that its end of the channel is closed, and ours would stay open for
    // ever (seen up to Deno 2.9.6).
    if (child?.connected) child.disconnect();
    events.gone(death);
    if (!drained) return port.close();
    if (kept !== undefined) giveBack(kept);
    post({ type: "ended", death });
    // More tasks may be on their way to it.
    hear((message) => {
      if (message instanceof ArrayBuffer) return;
      if (message.type === "run-one") giveBack(message);
      else if (message.type === "close") port.close();
    });
  };
  let take: ((message: ToWorker) => void) | undefined;
  /** What comes from now on goes there. */
  const hear = (next: (message: ToWorker) => void) => {
    if (take === undefined) listen<ToWorker>(port, (message) => take!(message));
    take = next;
  };
  const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  const giveBack = ({ seq, args, moved }: RunOne) => {
    if (moved !== undefined) post({ type: "returned", seq, args, moved }, moved);
  };
  const send = (message: ToChild) => {
    const bytes = encodeMessage(message);
    if (child?.connected) child.send(bytes as never);
  };
  const start = (args: string[]) => {
    if (over) return;
    child = spawnChild(args, spec.setup, spec.child!.cwd, "ignore", exited.promise);
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
      if (inner !== RESULTS && inner.type === "started") kept = undefined;
      post(inner);
    });
    child.on("error", (error) => {
      if (child!.pid === undefined) return end(failure(error, "could not be started"));
      // It cannot be spoken to, having ended perhaps, or cannot be killed: nobody is to be left behind.
      killGroup(child!);
      finish(failure(error, "was lost"));
    });
    child.on("exit", async (code, signal) => {
      const final = deathOf(code, signal, spec.setup.memoryLimit);
      // What its tasks have started goes along.
      killGroup(child!);
      // Its last messages may still be on their way, and where it has not read all nothing tells that they have come.
      const still = Promise.all([quiet(() => heard, PROCESS_TURNS), wait(DRAIN_MS)]);
      await Promise.race([disconnected.promise, still]);
      // The channel tells that it is closed before the last of them had their turn.
      await wait(0);
      end(final, true);
    });
    child.on("disconnect", () => {
      disconnected.resolve();
      finish({ reason: "exit", exitCode: null, message: "closed its channel" });
    });
    hear((data) => {
      if (!(data instanceof ArrayBuffer) && data.type === "run-one" && data.moved !== undefined) {
        kept = data;
        data = { ...data };
        delete data.moved;
      }
      try {
        send({ type: "message", message: data });
      } catch (error) {
        if (data instanceof ArrayBuffer || data.type !== "run-one") throw error;
        kept = undefined;
        events.undeliverable(data.seq, error);
      }
    });
    send({ type: "start", setup: spec.setup });
  };
  childArguments(spec.child!).then(start).catch((error) => end(failure(error, "could not be started")));
  return {
    drained: () => quiet(() => heard, PROCESS_TURNS),
    kill() {
      if (child !== undefined) killGroup(child);
      else end({ reason: "signal", exitCode: null, message: "was killed before it was started" });
    },
  };
};

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function failure(thrown: unknown, what: string): DeathData {
  const error = describeError(thrown);
  if (error.class === "Deno.errors.NotCapable") {
    const { message, stack } = error;
    // Deno names one after the other.
    error.message = `${message}; processes need --allow-run and --allow-env`;
    error.stack = stack?.replace(message, () => error.message);
  }
  return { reason: "error", exitCode: null, error, message: `${what}: ${error.message}` };
}
