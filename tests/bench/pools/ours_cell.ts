import { createPool } from "./ours.ts";
import type { Pool } from "./pool.ts";

/** This package, with its threads in a child process. */
export const pool: Pool = createPool({ isolation: "cell" });
