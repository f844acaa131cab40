/** The stores that the tests run against, each a server of the tests' own. */
import {
  type Connection,
  Fleet,
  type FleetOptions,
  serve,
  type ServeOptions,
  type Server,
} from "../../src/bullmq/mod.ts";
import { LOCK, ROOT } from "./machines.ts";
import { hasPostgres, PostgresServer } from "./postgres.ts";
import { hasRedis, newQueue, RedisServer } from "./redis.ts";
import { connect, type QueueSpec } from "./spec.ts";

/** A queue in a store, and who uses it. */
export class Place implements AsyncDisposable {
  /** For processes of their own. */
  readonly spec: QueueSpec;
  readonly #connection: Connection;
  readonly #close: () => Promise<void>;
  readonly #server: AsyncDisposable | undefined;
  #fleets = 0;

  /** @param server What ends with it, if anything. */
  constructor(store: QueueSpec["store"], port: number, server?: AsyncDisposable) {
    this.spec = { store, port, queue: newQueue() };
    const { connection, close } = connect(this.spec);
    this.#connection = connection;
    this.#close = close;
    this.#server = server;
  }

  get queue(): string {
    return this.spec.queue;
  }

  /** A producer; by default each has a name of its own. */
  fleet(options: Partial<FleetOptions> = {}): Fleet {
    const [queue, connection, name] = [this.queue, this.#connection, `p${++this.#fleets}`];
    return new Fleet({ queue, connection, root: ROOT, name, ...options });
  }

  serve(options: Partial<ServeOptions> = {}): Promise<Server> {
    const [queue, connection] = [this.queue, this.#connection];
    return serve({ queue, connection, root: ROOT, lockDuration: LOCK, pool: 2, ...options });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#server?.[Symbol.asyncDispose]();
  }
}

/** A store to test with. */
export interface Store {
  name: string;
  /** Whether it is on this machine. */
  there: boolean;
  open(): Promise<Place>;
}

export const REDIS: Store = {
  name: "Redis",
  there: hasRedis,
  open: async () => {
    const server = await RedisServer.start();
    return new Place("redis", server.port, server);
  },
};

export const POSTGRES: Store = {
  name: "PostgreSQL",
  there: hasPostgres,
  open: async () => {
    const server = await PostgresServer.start();
    return new Place("postgres", server.port, server);
  },
};

export const STORES: Store[] = [REDIS, POSTGRES];
