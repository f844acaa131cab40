import { type Contestant, OURS, PEERS } from "./contestants.ts";

/** A pool, and a way in which it stops tasks. */
export interface Subject {
  readonly contestant: Contestant;
  readonly by: string;
  readonly ours: boolean;
  readonly hangs: number;
}

/** The number in the environment, so that a run can be made short while working on it. */
const hangs = Number(Deno.env.get("HANGS") ?? 200);
/** Fewer, since each may leave a thread behind that takes its share of the CPU until the end. */
const peerHangs = Number(Deno.env.get("PEER_HANGS") ?? 10);

const BY: Record<string, string> = {
  "piscina": "AbortSignal.timeout()",
  "workerpool": ".timeout()",
  "poolifier-web-worker": "AbortSignal.timeout()",
};

/** Ours with both kinds of workers, and the peers on Deno. */
export const SUBJECTS: readonly Subject[] = [
  { contestant: OURS, by: "limit, threads", ours: true, hangs },
  { contestant: { ...OURS, file: "ours_process.ts" }, by: "limit, processes", ours: true, hangs },
  ...PEERS.filter(({ runtime }) => runtime === "deno")
    .map((contestant) => ({ contestant, by: BY[contestant.name] ?? "", ours: false, hangs: peerHangs })),
];
