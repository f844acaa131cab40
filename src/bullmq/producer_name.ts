import { delay } from "@std/async";
import type { Job, Queue, Worker } from "bullmq";
import type { Link } from "./connection.ts";
import type { QueueSettings } from "./read_options.ts";

/** How long the connection of a producer that has ended may linger, in milliseconds. */
const LINGER_MS = 5_000;
/** How often it is looked whether it has gone. */
const LOOK_MS = 250;
/** How soon a producer must be seen by another that starts at the same time, in milliseconds. */
const SEEN_MS = 200;
/** How long both wait before they look. */
const SETTLE_MS = 300;

/** Outcomes taken at once: so many may be told again by the next life of a producer that is killed. */
const CONCURRENCY = 8;
/** To take an outcome takes no time: what is locked for longer was being told to a life that has ended, in milliseconds. */
const LOCK_MS = 5_000;

/**
 * Takes the outcomes of a producer, if no other that lives has its name: else the outcomes of one would go to the other.
 *
 * Each has its life in the name of its connection. One that starts looks for others, makes itself seen, waits, and looks
 * again: of two that start at once both see both, and the one that began first stays. One that was slow begins anew.
 *
 * @returns The worker that takes them, which does not run yet.
 * @throws {Error} If another producer has the name.
 */
export async function claimName(
  { queue, name }: QueueSettings,
  life: string,
  outcomes: Queue,
  link: Link,
  receive: (job: Job) => Promise<void>,
): Promise<Worker> {
  const until = performance.now() + LINGER_MS;
  for (;;) {
    if ((await lives(outcomes)).length === 0) {
      const since = performance.now();
      const worker = openReceiver(outcomes.name, life, link, receive);
      await worker.waitUntilReady();
      if (performance.now() - since < SEEN_MS) {
        await delay(SETTLE_MS);
        if (!(await lives(outcomes)).some((other) => other < life)) return worker;
      }
      await worker.close();
    } else if (performance.now() > until) {
      throw new Error(
        `Another producer of the queue ${JSON.stringify(queue)} has the name ${JSON.stringify(name)}`,
      );
    }
    await delay(LOOK_MS);
  }
}

function openReceiver(name: string, life: string, link: Link, receive: (job: Job) => Promise<void>): Worker {
  return link.worker(name, receive, {
    name: life,
    concurrency: CONCURRENCY,
    lockDuration: LOCK_MS,
    stalledInterval: LOCK_MS / 2,
  });
}

/** The lives that are connected under this name. */
async function lives(outcomes: Queue): Promise<string[]> {
  const workers = await outcomes.getWorkers() as { rawname?: string }[];
  // Where the server does not list its clients BullMQ gives one without it: then nothing can be said.
  return workers.flatMap(({ rawname }) =>
    rawname === undefined ? [] : [rawname.slice(rawname.lastIndexOf(":") + 1)]
  );
}
