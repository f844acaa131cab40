/** When a worker wakes the dispatcher, and when it need not: the dispatcher takes a core from a worker each time. */
import { assert, assertEquals } from "@std/assert";
import { type FromWorker, RESULTS } from "../../src/wire/protocol.ts";
import { RecordWriter, ResultRecord, RunRecord } from "../../src/wire/records.ts";
import { RING_WORDS, SharedSeat, SLOTS } from "../../src/runtime/shared.ts";
import type { Run } from "../../src/worker/run_list.ts";
import type { Seat } from "../../src/worker/seat.ts";
import { TaskRunner } from "../../src/worker/task_runner.ts";
import { fixture, until } from "../helpers.ts";

/** A runner in this thread that has loaded the first of these, exports or modules, and all that it tells. */
async function seated(...exports: string[]) {
  const dispatcher = new SharedSeat();
  const told: (string | number[])[] = [];
  const noted: number[][] = [];
  class FakeSeat extends SharedSeat implements Seat {
    readonly isolation = "thread";
    readonly measured = "thread";
    readonly note = ({ task, attempt }: Run) => void noted.push([task, attempt]);
    post(message: FromWorker): void {
      told.push(message === RESULTS ? read() : message.type);
    }
    exit(): void {
      told.push("exit");
    }
  }
  const runner = new TaskRunner(new FakeSeat(dispatcher.memory));
  const modules = exports.map((exported, module) => {
    if (exported.startsWith("data:")) {
      return { module, specifier: exported, url: exported, exported: undefined };
    }
    const url = fixture("tasks.ts");
    return { module, specifier: `${url}#${exported}`, url, exported };
  });
  runner.receive({ type: "modules", modules });
  await runner.start({ initializer: undefined });
  assertEquals(told.splice(0), ["ready"]);
  const runs = new RecordWriter();
  const into = new Int32Array(RING_WORDS);

  /** The message that brings these tasks, which are to be offered before. */
  function deliver(tasks: { seq: number; module?: number; args: unknown[] }[]): void {
    for (const { seq, module = 0, args } of tasks) {
      const at = runs.begin(RunRecord.header);
      RunRecord.put(runs.words, at, seq, seq + 100, 1, module, 1);
      runs.list(args);
      runs.end();
    }
    runner.receive(runs.take());
  }

  /** The numbers of the tasks of which there are results. */
  function read(): number[] {
    const end = dispatcher.read(into);
    const seqs: number[] = [];
    for (let at = 0; at < end; at += into[at]!) seqs.push(ResultRecord.seq(into, at));
    return seqs;
  }

  /** Until the runner has told so much. */
  const tells = (count: number) => until(() => told.length >= count, 20_000, `${count} messages`);

  dispatcher.offer(0);
  deliver([{ seq: 0, args: [0] }]);
  await tells(1);
  assertEquals(told.splice(0), [[0]]);
  assertEquals(noted.splice(0), [[100, 1]]);
  return { runner, told, noted, dispatcher, deliver, read, tells };
}

Deno.test("a worker tells of its results when it has nothing more to do, once for all of them", async () => {
  const { told, dispatcher, deliver } = await seated("spin");
  for (const seq of [1, 2, 3]) dispatcher.offer(seq);
  deliver([1, 2, 3].map((seq) => ({ seq, args: [5] })));
  assertEquals(told, [[1, 2, 3]]);
});

Deno.test("a worker says nothing while more is on its way, and everything when that was taken back", async () => {
  const { told, dispatcher, deliver, read } = await seated("echo");
  dispatcher.offer(1);
  dispatcher.offer(2);
  deliver([{ seq: 1, args: [0] }]);
  // The result is there all the same, for a dispatcher that looks.
  assertEquals(read(), [1]);
  dispatcher.offer(3);
  deliver([{ seq: 2, args: [0] }]);
  assertEquals(told, []);
  assertEquals(dispatcher.takeBack(3), true);
  deliver([{ seq: 3, args: [0] }]);
  assertEquals(told, [[2]]);
});

