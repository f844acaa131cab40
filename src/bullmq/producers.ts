import type { Queue, QueueEventsProducer } from "bullmq";
import type { Link } from "./connection.ts";
import { outcomesOf, progressOf } from "./wire.ts";

/** So many are kept open at once: who can write to the store can name any number. */
const MAX_OPEN = 1_000;
/** How a machine tells a producer of its tasks. */
export interface Producer {
  readonly outcomes: Queue;
  readonly progress: QueueEventsProducer;
}

/** The producers that a machine has had tasks of. */
export class Producers {
  readonly #queue: string;
  readonly #link: Link;
  /** The one that was used last is the last. */
  readonly #open = new Map<string, Producer>();

  constructor(queue: string, link: Link) {
    this.#queue = queue;
    this.#link = link;
  }

  get(name: string): Producer {
    const producer = this.#open.get(name) ?? this.#connect(name);
    this.#open.delete(name);
    this.#open.set(name, producer);
    return producer;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(closeOne));
  }

  #connect(name: string): Producer {
    const producer = {
      // Nothing is written but outcomes: a producer that has ended leaves nothing behind.
      outcomes: this.#link.queue(outcomesOf(this.#queue, name), { skipMetasUpdate: true }),
      progress: this.#link.publisher(progressOf(this.#queue, name)),
    };
    if (this.#open.size >= MAX_OPEN) {
      const [oldest, idle] = this.#open.entries().next().value!;
      this.#open.delete(oldest);
      void closeOne(idle).catch(this.#link.failed);
    }
    return producer;
  }
}

async function closeOne({ outcomes, progress }: Producer): Promise<void> {
  await Promise.all([outcomes.close(), progress.close()]);
}
