import type { Command, Result, Task } from "./scheduling.ts";

/** What the scheduler wants done, in order, and when it wants to be asked again. */
export class Orders<T extends Task, R extends Result> {
  #commands: Command<T, R>[] = [];
  #wakeAt = Infinity;

  /** When a `tick` is due at the latest. */
  get wakeAt(): number {
    return this.#wakeAt;
  }

  push(command: Command<T, R>): void {
    this.#commands.push(command);
  }

  /** Has the worker give back what it has not begun of these. */
  takeBack(worker: number, seqs: readonly number[]): void {
    this.push({ type: "take-back", worker, seqs });
  }

  /** @param drained Whether all that it has posted is to be read before. */
  look(worker: number, drained = false): void {
    this.push({ type: "look", worker, drained });
  }

  /** Has the worker looked at by then. */
  watch(worker: number, at: number): void {
    this.push({ type: "watch", worker, at });
  }

  wakeBy(at: number): void {
    if (at < this.#wakeAt) this.#wakeAt = at;
  }

  /** It is time: whoever still wants to be woken says so again. */
  woken(): void {
    this.#wakeAt = Infinity;
  }

  /** Takes the commands out. */
  take(): Command<T, R>[] {
    const commands = this.#commands;
    this.#commands = [];
    return commands;
  }
}
