/**
 * Starts and ends workers at the dispatcher's word, on a thread of its own: starting one blocks its thread for up
 * to 150 ms, and the thread that watches deadlines must not be blocked.
 *
 * @module
 */
import { describeError } from "../wire/error_data.ts";
import type { FromNursery, ToNursery } from "../wire/protocol.ts";
import type { WorkerHandle } from "../runtime/port.ts";
import { startProcess } from "../runtime/process.ts";
import { startThread } from "../runtime/thread.ts";

type Spawn = ToNursery & { type: "spawn" };

/** Serves one dispatcher. Returns what ends all workers, for when the dispatcher cannot say so any more. */
export function serve(port: MessagePort): () => void {
  const workers = new Map<number, WorkerHandle>();
  const waiting: Spawn[] = [];
  const tell = (message: FromNursery) => port.postMessage(message);

  /** One start in a turn of the event loop, so that a kill need not wait for all of them. */
  const next = () => {
    const spawn = waiting.shift();
    if (spawn === undefined) return;
    if (waiting.length > 0) setTimeout(next);
    const { worker, spec } = spawn;
    const start = spec.isolation === "thread" ? startThread : startProcess;
    try {
      workers.set(
        worker,
        start(spec, spawn.port, spawn.shared, {
          gone(death) {
            workers.delete(worker);
            tell({ type: "gone", worker, death });
          },
          undeliverable: (seq, error) =>
            tell({ type: "undeliverable", worker, seq, error: describeError(error) }),
        }),
      );
    } catch (thrown) {
      const error = describeError(thrown);
      tell({
        type: "gone",
        worker,
        death: { reason: "error", exitCode: null, error, message: `could not be started: ${error.message}` },
      });
      spawn.port.close();
    }
  };

  port.onmessage = ({ data }: MessageEvent<ToNursery>) => {
    switch (data.type) {
      case "spawn":
        waiting.push(data);
        if (waiting.length === 1) setTimeout(next);
        return;
      case "kill": {
        const at = waiting.findIndex(({ worker }) => worker === data.worker);
        if (at >= 0) waiting.splice(at, 1)[0]!.port.close();
        else workers.get(data.worker)?.kill();
        return;
      }
      case "drain": {
        const { worker, request } = data;
        void Promise.resolve(workers.get(worker)?.drained()).then(() => tell({ type: "drained", request }));
        return;
      }
      default:
        data satisfies never;
    }
  };
  return () => {
    for (const spawn of waiting.splice(0)) spawn.port.close();
    for (const worker of workers.values()) worker.kill();
    port.close();
  };
}
