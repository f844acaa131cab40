/**
 * From 2.9.4 on Deno interrupts the code of a worker only while the worker holds a Web Lock. A thread of the pool holds
 * one of its own from the moment on from which it may be interrupted, for the rest of its life. In a browser the end of a
 * worker shows only in that its lock is free: then its code has stopped, also where that took a millisecond (Firefox 153.7,
 * WebKitGTK 2.50.6: 40 of 40 each).
 *
 * @module
 */

import { host } from "./host.ts";

/** Deno's types lack it. */
interface Locks {
  request(name: string, held: () => Promise<void>): Promise<void>;
  query(): Promise<Record<"held" | "pending", { name: string }[]>>;
}

const LOCK_PREFIX = "multiprocess-";

// Taken when this is loaded: a task may patch them. Node has locks, too, from 24 on, and needs none to be interrupted.
const { locks } = (host === "deno" || host === "browser" ? navigator : {}) as { locks?: Locks };
const request = locks?.request.bind(locks);
const uuid = locks === undefined ? undefined : crypto.randomUUID.bind(crypto);

/** Whether this is a version of Deno that has what it takes. */
export const isInterruptible = host === "deno" && locks !== undefined;

/** The name of a lock that shows a worker's end; undefined where another thing does, or nothing: pages that are not secure. */
export function newLock(): string | undefined {
  return host === "browser" && locks !== undefined ? LOCK_PREFIX + uuid!() : undefined;
}

/** Calls back once nobody holds the lock. */
export function onceFree(name: string, free: () => void): void {
  void locks?.request(name, () => Promise.resolve(free()));
}

/**
 * Resolves when the lock is held.
 *
 * @param name The worker's own, so nobody waits for it but who waits for its end.
 */
export function holdLock(name: string = LOCK_PREFIX + uuid!()): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const forever = new Promise<void>(() => {});
  const hold = async () => {
    let held = false;
    try {
      await request!(name, () => {
        held = true;
        resolve();
        return forever;
      });
    } catch (error) {
      if (!held) return reject(error);
      // Stolen: code of this process that is no task of ours can see all its locks, and take them.
      void hold();
    }
  };
  void hold();
  return promise;
}

/** Tasks do not see the locks of the pool, which are those of the whole process, and so cannot steal them. */
export function hideLocks(): void {
  if (locks === undefined) return;
  const query = locks.query.bind(locks);
  const foreign = ({ name }: { name: string }) => !name.startsWith(LOCK_PREFIX);
  Object.getPrototypeOf(locks).query = async () => {
    const { held, pending } = await query();
    return { held: held.filter(foreign), pending: pending.filter(foreign) };
  };
}
