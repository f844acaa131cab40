/** When the next cell is started, and what follows from starts that fail. */
import { assert, assertEquals } from "@std/assert";
import { CellStarts, type Verdict } from "../../src/cells/cell_starts.ts";
import type { DeathData } from "../../src/wire/protocol.ts";

const DEATH: DeathData = { reason: "signal", exitCode: null, message: "was killed by SIGKILL" };
/** There is no want of those here. */
const RESTARTS = 1e9;
const NEVER_READY = { begun: false, readyAt: undefined, warm: true };

const pauseOf = (verdict: Verdict) => typeof verdict === "object" ? verdict.pause : verdict;

Deno.test("CellStarts lets the next cell start at once after one that was of use", () => {
  const starts = new CellStarts(RESTARTS);
  for (let at = 0; at < 100_000; at += 1_000) {
    assertEquals(starts.ended(DEATH, { begun: true, readyAt: undefined, warm: false }, at), { pause: 0 });
    assertEquals(starts.ended(DEATH, { ...NEVER_READY, readyAt: at - 1_000 }, at), { pause: 0 });
  }
});

Deno.test("CellStarts ends a pool that never had a cell after three failed starts", () => {
  const starts = new CellStarts(RESTARTS);
  const cold = { ...NEVER_READY, warm: false };
  const verdicts = [0, 1, 2].map((at) => pauseOf(starts.ended(DEATH, cold, at)));
  assertEquals(verdicts, [0, 100, "never"]);
});

Deno.test("CellStarts waits longer from failure to failure, up to a bound, and starts over after a good start", () => {
  const starts = new CellStarts(RESTARTS);
  const pauses = Array.from({ length: 10 }, (_, at) => pauseOf(starts.ended(DEATH, NEVER_READY, at)));
  assertEquals(pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
  starts.ended(DEATH, { ...NEVER_READY, begun: true }, 20);
  assertEquals(pauseOf(starts.ended(DEATH, NEVER_READY, 30)), 0);
});

Deno.test("CellStarts counts a cell that dies as soon as it is ready among those that fail", () => {
  const starts = new CellStarts(RESTARTS);
  const pauses = [0, 1, 2].map((at) => pauseOf(starts.ended(DEATH, { ...NEVER_READY, readyAt: at }, at)));
  assertEquals(pauses, [0, 100, 200]);
});

Deno.test("CellStarts says that no cell can be had when starts have failed for a minute, and has it tried on", () => {
  const starts = new CellStarts(RESTARTS);
  assertEquals(starts.ended(DEATH, NEVER_READY, 1_000), { pause: 0 });
  assertEquals(starts.ended(DEATH, NEVER_READY, 60_999), { pause: 100 });
  const verdict = starts.ended(DEATH, NEVER_READY, 61_000);
  assert(typeof verdict === "object" && verdict.unavailable !== undefined);
  assertEquals([verdict.pause, verdict.unavailable], [200, {
    reason: "signal",
    exitCode: null,
    message: "could not be started: no cell could for 60 s, and the last one was killed by SIGKILL",
  }]);
});
