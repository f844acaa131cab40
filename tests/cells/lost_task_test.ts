/** What becomes of a task whose cell has died. */
import { assert, assertEquals } from "@std/assert";
import { type Fate, fateOf, nextAfter } from "../../src/cells/lost_task.ts";
import type { Begun } from "../../src/runtime/claims.ts";
import { now } from "../../src/wire/now.ts";
import type { DeathData, RetryData, TaskData } from "../../src/wire/protocol.ts";

const DEATH: DeathData = { reason: "signal", exitCode: null, message: "was killed" };
const NO = { always: false, waiting: false };
const RETRY: RetryData = {
  maxAttempts: 3,
  minTimeout: 100,
  maxTimeout: 1_000,
  multiplier: 2,
  jitter: 0,
  on: ["crashed"],
};

function lost(begun?: Begun, more: Partial<TaskData> = {}, cancelled = NO, dueAt = 0): Fate {
  const pushedAt = 1_000;
  const data = { id: 5, module: 1, timeout: 10, args: [], transfer: [], priority: 0, softTimeout: undefined };
  const task = {
    id: 5,
    module: 1,
    pushedAt,
    record: undefined,
    data: { ...data, retry: undefined, ...more },
    dueAt,
  };
  return fateOf(task, DEATH, begun, cancelled);
}

const run = (attempt: number): Begun => ({ attempt, at: 1_500 });
const statusOf = (fate: Fate) => "outcome" in fate ? fate.outcome.status : fate;

Deno.test("one that was not begun goes on at once, with the attempts that it had", () => {
  assertEquals(lost(), { attempts: 0, after: 0 });
  assertEquals(lost(undefined, { origin: { id: 5, attempts: 2 }, retry: RETRY }), { attempts: 2, after: 0 });
});

Deno.test("one that was waiting for its next attempt goes on with that", () => {
  assertEquals(lost(run(2), { origin: { id: 5, attempts: 2 }, retry: RETRY }), { attempts: 2, after: 0 });
});

Deno.test("one that was waiting for its next attempt waits for what is left of that", () => {
  const fate = lost(run(2), { origin: { id: 5, attempts: 2 }, retry: RETRY }, NO, now() + 60_000);
  assert("after" in fate);
  assert(fate.attempts === 2 && fate.after > 50_000 && fate.after <= 60_000, `${fate.after} ms`);
});

Deno.test("one that was begun has crashed, with the times of its run", () => {
  const fate = lost(run(1));
  assert("outcome" in fate);
  const { status, attempts, waitedMs, death } = fate.outcome;
  assertEquals({ status, attempts, waitedMs, death }, {
    status: "crashed",
    attempts: 1,
    waitedMs: 500,
    death: DEATH,
  });
});

Deno.test("one that was begun is run again where its retry says so, until it was run often enough", () => {
  assertEquals(lost(run(1), { retry: RETRY }), { attempts: 1, after: 100 });
  assertEquals(lost(run(2), { retry: RETRY, origin: { id: 5, attempts: 1 } }), { attempts: 2, after: 200 });
  assertEquals(statusOf(lost(run(3), { retry: RETRY, origin: { id: 5, attempts: 2 } })), "crashed");
  assertEquals(statusOf(lost(run(1), { retry: { ...RETRY, on: ["failed"] } })), "crashed");
});

Deno.test("one that is to be cancelled is, unless only what waits is and it had been begun", () => {
  const [always, waiting] = [{ always: true, waiting: false }, { always: false, waiting: true }];
  assertEquals(statusOf(lost(undefined, {}, always)), "cancelled");
  assertEquals(statusOf(lost(run(1), { retry: RETRY }, always)), "cancelled");
  assertEquals(statusOf(lost(undefined, {}, waiting)), "cancelled");
  assertEquals(statusOf(lost(run(1), {}, waiting)), "crashed");
  // It is not tried again.
  assertEquals(statusOf(lost(run(1), { retry: RETRY }, waiting)), "crashed");
});

Deno.test("nextAfter() says whether a run is followed by another, and after which time", () => {
  const data = { id: 5, module: 1, timeout: 10, args: [], transfer: [], priority: 0, softTimeout: undefined };
  assertEquals(nextAfter({ ...data, retry: RETRY }, "crashed", 2), 200);
  assertEquals(nextAfter({ ...data, retry: RETRY }, "crashed", 3), undefined);
  assertEquals(nextAfter({ ...data, retry: RETRY }, "failed", 1), undefined);
  assertEquals(nextAfter({ ...data, retry: undefined }, "crashed", 1), undefined);
  assertEquals(nextAfter(undefined, "crashed", 1), undefined);
});
