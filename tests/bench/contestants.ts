import type { VERSIONS } from "./versions.mjs";

/** A row of the table: a pool on a runtime. */
export interface Contestant {
  readonly name: string;
  readonly runtime: "deno" | "node";
  /** In `pools/`. */
  readonly file: string;
}

/** This package; all others are compared with it. */
export const OURS: Contestant = { name: "multiprocess", runtime: "deno", file: "ours.ts" };

/** This package, with processes for workers. */
export const OURS_PROCESSES: Contestant = {
  name: "multiprocess, processes",
  runtime: "deno",
  file: "ours_process.ts",
};

/** This package, with its threads in a child process. */
export const OURS_CELLS: Contestant = { name: "multiprocess, cells", runtime: "deno", file: "ours_cell.ts" };

/** The threads without a pool. */
export const BARE: Contestant = { name: "bare threads", runtime: "deno", file: "bare.mjs" };

/** The peers. */
export const PEERS: readonly Contestant[] = [
  peer("piscina", "deno"),
  peer("workerpool", "deno"),
  peer("poolifier-web-worker", "deno"),
  peer("piscina", "node"),
  peer("poolifier", "node"),
  peer("tinypool", "node"),
  peer("workerpool", "node"),
];

function peer(name: keyof typeof VERSIONS, runtime: "deno" | "node"): Contestant {
  return { name, runtime, file: `${name.replaceAll("-", "_")}.mjs` };
}
