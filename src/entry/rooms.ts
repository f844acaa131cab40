import { nextTurn } from "../runtime/host.ts";

/**
 * Those who wait for room in the queue, first come first served.
 *
 * As many are woken as there are places. Whoever is woken may push or not: the places that are still free when all of
 * them have had their turn are offered to the next.
 */
export class Rooms {
  readonly #free: () => number;
  #waiting: PromiseWithResolvers<void>[] = [];
  /** Places offered to those who were woken and have not pushed yet. */
  #offered = 0;
  #checking = false;

  /** @param free How many more tasks the queue takes. */
  constructor(free: () => number) {
    this.#free = free;
  }

  /** Whether anybody waits. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether anybody waits, or was just told that there is room. */
  get contended(): boolean {
    return this.#offered > 0 || this.#waiting.length > 0;
  }

  /** Resolves when there is room. */
  wait(): Promise<void> {
    const room = Promise.withResolvers<void>();
    this.#waiting.push(room);
    this.wake();
    return room.promise;
  }

  /** A place was taken. */
  taken(): void {
    if (this.#offered > 0) this.#offered--;
  }

  /** Wakes as many as there are places. */
  wake(): void {
    const places = this.#free() - this.#offered;
    if (places <= 0) return;
    const woken = this.#waiting.splice(0, places);
    this.#offered += woken.length;
    for (const room of woken) room.resolve();
    if (this.#offered > 0 && places < Infinity) this.#check();
  }

  /** Nobody needs to wait any more. */
  refuse(error: () => Error): void {
    for (const room of this.#waiting.splice(0)) room.reject(error());
  }

  #check(): void {
    if (this.#checking) return;
    this.#checking = true;
    // When all microtasks have run, and with them the pushes of those who were woken.
    nextTurn(() => {
      this.#checking = false;
      this.#offered = 0;
      this.wake();
    });
  }
}
