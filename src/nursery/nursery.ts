/**
 * Starts and ends workers at the dispatcher's word, on a thread of its own: starting one blocks its thread for up
 * to 150 ms, and the thread that watches deadlines must not be blocked.
 *
 * @module
 */
import { describeError } from "../wire/error_data.ts";
import type { FromNursery, ToNursery, ToNurseryThread } from "../wire/protocol.ts";
import { listen } from "../runtime/listen.ts";
import type { WorkerHandle } from "../runtime/port.ts";
import { printed, startThread } from "../runtime/thread.ts";
import { knowPlaces } from "../runtime/web.ts";
import { within } from "../util/within.ts";

type Spawn = ToNursery & { type: "spawn" };
type Question = ToNursery & { type: "ask-readable" };

/** How long the workers may take to end, in milliseconds: some must not be interrupted yet. */
const END_MS = 3_000;

/** Loaded with the first process: it would be half of what the nursery loads. */
let processes: typeof import("../runtime/process.ts") | undefined;

/**
 * What takes the messages of the entry to the nursery's thread.
 *
 * @param ended Called when that thread may end.
 */
export function createNursery(ended: () => void): (message: ToNurseryThread) => Promise<void> {
  let end = (): Promise<void> => Promise.resolve();
  return async (message) => {
    if (message.type === "serve") {
      knowPlaces(message.places);
      end = serve(message.port);
      return;
    }
    await end();
    ended();
  };
}

/**
 * Serves one dispatcher. Returns what ends all workers, for when the dispatcher cannot say so any more, and resolves
 * when none is left that is to end before this thread does, and all that they printed has been passed on.
 */
function serve(port: MessagePort): () => Promise<void> {
  const workers = new Map<number, WorkerHandle>();
  const waiting: Spawn[] = [];
  const tell = (message: FromNursery) => port.postMessage(message);

  /** One start in a turn of the event loop, so that a kill need not wait for all of them. */
  const next = async () => {
    // It may be told to end meanwhile, so it is still one that waits.
    if (waiting[0]?.spec.isolation === "process") processes ??= await import("../runtime/process.ts");
    const spawn = waiting.shift();
    if (spawn === undefined) return;
    if (waiting.length > 0) setTimeout(next);
    const { worker, spec } = spawn;
    const start = spec.isolation === "thread" ? startThread : processes!.startProcess;
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

  /** Only from then on it may take long to end: until then others may have been started here. */
  const kill = async (worker: number) => {
    await workers.get(worker)?.kill();
    tell({ type: "interrupted", worker });
  };

  const answer = async ({ file, specifier, permissions, main }: Question) => {
    processes ??= await import("../runtime/process.ts");
    const readable = await processes.mayReadModule(specifier, { permissions, main }).catch(() => false);
    tell({ type: "readable", file, readable });
  };

  listen<ToNursery>(port, (data) => {
    switch (data.type) {
      case "spawn":
        waiting.push(data);
        if (waiting.length === 1) setTimeout(next);
        return;
      case "kill": {
        const at = waiting.findIndex(({ worker }) => worker === data.worker);
        if (at >= 0) waiting.splice(at, 1)[0]!.port.close();
        else void kill(data.worker);
        return;
      }
      case "ask-readable":
        void answer(data);
        return;
      case "drain": {
        const { worker, request } = data;
        void Promise.resolve(workers.get(worker)?.drained()).then(() => tell({ type: "drained", request }));
        return;
      }
      default:
        data satisfies never;
    }
  });
  return async () => {
    for (const spawn of waiting.splice(0)) spawn.port.close();
    const kills = Array.from(workers.values(), (worker) => worker.kill());
    port.close();
    const ended = Promise.all(kills).then(() => Promise.all([printed(), processes?.printed()]));
    // Here, and not where it is waited for: the end of a pool is to leave no timer behind with its user.
    await within(ended, END_MS);
  };
}
