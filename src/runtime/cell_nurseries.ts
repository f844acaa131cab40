/**
 * Where the workers of a cell are started: on its main thread, whose workers do not sleep before they load (see
 * `bridge.ts`), or on another, where they do. To start one keeps a thread for as long as the new one takes to come into
 * being. That is long where tasks spin and workers load: where tasks hang one after the other, those that sleep first are
 * there sooner, twice as many in a second (seen with 2.9.6 on two cores).
 *
 * @module
 */
import type { FromNursery, ToNursery, ToNurseryThread } from "../wire/protocol.ts";
import { startOwnThread } from "./own_thread.ts";

/** A start after so long without any begins a burst, in milliseconds: a single one that was stopped, or more workers. */
const QUIET_MS = 2_000;
/** How long a burst takes, in milliseconds: all of it is started on the main thread. */
const BURST_MS = 50;

/**
 * Serves the dispatcher of the cell.
 *
 * @param main The nursery of the main thread.
 * @param name The pool's name, shown by debuggers.
 * @param died Called when the other thread cannot go on.
 */
export function serveCell(
  port: MessagePort,
  main: (message: ToNurseryThread) => unknown,
  name: string,
  died: (error: unknown) => void,
): void {
  /** The nursery of each worker. */
  const nurseries = new Map<number, MessagePort>();
  let other: MessagePort | undefined;
  let lastAt = -Infinity;
  let burstUntil = -Infinity;

  /** The way to a nursery that is about to be served. */
  const open = (serve: (message: ToNurseryThread & { type: "serve" }) => unknown): MessagePort => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<FromNursery>) => {
      if (data.type === "gone") nurseries.delete(data.worker);
      port.postMessage(data);
    };
    serve({ type: "serve", port: port2 });
    return port1;
  };
  const here = open(main);

  const choose = (hurried: boolean): MessagePort => {
    const now = performance.now();
    if (now > lastAt + QUIET_MS) burstUntil = now + BURST_MS;
    lastAt = now;
    if (hurried || now < burstUntil) return here;
    return other ??= open((message) => {
      startOwnThread("nursery", name, died).postMessage(message, [message.port]);
    });
  };

  port.onmessage = ({ data }: MessageEvent<ToNursery>) => {
    // Only of processes.
    if (data.type === "ask-readable") return;
    if (data.type !== "spawn") return nurseries.get(data.worker)?.postMessage(data);
    const nursery = choose(data.spec.hurried);
    nurseries.set(data.worker, nursery);
    nursery.postMessage(data, [data.port]);
  };
}
