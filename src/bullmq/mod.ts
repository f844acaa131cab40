/**
 * Many machines: the same `push` over BullMQ, with tasks that hang really stopped on every machine.
 *
 * `serve()` makes a machine take tasks from a queue in Redis, Valkey or PostgreSQL; a `Fleet` is a pool of all machines
 * that serve it. What is pushed, and what becomes of it, is as with a `MultiProcess`.
 *
 * @example A machine
 * ```ts ignore
 * import { serve } from "@cm/multiprocess/bullmq";
 *
 * const machine = await serve({
 *   queue: "images",
 *   root: import.meta.resolve("./tasks/"),
 *   connection: "redis://redis:6379",
 * });
 * Deno.addSignalListener("SIGTERM", () => machine.stop());
 * ```
 *
 * @example A producer
 * ```ts ignore
 * import { InfoTask } from "@cm/multiprocess";
 * import { Fleet } from "@cm/multiprocess/bullmq";
 *
 * await using mp = new Fleet({
 *   queue: "images",
 *   name: "web-1",
 *   root: import.meta.resolve("./tasks/"),
 *   connection: "redis://redis:6379",
 * });
 * mp.start();
 * mp.push(new InfoTask<typeof import("./tasks/hash.ts")>(import.meta.resolve("./tasks/hash.ts"), 5_000, "a.png"));
 * ```
 *
 * @module
 */
export { Fleet } from "./fleet.ts";
export type {
  Connection,
  FleetOptions,
  FleetQueueOptions,
  MachinePoolOptions,
  OtherStore,
  RedisConnection,
  ServeOptions,
} from "./options.ts";
export { serve } from "./serve.ts";
export type { Server, ServerStats } from "./server.ts";
