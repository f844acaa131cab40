/**
 * Pictures of what happens in a pool.
 *
 * `timeline` makes a page of what happened, `dashboard` shows on one what happens, and `writeTrace` writes a file for
 * [Perfetto](https://ui.perfetto.dev) or chrome://tracing.
 *
 * @example Usage
 * ```ts
 * import { MultiProcess } from "@cm/multiprocess";
 * import { writeTrace } from "@cm/multiprocess/trace";
 *
 * const file = await Deno.makeTempFile({ suffix: ".json" });
 * const mp = new MultiProcess(2);
 * const written = writeTrace(mp.events(), file);
 * mp.start();
 * // … push tasks …
 * await mp.stop();
 * await written;
 * await Deno.remove(file);
 * ```
 *
 * @module
 */
export type { PoolEvent, TaskPool } from "../../mod.ts";
export { type Dashboard, dashboard, type DashboardOptions } from "./dashboard.ts";
export { timeline, type TimelineOptions } from "./timeline.ts";
export { type TraceOptions, writeTrace } from "./write_trace.ts";
