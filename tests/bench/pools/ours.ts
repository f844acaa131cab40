import * as multiprocess from "../../../mod.ts";
import { poolOf } from "./ours.mjs";
import type { Pool } from "./pool.ts";

/** This package, with its defaults. */
export const pool: Pool = createPool({});

/** This package, set up otherwise. */
export function createPool(options: multiprocess.MultiProcessOptions): Pool {
  return poolOf(multiprocess, options);
}