Deno.test("a worker tells of its results before a task that is awaited, and before a module is loaded", async () => {
  const { told, dispatcher, deliver, tells } = await seated("echo", "sleep", "add");
  // Its module is loaded while nothing else waits.
  dispatcher.offer(1);
  deliver([{ seq: 1, module: 1, args: [0] }]);
  await tells(1);
  assertEquals(told.splice(0), [[1]]);

  for (const seq of [2, 3, 4, 5]) dispatcher.offer(seq);
  deliver([
    { seq: 2, args: [0] },
    { seq: 3, module: 1, args: [1] },
    { seq: 4, args: [0] },
    { seq: 5, module: 2, args: [1, 2] },
  ]);
  await tells(3);
  assertEquals(told, [[2], [3, 4], [5]]);
});

Deno.test("a worker tells of its results when there is hardly any room for more", async () => {
  const { told, dispatcher, deliver, read } = await seated("echo");
  const seqs = Array.from({ length: SLOTS / 2 }, (_, i) => i + 1);
  for (const seq of [...seqs, seqs.length + 1]) dispatcher.offer(seq);
  deliver(seqs.map((seq) => ({ seq, args: ["x".repeat(200)] })));
  assert(told.length > 0);
  assertEquals([...told.flat(), ...read()], seqs);
});

Deno.test("a worker says before all else that a module changed its globals, and skips the tasks of others", async () => {
  const { isArray } = Array;
  try {
    const wraps = "data:text/javascript,Array.isArray = (it) => it === 1; export default () => 7";
    const { told, dispatcher, deliver, read, tells } = await seated("echo", wraps);
    for (const seq of [1, 2, 3]) dispatcher.offer(seq);
    deliver([{ seq: 1, module: 1, args: [] }, { seq: 2, args: [0] }, { seq: 3, module: 1, args: [] }]);
    await tells(2);
    await until(() => dispatcher.look(3) !== undefined, 20_000, "the last");
    assertEquals(told.slice(0, 2), ["home", "result"]);
    assertEquals([...told.slice(2).flat(), ...read()], [3]);
    assertEquals(dispatcher.takeBack(2), true);
  } finally {
    Array.isArray = isArray;
  }
});

Deno.test("a worker notes a run by the id of the pool that it is in, not by that which the task is told", async () => {
  const { runner, noted, dispatcher, tells } = await seated("echo");
  dispatcher.offer(1);
  const run = { seq: 1, task: 7, id: 7_000, attempt: 3, slot: 1, module: 0, args: [0], inner: undefined };
  runner.receive({ type: "run-one", ...run });
  await tells(1);
  assertEquals(noted, [[7, 3]]);
});

Deno.test("a worker begins what it was given while it starts only when it has said that it is ready", async () => {
  const dispatcher = new SharedSeat();
  const told: (string | number)[] = [];
  class FakeSeat extends SharedSeat implements Seat {
    readonly isolation = "thread";
    readonly measured = "thread";
    post = (message: FromWorker) => void told.push(message === RESULTS ? message : message.type);
    exit(): void {}
  }
  const runner = new TaskRunner(new FakeSeat(dispatcher.memory));
  const [url, exported] = [fixture("tasks.ts"), "echo"];
  runner.receive({ type: "modules", modules: [{ module: 0, specifier: `${url}#echo`, url, exported }] });
  const runs = new RecordWriter();
  const at = runs.begin(RunRecord.header);
  RunRecord.put(runs.words, at, 0, 1, 1, 0, 1);
  runs.list([5]);
  runs.end();
  dispatcher.offer(0);
  runner.receive(runs.take());
  assertEquals(dispatcher.isOffered(0), true);
  await runner.start({ initializer: undefined });
  assertEquals([told[0], dispatcher.isOffered(0)], ["ready", false]);
  await until(() => told.includes(RESULTS), 20_000, "its result");
});
