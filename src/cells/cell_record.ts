import type { Cell } from "../runtime/cell.ts";
import { now } from "../wire/now.ts";
import type { Specifiers } from "./specifiers.ts";
import type { DeathData, ErrorData, EventData } from "../wire/protocol.ts";

/** The numbers of the workers of a cell are fewer. */
const WORKERS = 100_000;

/** Called when something was done. */
export type Over = () => void;

/** A cell, and what it was told and asked. */
export class CellRecord {
  readonly cell: Pick<Cell, "post" | "kill" | "gone">;
  /** What is added to the numbers of its workers, so that they are of one worker of the pool each. */
  readonly #firstWorker: number;
  /** When it was warm, if it has been. */
  readyAt: number | undefined;
  /** Tasks were to be handed to it. */
  used = false;
  /** Some came to an end of their own. */
  useful = false;
  /** Specifiers of modules whose files it may not read: they were not known when it was started. */
  readonly unreadable = new Set<string>();
  /** Modules that it was asked of. */
  readonly inspections = new Set<number>();
  /** Who waits until it has replaced its workers, and until it has cancelled what it has not begun, each in turn. */
  readonly #renewals: Over[] = [];
  readonly #cancels: Over[] = [];
  readonly #modules = new Map<number, { sent: number }>();
  #lastModule: number | undefined;
  #last: { sent: number } | undefined;
  /** Those of its workers that somebody who watches knows of, by their numbers in the pool. */
  readonly #workers = new Set<number>();

  /** @param index How many there were before. */
  constructor(cell: CellRecord["cell"], index: number) {
    this.cell = cell;
    this.#firstWorker = index * WORKERS;
  }

  /** A task of the module is about to be sent. */
  sent(module: number, specifiers: Specifiers): void {
    if (module !== this.#lastModule) {
      this.#last = this.#moduleOf(module, specifiers);
      this.#lastModule = module;
    }
    this.#last!.sent++;
  }

  /** It was not sent. */
  unsent(): void {
    this.#last!.sent--;
  }

  #moduleOf(module: number, specifiers: Specifiers): { sent: number } {
    let known = this.#modules.get(module);
    if (known === undefined) {
      this.#modules.set(module, known = { sent: 0 });
      this.cell.post({ type: "module", module, specifier: specifiers.get(module)! });
    }
    return known;
  }

  /** Nothing is sent with this number any more, unless another cell dies. */
  forget(module: number): void {
    const known = this.#modules.get(module);
    if (known === undefined) return;
    this.#modules.delete(module);
    if (module === this.#lastModule) this.#lastModule = this.#last = undefined;
    this.cell.post({ type: "forget", module, sent: known.sent });
  }

  /** Asks which callbacks the module has. */
  inspect(module: number, specifiers: Specifiers): void {
    this.inspections.add(module);
    this.sent(module, specifiers);
    this.cell.post({ type: "inspect", module });
  }

  /** Has it cancel what it has not begun, up to that id. */
  cancelWaiting(upTo: number, over: Over): void {
    this.#cancels.push(over);
    this.cell.post({ type: "cancel-waiting", upTo });
  }

  /** It has. */
  waitingCancelled(): void {
    this.#cancels.shift()?.();
  }

  /** Has it replace its workers. */
  renew(over: Over): void {
    this.#renewals.push(over);
    this.cell.post({ type: "renew" });
  }

  /** It has. */
  renewed(): void {
    this.#renewals.shift()?.();
  }

  /** It has ended: nobody is to wait for it. */
  answerAll(): void {
    for (const over of [...this.#cancels.splice(0), ...this.#renewals.splice(0)]) over();
  }

  /** The number in the pool of a worker of this cell. */
  workerOf(worker: number): number {
    return this.#firstWorker + worker;
  }

  /** Gives the workers in events their numbers in the pool. */
  number(events: readonly EventData[]): void {
    for (const event of events) {
      if (!("workerId" in event)) continue;
      event.workerId = this.workerOf(event.workerId);
      if (event.type === "worker-started") this.#workers.add(event.workerId);
      else if (event.type === "worker-gone") this.#workers.delete(event.workerId);
    }
  }

  /** Tells that all its workers have ended. */
  workersGone(reason: DeathData["reason"] | "stopped", error: ErrorData | undefined): EventData[] {
    return Array.from(
      this.#workers,
      (workerId) => ({ type: "worker-gone", at: now(), workerId, reason, error }),
    );
  }
}
