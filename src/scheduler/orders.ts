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

  wakeBy(at: number): void {
    if (at < this.#wakeAt) this.#wakeAt = at;
  }

  /** It is time: who still wants to be woken says so again. */
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
