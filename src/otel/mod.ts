/**
 * OpenTelemetry for a pool: spans for its tasks, and metrics.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess } from "@cm/multiprocess";
 * import { instrument } from "@cm/multiprocess/otel";
 * import { assertEquals } from "@std/assert";
 *
 * await using mp = instrument(new MultiProcess(2));
 * mp.start();
 * assertEquals(await mp.run(new InfoTask("data:text/javascript,export default (n) => 2 * n", 1_000, 21)), 42);
 * ```
 *
 * On Deno run the program with `OTEL_DENO=true`: it then sends what is told to a collector.
 *
 * @module
 */
export { instrument, type InstrumentOptions } from "./instrument.ts";
export type { TaskPool } from "../../mod.ts";
