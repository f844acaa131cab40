import { createPool } from "./ours.ts";
import type { Pool } from "./pool.ts";

/** This package, with a process for each worker. */
export const pool: Pool = createPool({ isolation: "process" });
