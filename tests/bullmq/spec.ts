import { createPostgresBackend } from "bullmq";
import pg from "pg";
import type { Connection } from "../../src/bullmq/mod.ts";

/** Which queue, as a process of the tests is told it. */
export interface QueueSpec {
  store: "redis" | "postgres";
  port: number;
  queue: string;
}

/** The way to it, and how to end what that opened. */
export function connect({ store, port }: QueueSpec): { connection: Connection; close: () => Promise<void> } {
  if (store === "redis") return { connection: `redis://127.0.0.1:${port}`, close: () => Promise.resolve() };
  const pool = new pg.Pool({ ...postgresConfig(port), max: 40 });
  pool.on("error", () => {});
  return { connection: { store: pool, backend: createPostgresBackend }, close: () => pool.end() };
}

/** How a PostgreSQL of the tests is reached, with BullMQ's schema. */
export function postgresConfig(port: number): Record<string, unknown> {
  return { host: "127.0.0.1", port, user: "test", database: "postgres", options: "-c search_path=bullmq" };
}
