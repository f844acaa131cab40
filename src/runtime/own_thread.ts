import { EXTERNAL, host, need, sibling } from "./host.ts";
import { onExit, startBunWorker, startWebWorker } from "./web.ts";

/** A thread of the pool's own, as the entry holds it: no task runs on it. */
export interface OwnThread {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown, transfer?: Transferable[]): void;
  terminate(): unknown;
  /** Whether it keeps the program running; without effect where a thread always does. */
  hold(held: boolean): void;
}

/** The pool's own threads, by what they do. */
const ENTRIES = {
  dispatcher: "dispatcher_worker",
  nursery: "nursery_worker",
  manager: "manager_worker",
  cells: "cells_worker",
  cell: "cell_dispatcher_worker",
} as const;

/**
 * Starts the dispatcher's thread, or the nursery's, or one that is both.
 *
 * @param role Which of them.
 * @param name The pool's name, shown by debuggers.
 * @param died Called when it cannot be started, throws, or cannot read a message.
 */
export function startOwnThread(
  role: keyof typeof ENTRIES,
  name: string,
  died: (error: unknown) => void,
): OwnThread {
  const [file, title] = [ENTRIES[role], `${name} ${role}`];
  if (host === "node") return startNode(file, title, (error) => died(explained(file, error)));
  if (host === "bun") return startBun(file, title, (error) => died(explained(file, error)));
  return Object.assign(startWebWorker(file, title, died), { hold() {} });
}

/** A bundler takes the code along that starts a file, but not the file. */
function explained(file: string, error: unknown): unknown {
  const url = sibling(`./${file}`, import.meta.url);
  if (url.protocol !== "file:" || need("node:fs").existsSync(url)) return error;
  const path = need("node:url").fileURLToPath(url);
  return new Error(`${path} is not there: a bundler must leave @cm/multiprocess out ${EXTERNAL}`, {
    cause: error,
  });
}

function startBun(file: string, name: string, died: (error: unknown) => void): OwnThread {
  const worker = startBunWorker(file, name, died, {});
  let ended = false;
  const closed = new Promise<void>((resolve) => {
    onExit(worker, (code) => {
      if (!ended) died(new Error(`It exited with code ${code}`));
      resolve();
    });
  });
  const terminate = worker.terminate.bind(worker);
  return Object.assign(worker, {
    hold: (held: boolean) => held ? worker.ref() : worker.unref(),
    terminate() {
      ended = true;
      terminate();
      return closed;
    },
  });
}

function startNode(file: string, name: string, died: (error: unknown) => void): OwnThread {
  const { Worker, SHARE_ENV } = need("node:worker_threads");
  const url = sibling(`./${file}`, import.meta.url);
  const worker = new Worker(url, { name, env: SHARE_ENV as never, argv: need("node:process").argv.slice(2) });
  let ended = false;
  worker.on("error", died);
  worker.on("messageerror", () => died(new Error("A message could not be read")));
  worker.on("exit", (code) => {
    if (!ended) died(new Error(`It exited with code ${code}`));
  });
  const thread: OwnThread = {
    onmessage: null,
    postMessage: (message, transfer) => worker.postMessage(message, transfer as never),
    terminate() {
      ended = true;
      return worker.terminate();
    },
    hold: (held) => void (held ? worker.ref() : worker.unref()),
  };
  worker.on("message", (data) => thread.onmessage?.({ data } as MessageEvent));
  return thread;
}

/**
 * Never runs: worker files are outside the module graph, so `deno cache`, `deno check` and publishing would not see
 * them unless something in it names them.
 */
export function _graph(): Promise<unknown>[] {
  return [
    import("./dispatcher_worker.ts"),
    import("./nursery_worker.ts"),
    import("./manager_worker.ts"),
    import("./thread_worker.ts"),
    import("./process_worker.ts"),
    import("./cells_worker.ts"),
    import("./cell_worker.ts"),
    import("./cell_dispatcher_worker.ts"),
  ];
}
