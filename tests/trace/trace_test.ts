import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess, type PoolEvent } from "../../mod.ts";
import { writeTrace } from "../../src/trace/mod.ts";
import { type Levels, type Run, Runs } from "../../src/trace/runs.ts";
import { fixture } from "../helpers.ts";

const settled = { attempts: 1, ranMs: 10 };

Deno.test("Runs makes a run of what is pushed, begun and settled", () => {
  const runs: Run[] = [];
  const unrun: unknown[] = [];
  const levels: Levels[] = [];
  const book = new Runs({
    run: (run) => runs.push(run),
    unrun: (...facts) => unrun.push(facts),
    levels: (each) => levels.push(each),
  });
  const events: PoolEvent[] = [
    { type: "worker-started", at: 1, workerId: 1 },
    { type: "pushed", at: 2, taskId: 1 },
    { type: "pushed", at: 3, taskId: 2 },
    { type: "started", at: 4, taskId: 1, attempt: 1, workerId: 1, slot: 1 },
    // Told a little late, as it is: the length of the run counts.
    { type: "settled", at: 20, taskId: 1, workerId: 1, status: "ok", ...settled },
    { type: "settled", at: 21, taskId: 2, workerId: undefined, status: "cancelled", attempts: 0, ranMs: 0 },
    // Begun before anybody watched.
    { type: "settled", at: 40, taskId: 7, workerId: 2, status: "failed", ...settled },
    { type: "worker-gone", at: 41, workerId: 1, reason: "stopped", error: undefined },
  ];
  for (const event of events) book.add(event);
  const times = { pushedAt: 2, startedAt: 4, endedAt: 14 };
  assertEquals(runs, [
    { taskId: 1, workerId: 1, attempt: 1, ...times, status: "ok", message: undefined },
    {
      taskId: 7,
      workerId: 2,
      attempt: 1,
      pushedAt: undefined,
      startedAt: 30,
      endedAt: 40,
      status: "failed",
      message: undefined,
    },
  ]);
  assertEquals(unrun, [[2, "cancelled", undefined, 21]]);
  assertEquals(levels.map(({ queued, running, workers }) => [queued, running, workers]), [
    [0, 0, 1],
    [1, 0, 1],
    [2, 0, 1],
    [1, 1, 1],
    [1, 0, 1],
    [0, 0, 1],
    [0, 0, 1],
    [0, 0, 0],
  ]);
});

interface Record {
  name: string;
  ph: string;
  cat?: string;
  tid?: number;
  ts?: number;
  dur?: number;
  id?: number;
  args?: { [key: string]: unknown };
}

Deno.test("writeTrace() writes what happened, for each task once", async () => {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const mp = new MultiProcess({ size: 2, name: "traced" });
    const written = writeTrace(mp.events(), file, { name: "traced" });
    mp.start();
    const add = (i: number) => new InfoTask(fixture("tasks.ts#add"), 20_000, i, 1);
    const outcomes = await Promise.all([
      ...Array.from({ length: 20 }, (_, i) => mp.push(add(i))),
      mp.push(new InfoTask(fixture("tasks.ts#sleep"), 200, 60_000), { label: "a long nap" }),
      mp.push(new InfoTask(fixture("hang.ts#loop"), 100)),
      mp.push(add(1), { signal: AbortSignal.abort() }),
    ]);
    await mp.stop();
    await written;
    const records: Record[] = JSON.parse(await Deno.readTextFile(file));
    const runs = records.filter(({ ph, cat }) => ph === "X" && cat !== "push");
    const expected = outcomes.filter(({ attempts }) => attempts > 0).map(({ taskId, status, workerId }) =>
      `task ${taskId} ${status} ${workerId}`
    );
    assertEquals(runs.map(({ name, cat, tid }) => `${name} ${cat} ${tid}`).sort(), expected.sort());
    const labels = runs.filter(({ cat }) => cat === "timed-out").map(({ args }) => args!.label);
    assertEquals(labels.sort(), ["a long nap", "hang.ts#loop"]);
    // Every arrow has both ends, and the one that never ran has none.
    const ids = (ph: string) => records.filter((each) => each.ph === ph).map(({ id }) => id).sort();
    assertEquals(ids("s").length, outcomes.length);
    assertEquals(
      ids("f"),
      outcomes.filter(({ attempts }) => attempts > 0).map(({ taskId }) => taskId).sort(),
    );
    const names = records.filter(({ name }) => name === "thread_name").map(({ tid }) => tid);
    for (const { tid } of runs) assert(names.includes(tid));
    assert(records.some(({ name, ph }) => name === "killed" && ph === "i"));
    const queues = records.filter(({ name }) => name === "queue").map(({ args }) => Number(args!.tasks));
    assertEquals(queues.at(-1), 0);
    assert(Math.max(...queues) >= 1);
    assert(runs.every(({ ts, dur }) => Number.isSafeInteger(ts) && ts! >= 0 && dur! >= 1));
  } finally {
    await Deno.remove(file);
  }
});
