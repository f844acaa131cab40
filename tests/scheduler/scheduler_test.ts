import { assert, assertEquals } from "@std/assert";
import type { DeathData, RetryData, Running } from "../../src/wire/protocol.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Command, Event, Result, SchedulerOptions, Task } from "../../src/scheduler/scheduling.ts";
import { random, seed } from "../helpers.ts";

const DEATH: DeathData = { reason: "exit", exitCode: 3, message: "exited with code 3" };

interface FakeTask extends Task {
  retry: RetryData | undefined;
}

function fake(id: number, more: Partial<FakeTask> = {}): FakeTask {
  return {
    id,
    module: 0,
    timeout: 100,
    softTimeout: undefined,
    retry: undefined,
    exclusive: false,
    bytes: 0,
    sendMs: 0,
    lastRun: undefined,
    refusals: 0,
    priority: 0,
    pushedAt: 0,
    attempts: 0,
    seq: 0,
    state: "queued",
    cancelled: false,
    ...more,
  };
}

function options(more: Partial<SchedulerOptions> = {}): SchedulerOptions {
  return {
    size: 1,
    minSize: more.size ?? 1,
    idleTimeout: 10_000,
    spares: 1,
    maxTasksPerWorker: Infinity,
    loadTimeout: 1_000,
    cores: 1,
    killGrace: 300,
    maxZombies: 4,
    restarts: 2,
    maxStarting: Infinity,
    maxOffered: 256,
    maxSeq: Infinity,
    maxSpan: 512,
    ...more,
  };
}

type FakeCommand = Command<FakeTask, Result>;

/** A scheduler whose workers are all ready. */
function warm(more: Partial<SchedulerOptions> = {}) {
  const scheduler = new Scheduler<FakeTask, Result>(options(more));
  for (const command of scheduler.start(0)) {
    if (command.type === "spawn") scheduler.handle({ type: "ready", worker: command.worker }, 0);
  }
  const tell = (event: Event<FakeTask, Result>, now: number): FakeCommand[] => scheduler.handle(event, now);
  return { scheduler, tell };
}

/** Commands as one line each, without the watches. */
function brief(commands: FakeCommand[]): string[] {
  return commands.filter(({ type }) => type !== "watch").map((command) => {
    switch (command.type) {
      case "offer":
        return `offer ${command.worker}: ${command.tasks.map(({ id }) => id)}`;
      case "take-back":
        return `take-back ${command.worker}: ${command.seqs}`;
      case "finish":
        return `finish ${command.task.id}`;
      case "ran":
        return `ran ${command.task.id} since ${command.startedAt}`;
      case "settle":
        return `settle ${command.task.id}: ${command.verdict.status}`;
      case "warm":
      case "closed":
        return command.type;
      case "broken":
        return `broken: ${command.death.message}`;
      case "close":
        return `close ${command.worker}${command.clean ? " cleanly" : ""}`;
      default:
        return `${command.type} ${command.worker}`;
    }
  });
}

function result(seq: number, startedAt: number, endedAt: number, ok = true): Result {
  return { seq, ok, callbacks: 0, startedAt, endedAt };
}

function running(seq: number, since: number, loading = false): Running {
  return { seq, since, loading, callbacks: 0 };
}

/** What a look found, after all messages were taken in. */
function looked(worker: number, running: Running | undefined, drained = true): Event<FakeTask, Result> {
  return { type: "looked", worker, running, drained };
}

/** When the first watch among the commands is due. */
function watchedAt(commands: FakeCommand[]): number | undefined {
  for (const command of commands) if (command.type === "watch") return command.at;
  return undefined;
}

Deno.test("Scheduler.start() starts the pool and its spares, and is warm when the pool is ready", () => {
  const scheduler = new Scheduler<FakeTask, Result>(options({ size: 2, minSize: 2 }));
  assertEquals(brief(scheduler.start(0)), ["spawn 1", "spawn 2", "spawn 3"]);
  assertEquals(brief(scheduler.handle({ type: "ready", worker: 2 }, 5)), []);
  assertEquals(brief(scheduler.handle({ type: "ready", worker: 1 }, 6)), ["warm"]);
});

Deno.test("Scheduler hands the first task of an unknown module out alone, and quick ones in batches", () => {
  const { tell } = warm();
  assertEquals(brief(tell({ type: "push", task: fake(1) }, 0)), ["offer 1: 1"]);
  for (let id = 2; id <= 6; id++) assertEquals(brief(tell({ type: "push", task: fake(id) }, 0)), []);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 0, 0.01)] }, 1)), [
    "finish 1",
    "offer 1: 2,3,4,5,6",
  ]);
});

Deno.test("Scheduler refills a worker when half of what it had is done, not after each task", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  for (let id = 2; id <= 100; id++) tell({ type: "push", task: fake(id) }, 0);
  const offered = (commands: FakeCommand[]) =>
    commands.flatMap((command) => command.type === "offer" ? [command.tasks.length] : []);
  // Tasks of a millisecond each.
  const counts = [offered(tell({ type: "results", worker: 1, results: [result(0, 0, 1)] }, 1))];
  for (let seq = 1; seq <= 32; seq++) {
    counts.push(offered(tell({ type: "results", worker: 1, results: [result(seq, seq, seq + 1)] }, seq + 1)));
  }
  const none = Array.from({ length: 15 }, () => []);
  assertEquals(counts, [[32], ...none, [16], ...none, [16]]);
});

Deno.test("Scheduler settles a task at its deadline, stops its worker and goes on with the spare", () => {
  const { scheduler, tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  tell({ type: "push", task: fake(2) }, 0);
  assertEquals(brief(tell(looked(1, running(0, 1)), 100)), []);
  assertEquals(brief(tell(looked(1, running(0, 1)), 101)), [
    "settle 1: timed-out",
    "close 1",
    "offer 2: 2",
    "spawn 3",
  ]);
  assertEquals(scheduler.stats().killed, 1);
  // A late reply changes nothing.
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 1, 50)] }, 102)), []);
});

Deno.test("Scheduler starts workers again a few at a time, beside tasks that run, but waits for none that hangs", () => {
  const { tell } = warm({ size: 3, maxStarting: 1, maxOffered: 1, killGrace: 0 });
  for (let id = 1; id <= 3; id++) tell({ type: "push", task: fake(id) }, 0);
  const spawns = (event: Event<FakeTask, Result>, now: number) =>
    brief(tell(event, now)).filter((line) => line.startsWith("spawn"));
  assertEquals(spawns(looked(1, running(0, 0)), 100), ["spawn 5"]);
  assertEquals(spawns(looked(2, running(0, 0)), 101), []);
  assertEquals(spawns({ type: "ready", worker: 5 }, 200), ["spawn 6"]);
  assertEquals(spawns(looked(3, running(0, 0)), 201), []);
  assertEquals(spawns({ type: "tick" }, 1_199), []);
  assertEquals(spawns({ type: "tick" }, 1_200), ["spawn 7"]);
});

Deno.test("Scheduler lets a task that a spare took over begin before it starts another spare, where that takes a core", () => {
  const { scheduler, tell } = warm({ maxStarting: 1, maxOffered: 1, killGrace: 0 });
  for (let id = 1; id <= 2; id++) tell({ type: "push", task: fake(id) }, 0);
  const over = tell(looked(1, running(0, 0)), 100);
  assertEquals(brief(over), ["settle 1: timed-out", "close 1", "kill 1", "offer 2: 2"]);
  assertEquals(scheduler.wakeAt, 125);
  assertEquals(brief(tell({ type: "tick" }, 125)), ["spawn 3"]);
});

Deno.test("Scheduler comes back to the workers that it could not start at once, whatever becomes of the first", () => {
  const { scheduler, tell } = warm({ size: 4, minSize: 0, spares: 0, maxStarting: 1 });
  for (let id = 1; id <= 4; id++) tell({ type: "push", task: fake(id) }, 0);
  const started: string[] = [];
  for (let now = scheduler.wakeAt; now <= 4_000; now = scheduler.wakeAt) {
    started.push(...brief(tell({ type: "tick" }, now)).map((line) => `${line} at ${now}`));
  }
  assertEquals(started, ["spawn 2 at 1000", "spawn 3 at 2000", "spawn 4 at 3000"]);
});

Deno.test("Scheduler escalates from asking to interrupting to a zombie, and counts the end", () => {
  const { scheduler, tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  tell(looked(1, running(0, 0)), 100);
  assertEquals(scheduler.wakeAt, 400);
  assertEquals(brief(tell({ type: "tick" }, 399)), []);
  assertEquals(brief(tell({ type: "tick" }, 400)), ["kill 1"]);
  assertEquals(scheduler.stats().zombies, 0);
  tell({ type: "tick" }, 1_400);
  assertEquals(scheduler.stats().zombies, 1);
  tell({ type: "gone", worker: 1, death: DEATH, results: [], running: undefined, unclaimed: [] }, 5_000);
  assertEquals(scheduler.stats().zombies, 0);
  assertEquals(scheduler.stats().ended, { asked: 0, interrupted: 1 });
});

Deno.test("Scheduler refuses to start workers beyond maxZombies, and tells the tasks why", () => {
  const { tell } = warm({ maxZombies: 1, spares: 0 });
  tell({ type: "push", task: fake(1) }, 0);
  assertEquals(brief(tell(looked(1, running(0, 0)), 100)).at(-1), "spawn 2");
  tell({ type: "ready", worker: 2 }, 200);
  tell({ type: "tick" }, 400);
  tell({ type: "tick" }, 1_400);
  // Worker 1 is a zombie now: there is no third when worker 2 ends.
  assertEquals(
    brief(
      tell({ type: "gone", worker: 2, death: DEATH, results: [], running: undefined, unclaimed: [] }, 1_500),
    ),
    [],
  );
  assertEquals(brief(tell({ type: "push", task: fake(2) }, 1_500)), ["settle 2: crashed"]);
});

Deno.test("Scheduler takes back what waits behind an overdue task before it stops the worker", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  for (let id = 2; id <= 4; id++) tell({ type: "push", task: fake(id) }, 0);
  tell({ type: "results", worker: 1, results: [result(0, 0, 0.1)] }, 1);
  assertEquals(brief(tell(looked(1, running(1, 1)), 101)), [
    "take-back 1: 1,2,3",
    "look 1",
  ]);
  assertEquals(brief(tell({ type: "taken-back", worker: 1, seqs: [2, 3] }, 101)), []);
  assertEquals(brief(tell(looked(1, running(1, 1)), 101)), [
    "settle 2: timed-out",
    "close 1",
    "offer 2: 3,4",
    "spawn 3",
  ]);
});

Deno.test("Scheduler does not stop a worker whose overdue task finished meanwhile", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  tell({ type: "push", task: fake(2) }, 0);
  tell({ type: "results", worker: 1, results: [result(0, 0, 0.1)] }, 1);
  const commands = tell({ type: "results", worker: 1, results: [result(1, 1, 102)] }, 102);
  assertEquals(brief(commands), ["settle 2: timed-out"]);
});

Deno.test("Scheduler counts a value that came after its deadline as a timeout", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 0, 100.5)] }, 101)), [
    "settle 1: timed-out",
  ]);
});

Deno.test("Scheduler takes tasks back from behind a long one", () => {
  const { scheduler, tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  for (let id = 2; id <= 4; id++) tell({ type: "push", task: fake(id) }, 0);
  tell({ type: "results", worker: 1, results: [result(0, 0, 0.1)] }, 1);
  assertEquals(scheduler.wakeAt, 5);
  assertEquals(brief(tell({ type: "tick" }, 5)), ["look 1"]);
  assertEquals(brief(tell(looked(1, running(1, 1)), 5.1)), [
    "take-back 1: 1,2,3",
  ]);
});

Deno.test("Scheduler has a worker looked at every 8 ms while tasks wait on it: till then it says nothing of its results", () => {
  const { scheduler, tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  for (let id = 2; id <= 4; id++) tell({ type: "push", task: fake(id) }, 0);
  // Tasks of 10 ms: the next is not late before 20.
  tell({ type: "results", worker: 1, results: [result(0, 0, 10)] }, 10);
  assertEquals(scheduler.wakeAt, 18);
  assertEquals(brief(tell({ type: "tick" }, 18)), ["look 1"]);
  assertEquals(brief(tell(looked(1, running(1, 10)), 18)), []);
  assertEquals(scheduler.wakeAt, 26);
  assertEquals(brief(tell({ type: "tick" }, 26)), ["look 1"]);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(1, 10, 20)] }, 26)), ["finish 2"]);
  assertEquals(scheduler.wakeAt, 34);
  // The last says itself that it is over.
  assertEquals(brief(tell({ type: "tick" }, 34)), ["look 1"]);
  tell({ type: "results", worker: 1, results: [result(2, 20, 30)] }, 34);
  assertEquals(scheduler.wakeAt, 42);
  assertEquals(brief(tell({ type: "tick" }, 42)), []);
  assertEquals(scheduler.wakeAt, Infinity);
});

Deno.test("Scheduler gives a free worker what waits on a busy one", () => {
  const { tell } = warm({ size: 2, minSize: 2, spares: 0 });
  tell({ type: "push", task: fake(1) }, 0);
  tell({ type: "push", task: fake(2) }, 0);
  tell({ type: "results", worker: 1, results: [result(0, 0, 1)] }, 1);
  for (let id = 3; id <= 6; id++) tell({ type: "push", task: fake(id, { timeout: 5_000 }) }, 1);
  const commands = brief(tell({ type: "results", worker: 2, results: [result(0, 0, 3)] }, 3));
  assertEquals(commands, ["finish 2", "take-back 1: 3,4"]);
  assertEquals(brief(tell({ type: "taken-back", worker: 1, seqs: [3, 4] }, 3)), ["offer 2: 5", "offer 1: 6"]);
});

Deno.test("Scheduler times loading by its own limit", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  assertEquals(brief(tell(looked(1, running(0, 0, true)), 999)), []);
  const commands = tell(looked(1, running(0, 0, true)), 1_000);
  const settled = commands.find(({ type }) => type === "settle") as FakeCommand & { type: "settle" };
  assertEquals(settled.verdict, { status: "timed-out", limit: { loading: true, timeout: 1_000 } });
});

Deno.test("Scheduler settles the task of a dead worker as crashed, and replaces the worker", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  assertEquals(
    brief(tell({ type: "gone", worker: 1, death: DEATH, results: [], running: undefined, unclaimed: [] }, 5)),
    [
      "settle 1: crashed",
      "spawn 3",
    ],
  );
});

Deno.test("Scheduler limits restarts, and refuses a module that ends every worker", () => {
  const { scheduler, tell } = warm();
  let now = 0;
  let spawned = 0;
  let settled = 0;
  const live = [1, 2];
  const carry = (commands: FakeCommand[]) => {
    for (const command of commands) {
      if (command.type === "spawn") {
        spawned++;
        live.push(command.worker);
        carry(tell({ type: "ready", worker: command.worker }, now));
      } else if (command.type === "settle") {
        assertEquals(command.verdict.status, "crashed");
        settled++;
      } else if (command.type === "offer") {
        now += 1;
        carry(
          tell(
            {
              type: "gone",
              worker: command.worker,
              death: DEATH,
              results: [],
              running: undefined,
              unclaimed: [],
            },
            now,
          ),
        );
      }
    }
  };
  for (let id = 1; id <= 100; id++) carry(tell({ type: "push", task: fake(id) }, now));
  for (; now < 3_000; now = Math.max(now + 1, Math.min(scheduler.wakeAt, 3_000))) {
    carry(tell({ type: "tick" }, now));
  }
  assertEquals(settled, 100);
  assert(spawned <= 3 + 2 * 3 + 1, `${spawned} restarts in 3 s`);
});

Deno.test("Scheduler cancels a waiting task, one that is held, and one that runs", () => {
  const { tell } = warm();
  const [first, second, third] = [fake(1), fake(2), fake(3)];
  for (const task of [first, second, third]) tell({ type: "push", task }, 0);
  assertEquals(brief(tell({ type: "cancel", task: third }, 1)), ["settle 3: cancelled"]);
  assertEquals(brief(tell({ type: "cancel", task: first }, 1)), ["take-back 1: 0", "look 1"]);
  assertEquals(brief(tell({ type: "taken-back", worker: 1, seqs: [] }, 1)), []);
  assertEquals(brief(tell(looked(1, running(0, 0)), 1)), [
    "settle 1: cancelled",
    "close 1",
    "offer 2: 2",
    "spawn 3",
  ]);
  assertEquals(brief(tell({ type: "cancel", task: first }, 2)), []);
});

Deno.test("Scheduler tries a task again after its back-off, which holds no worker", () => {
  const retry: RetryData = {
    maxAttempts: 2,
    minTimeout: 50,
    maxTimeout: 1_000,
    multiplier: 2,
    jitter: 0,
    on: ["failed"],
  };
  const { scheduler, tell } = warm();
  tell({ type: "push", task: fake(1, { retry }) }, 0);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 0, 1, false)] }, 1)), [
    "ran 1 since 0",
  ]);
  assertEquals(scheduler.stats().workers.idle, 2);
  assertEquals(scheduler.wakeAt, 51);
  assertEquals(brief(tell({ type: "tick" }, 51)), ["offer 1: 1"]);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(1, 51, 52, false)] }, 52)), [
    "finish 1",
  ]);
});

Deno.test("Scheduler ends workers that were idle for long, but not below minSize", () => {
  const { scheduler, tell } = warm({ size: 3, minSize: 1, spares: 0, idleTimeout: 100 });
  const commands = [1, 2, 3].flatMap((id) => tell({ type: "push", task: fake(id) }, 0));
  for (const command of commands) {
    if (command.type === "spawn") tell({ type: "ready", worker: command.worker }, 10);
  }
  for (const worker of [1, 2, 3]) tell({ type: "results", worker, results: [result(0, 10, 20)] }, 20);
  assertEquals(scheduler.stats().workers.idle, 3);
  assertEquals(brief(tell({ type: "tick" }, 119)), []);
  assertEquals(brief(tell({ type: "tick" }, 120)).length, 2);
  assertEquals(scheduler.stats().workers.idle, 1);
});

Deno.test("Scheduler replaces a worker after maxTasksPerWorker runs, without a gap", () => {
  const { tell } = warm({ maxTasksPerWorker: 2 });
  tell({ type: "push", task: fake(1) }, 0);
  for (let id = 2; id <= 4; id++) tell({ type: "push", task: fake(id) }, 0);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 0, 0.1)] }, 1)), [
    "finish 1",
    "offer 1: 2",
  ]);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(1, 1, 1.1)] }, 2)), [
    "finish 2",
    "close 1 cleanly",
    "offer 2: 3,4",
    "spawn 3",
  ]);
});

Deno.test("Scheduler replaces a worker that has used all its numbers", () => {
  const { tell } = warm({ maxSeq: 1 });
  for (let id = 1; id <= 3; id++) tell({ type: "push", task: fake(id) }, 0);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 0, 0.1)] }, 1)), [
    "finish 1",
    "offer 1: 2",
  ]);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(1, 1, 1.1)] }, 2)), [
    "finish 2",
    "close 1 cleanly",
    "offer 2: 3",
    "spawn 3",
  ]);
});

Deno.test("Scheduler gives nothing more to a worker whose last results come with its end", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  tell({ type: "push", task: fake(2, { exclusive: true }) }, 0);
  const end = { type: "gone", worker: 1, death: DEATH, running: undefined, unclaimed: [] } as const;
  assertEquals(brief(tell({ ...end, results: [result(0, 0, 0.1)] }, 1)), [
    "finish 1",
    "offer 2: 2",
    "spawn 3",
  ]);
});

Deno.test("Scheduler gives up a worker that begins nothing, and keeps its task", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1, { timeout: 60_000 }) }, 0);
  assertEquals(brief(tell(looked(1, undefined), 999)), []);
  assertEquals(brief(tell(looked(1, undefined, false), 1_001)), ["take-back 1: 0", "look 1"]);
  assertEquals(brief(tell({ type: "taken-back", worker: 1, seqs: [0] }, 1_001)), [
    "close 1",
    "offer 2: 1",
    "spawn 3",
  ]);
});

Deno.test("Scheduler interrupts an idle worker that does not end in peace, and counts it", () => {
  const { scheduler, tell } = warm({ maxTasksPerWorker: 1 });
  tell({ type: "push", task: fake(1) }, 0);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 0, 1)] }, 1)), [
    "finish 1",
    "close 1 cleanly",
    "spawn 3",
  ]);
  assertEquals(brief(tell({ type: "tick" }, 1_001)), ["kill 1"]);
  assertEquals(brief(tell({ type: "tick" }, 1_002)), []);
  const { killed, ended, zombies } = scheduler.stats();
  assertEquals([killed, ended, zombies], [1, { asked: 0, interrupted: 0 }, 0]);
  tell({ type: "gone", worker: 1, death: DEATH, results: [], running: undefined, unclaimed: [] }, 1_003);
  assertEquals(scheduler.stats().ended, { asked: 0, interrupted: 1 });
});

Deno.test("Scheduler says that a module which could not be loaded has no callbacks, and knows nothing of one it never tried", () => {
  const { tell } = warm();
  const callbacks = (commands: FakeCommand[]) =>
    commands.flatMap((command) => command.type === "settle" ? [command.callbacks] : []);
  const loading = { seq: 0, since: 0, loading: true, callbacks: undefined };
  tell({ type: "push", task: fake(1) }, 0);
  assertEquals(callbacks(tell(looked(1, loading), 1_000)), [0]);
  tell({ type: "push", task: fake(2, { exclusive: true }) }, 1_000);
  const lost = tell(
    { type: "gone", worker: 2, death: DEATH, results: [], running: undefined, unclaimed: [] },
    1_001,
  );
  assertEquals(callbacks(lost), [undefined]);
});

Deno.test("Scheduler closes: idle workers cleanly, and is closed when all are gone", () => {
  const { tell } = warm();
  assertEquals(brief(tell({ type: "stop" }, 0)), ["close 1 cleanly", "close 2 cleanly"]);
  assertEquals(
    brief(tell({ type: "gone", worker: 1, death: DEATH, results: [], running: undefined, unclaimed: [] }, 5)),
    [],
  );
  assertEquals(
    brief(tell({ type: "gone", worker: 2, death: DEATH, results: [], running: undefined, unclaimed: [] }, 6)),
    [
      "closed",
    ],
  );
});

Deno.test("Scheduler looks again before it settles an overdue task, and gives its worker nothing more meanwhile", () => {
  const { tell } = warm({ size: 1, spares: 0 });
  tell({ type: "push", task: fake(1) }, 0);
  tell({ type: "results", worker: 1, results: [result(0, 0, 0.1)] }, 1);
  tell({ type: "push", task: fake(2) }, 1);
  for (const drained of [false, false]) {
    const look = tell(looked(1, running(1, 1), drained), 101);
    assertEquals(look.at(-1), { type: "look", worker: 1, drained: true });
  }
  assertEquals(brief(tell({ type: "push", task: fake(3) }, 101)), []);
  // The end of the task came with the messages: it was in time.
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(1, 1, 90)] }, 102)), [
    "finish 2",
    "offer 1: 3",
  ]);
});

Deno.test("Scheduler gives a worker nothing behind a cancelled task", () => {
  const { tell } = warm({ size: 1, spares: 0 });
  tell({ type: "push", task: fake(1) }, 0);
  tell({ type: "results", worker: 1, results: [result(0, 0, 0.1)] }, 1);
  const [second, third] = [fake(2), fake(3)];
  tell({ type: "push", task: second }, 1);
  tell({ type: "cancel", task: second }, 2);
  assertEquals(brief(tell(looked(1, running(1, 1), false), 2)), ["look 1"]);
  assertEquals(brief(tell({ type: "push", task: third }, 2)), []);
  assertEquals(brief(tell(looked(1, running(1, 1)), 2)), ["settle 2: cancelled", "close 1", "spawn 2"]);
});

Deno.test("Scheduler looks in time for the deadline of a task that begins unseen", () => {
  const { tell } = warm();
  tell({ type: "push", task: fake(1, { timeout: 20 }) }, 0);
  assertEquals(watchedAt(tell(looked(1, undefined), 20)), 40);
  assertEquals(watchedAt(tell(looked(1, running(0, 30, true)), 40)), 60);
  assertEquals(watchedAt(tell(looked(1, running(0, 50)), 60)), 70);
});

Deno.test("Scheduler gives a task that no worker begins longer each time, and then an outcome", () => {
  const { scheduler, tell } = warm({ spares: 0 });
  tell({ type: "push", task: fake(1) }, 0);
  const given: number[] = [];
  let now = 0;
  for (let worker = 1;; worker++) {
    const since = now;
    while (brief(tell(looked(worker, undefined, false), now)).length === 0) now += 100;
    given.push(now - since);
    const commands = brief(tell({ type: "taken-back", worker, seqs: [0] }, now));
    if (commands[0] === "settle 1: crashed") break;
    assertEquals(commands, [`close ${worker}`, `spawn ${worker + 1}`]);
    tell({ type: "gone", worker, death: DEATH, results: [], running: undefined, unclaimed: [] }, now);
    assertEquals(brief(tell({ type: "ready", worker: worker + 1 }, now)), [`offer ${worker + 1}: 1`]);
  }
  assertEquals(given, [1_000, 4_000, 16_000]);
  assertEquals(scheduler.stats().queued, 0);
});

Deno.test("Scheduler gives what takes long to send longer to arrive", () => {
  const { tell } = warm({ spares: 0 });
  const task = fake(1);
  tell({ type: "push", task }, 0);
  task.sendMs = 30;
  assertEquals(brief(tell(looked(1, undefined, false), 3_900)), []);
  assertEquals(brief(tell(looked(1, undefined, false), 4_000)), ["take-back 1: 0", "look 1"]);
});

Deno.test("Scheduler fails what waits when workers are ready and then die, over and over, before they begin anything", () => {
  const { tell } = warm({ size: 2, minSize: 2 });
  tell({ type: "push", task: fake(1) }, 0);
  const ends: string[] = [];
  const dies = (worker: number, unclaimed: number[]) =>
    ends.push(
      ...brief(tell({ type: "gone", worker, death: DEATH, results: [], running: undefined, unclaimed }, 0)),
    );
  dies(1, [0]);
  dies(2, [0]);
  assertEquals(ends, ["offer 2: 1", "spawn 4", "offer 3: 1", "spawn 5"]);
  // The third in a row, and there is no other.
  dies(3, [0]);
  assertEquals(ends.slice(4), ["settle 1: crashed", "spawn 6"]);
});

Deno.test("Scheduler lets workers die that begin nothing while another can do its work", () => {
  const { tell } = warm({ size: 2, minSize: 2, spares: 0 });
  tell({ type: "push", task: fake(1) }, 0);
  tell(looked(1, running(0, 0)), 0);
  tell({ type: "push", task: fake(2) }, 0);
  let now = 0;
  for (let worker = 2; worker < 8; worker++, now += 1_000) {
    const event = {
      type: "gone",
      worker,
      death: DEATH,
      results: [],
      running: undefined,
      unclaimed: [0],
    } as const;
    assertEquals(brief(tell(event, now)), [`spawn ${worker + 1}`]);
    assertEquals(brief(tell({ type: "ready", worker: worker + 1 }, now)), [`offer ${worker + 1}: 2`]);
  }
});

Deno.test("Scheduler breaks a pool whose workers are ready and then die before it is warm", () => {
  const scheduler = new Scheduler<FakeTask, Result>(options({ size: 2, minSize: 2, spares: 0 }));
  const all: string[] = [];
  const tell = (event: Event<FakeTask, Result>) => all.push(...brief(scheduler.handle(event, 0)));
  scheduler.start(0);
  for (const worker of [1, 3, 4]) {
    tell({ type: "ready", worker });
    tell({ type: "gone", worker, death: DEATH, results: [], running: undefined, unclaimed: [] });
  }
  assertEquals(all, ["spawn 3", "spawn 4", `broken: ${DEATH.message}`, "kill 2", "closed"]);
});

Deno.test("Scheduler gives buffers that are moved the time they need to arrive", () => {
  const { tell } = warm({ maxOffered: 1, killGrace: 0 });
  const task = fake(1, { exclusive: true, bytes: 300_000_000 });
  tell({ type: "push", task }, 0);
  assertEquals(brief(tell(looked(1, undefined), 15_000)), []);
  assertEquals(brief(tell(looked(1, undefined, false), 16_000)), ["look 1"]);
  assertEquals(brief(tell(looked(1, undefined), 16_000)).slice(0, 2), ["settle 1: crashed", "close 1"]);
});

Deno.test("Scheduler ends a pool whose initializer does not end", () => {
  const scheduler = new Scheduler<FakeTask, Result>(options({ spares: 1 }));
  scheduler.start(0);
  scheduler.handle({ type: "initializing", worker: 1 }, 400);
  assertEquals(scheduler.wakeAt, 2_400);
  assertEquals(brief(scheduler.handle({ type: "tick" }, 2_399)), []);
  assertEquals(brief(scheduler.handle({ type: "tick" }, 2_400)), [
    "close 1",
    "broken: did not end its initializer within 2000 ms (see loadTimeout)",
    "kill 2",
  ]);
  // It is ready after all: too late.
  assertEquals(brief(scheduler.handle({ type: "ready", worker: 1 }, 2_500)), []);
});

Deno.test("Scheduler gives up a worker that never comes to its initializer", () => {
  const { scheduler, tell } = warm({ spares: 0 });
  const end = {
    type: "gone",
    worker: 1,
    death: DEATH,
    results: [],
    running: undefined,
    unclaimed: [],
  } as const;
  assertEquals(brief(tell(end, 0)), ["spawn 2"]);
  assertEquals(brief(tell({ type: "tick" }, 59_999)), []);
  assertEquals(scheduler.wakeAt, 60_000);
  assertEquals(brief(tell({ type: "tick" }, 60_000)), ["close 2", "spawn 3"]);
});

Deno.test("Scheduler runs what is not to wait on a spare, or on one worker more", () => {
  for (const spares of [1, 0]) {
    const { scheduler, tell } = warm({ spares });
    tell({ type: "push", task: fake(1, { timeout: Infinity }) }, 0);
    tell({ type: "push", task: fake(2) }, 0);
    const commands = brief(tell({ type: "push", task: fake(-1, { priority: Infinity, module: 1 }) }, 0));
    if (spares === 1) {
      assertEquals(commands, ["offer 2: -1"]);
    } else {
      assertEquals(commands, ["spawn 2"]);
      assertEquals(brief(tell({ type: "ready", worker: 2 }, 1)), ["offer 2: -1"]);
    }
    const after = brief(tell({ type: "results", worker: 2, results: [result(0, 1, 2)] }, 2));
    assertEquals(after, spares === 1 ? ["finish -1"] : ["finish -1", "close 2 cleanly"]);
    assertEquals(scheduler.stats().queued, 1);
  }
});

Deno.test("Scheduler lets no worker go for one that only starts", () => {
  const { tell } = warm({ spares: 0 });
  tell({ type: "push", task: fake(1) }, 0);
  tell({ type: "push", task: fake(2) }, 0);
  assertEquals(brief(tell({ type: "push", task: fake(-1, { priority: Infinity, module: 1 }) }, 0)), [
    "spawn 2",
  ]);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 0, 1)] }, 1)), [
    "finish 1",
    "offer 1: -1",
  ]);
});

Deno.test("Scheduler runs nothing else beyond its size when what waits for no place is not run", () => {
  const { tell } = warm();
  const end = { type: "gone", death: DEATH, results: [], running: undefined, unclaimed: [] } as const;
  // Module 1 ends every worker, until it is refused.
  let [now, id, worker] = [0, 0, 1];
  for (let refused = false; !refused; now++) {
    const commands = brief(tell({ type: "push", task: fake(++id, { module: 1 }) }, now));
    refused = commands.includes(`settle ${id}: crashed`);
    if (refused) break;
    worker = Number(commands.find((line) => line.startsWith("offer"))!.split(/[ :]/)[1]);
    for (const command of tell({ ...end, worker }, now)) {
      if (command.type === "spawn") tell({ type: "ready", worker: command.worker }, now);
    }
    assert(now < 50, "never refused");
  }
  now += 900;
  for (const command of tell({ type: "tick" }, now)) {
    if (command.type === "spawn") tell({ type: "ready", worker: command.worker }, now);
  }
  assertEquals(brief(tell({ type: "push", task: fake(101, { timeout: 60_000 }) }, now)).length, 1);
  assertEquals(brief(tell({ type: "push", task: fake(102) }, now)), []);
  const urgent = tell({ type: "push", task: fake(-1, { priority: Infinity, module: 1 }) }, now);
  assertEquals(brief(urgent), ["settle -1: crashed"]);
});

Deno.test("Scheduler takes back for a higher priority only what comes after it, and not over and over", () => {
  const { scheduler, tell } = warm();
  tell({ type: "push", task: fake(1) }, 0);
  tell({ type: "results", worker: 1, results: [result(0, 0, 0.1)] }, 1);
  tell({ type: "push", task: fake(2, { priority: 1 }) }, 1);
  assertEquals(brief(tell({ type: "push", task: fake(3, { priority: 1 }) }, 1)), ["offer 1: 3"]);
  // Not before the others of its priority.
  assertEquals(brief(tell({ type: "push", task: fake(4, { priority: 1 }) }, 1)), ["offer 1: 4"]);
  assertEquals(brief(tell({ type: "push", task: fake(5, { priority: 2 }) }, 1)), [
    "take-back 1: 1,2,3",
    "offer 1: 5",
  ]);
  assertEquals(brief(tell({ type: "taken-back", worker: 1, seqs: [2, 3] }, 1)), ["offer 1: 3,4"]);
  assertEquals(brief(tell({ type: "push", task: fake(6, { priority: 3 }) }, 2)), ["offer 1: 6"]);
  assertEquals(brief(tell({ type: "push", task: fake(7, { priority: 4 }) }, 2)), ["offer 1: 7"]);
  assertEquals(scheduler.wakeAt, 5);
  assertEquals(brief(tell({ type: "tick" }, 5))[0], "take-back 1: 1,4,5,6,7,8");
});

Deno.test("Scheduler ends a worker that becomes ready when its work has gone", () => {
  const { scheduler, tell } = warm({ size: 2, minSize: 0, spares: 0, idleTimeout: 100 });
  const task = fake(1);
  assertEquals(brief(tell({ type: "push", task }, 0)), ["spawn 1"]);
  tell({ type: "cancel", task }, 1);
  tell({ type: "ready", worker: 1 }, 30);
  assertEquals(scheduler.wakeAt, 130);
  assertEquals(brief(tell({ type: "tick" }, 130)), ["close 1 cleanly"]);
});

Deno.test("Scheduler lets a worker go when it becomes free after the pool was told to stop", () => {
  const { tell } = warm({ spares: 0 });
  tell({ type: "push", task: fake(1) }, 0);
  assertEquals(brief(tell({ type: "stop" }, 1)), []);
  assertEquals(brief(tell({ type: "results", worker: 1, results: [result(0, 0, 2)] }, 2)), [
    "finish 1",
    "close 1 cleanly",
  ]);
});

/** Workers as the scheduler sees them, in simulated time: they run, hang, crash, die idle, and become zombies. */
class World {
  readonly scheduler: Scheduler<FakeTask, Result>;
  readonly outcomes = new Map<number, string>();
  /** Tasks that came to their end within their limit. */
  readonly inTime = new Set<number>();
  now = 0;
  #agenda: { at: number; order: number; act: () => void }[] = [];
  #order = 0;
  #workers = new Map<number, FakeWorker>();
  #watches = new Map<number, number>();
  /** Tasks whose worker died under them. */
  #doomed = new Set<number>();
  readonly next: () => number;
  /** Workers are processes: each holds one task. */
  readonly alone: boolean;

  constructor(next: () => number, more: Partial<SchedulerOptions>) {
    this.next = next;
    this.alone = more.maxOffered === 1;
    this.scheduler = new Scheduler(options(more));
    this.carry(this.scheduler.start(0));
  }

  after(ms: number, act: () => void): void {
    this.#agenda.push({ at: this.now + ms, order: this.#order++, act });
  }

  tell(event: Event<FakeTask, Result>): void {
    if (Deno.env.get("TRACE")) {
      console.log(
        this.now.toFixed(2),
        JSON.stringify(event, (k, v) => k === "task" ? v.id : v),
      );
    }
    this.carry(this.scheduler.handle(event, this.now));
  }

  /** Lets time pass until nothing is left to happen, or the bound is reached. */
  run(until: number, done: () => boolean): void {
    for (let turns = 0; !done(); turns++) {
      assert(turns < 20_000, `turns in circles at ${this.now}`);
      let first: { at: number; order: number; act: () => void } | undefined;
      for (const each of this.#agenda) {
        if (first === undefined || each.at < first.at || (each.at === first.at && each.order < first.order)) {
          first = each;
        }
      }
      const wake = this.scheduler.wakeAt;
      if (first === undefined && wake === Infinity) return;
      if (first === undefined || wake < first.at) {
        this.now = Math.max(this.now, wake);
        this.tell({ type: "tick" });
      } else {
        this.#agenda.splice(this.#agenda.indexOf(first), 1);
        this.now = Math.max(this.now, first.at);
        first.act();
      }
      assert(this.now < until, `still busy at ${this.now}`);
    }
  }

  carry(commands: FakeCommand[]): void {
    const events: Event<FakeTask, Result>[] = [];
    if (Deno.env.get("TRACE")) console.log("   ", brief(commands));
    for (const command of commands) {
      switch (command.type) {
        case "finish":
          this.#end(command.task, "ok");
          break;
        case "settle":
          this.#end(command.task, command.verdict.status);
          if (command.verdict.status === "crashed" && command.worker !== undefined) {
            assert(
              this.#doomed.has(command.task.id),
              `task ${command.task.id} was not running when its worker died`,
            );
          }
          if (command.verdict.status === "timed-out") {
            assert(!this.inTime.has(command.task.id), `task ${command.task.id} was over in time`);
            const late = command.ranMs - command.verdict.limit.timeout;
            assert(late < 0.1, `task ${command.task.id} was settled ${late} ms after its deadline`);
          }
          break;
        case "spawn":
          this.#spawn(command.worker);
          break;
        case "offer": {
          const worker = this.#workers.get(command.worker)!;
          assert(worker.ready && !worker.stopped, `offer to worker ${worker.id}, which was stopped`);
          worker.receive(command.tasks);
          break;
        }
        case "take-back":
          events.push({
            type: "taken-back",
            worker: command.worker,
            seqs: this.#workers.get(command.worker)?.takeBack(command.seqs) ?? [],
          });
          break;
        case "look":
          events.push(...this.look(command.worker, command.drained));
          break;
        case "watch": {
          const { worker, at } = command;
          if ((this.#watches.get(worker) ?? Infinity) <= at) break;
          this.#watches.set(worker, at);
          this.after(Math.max(0, at - this.now), () => {
            if (this.#watches.get(worker) === at) this.#watches.delete(worker);
            for (const event of this.look(worker)) this.tell(event);
          });
          break;
        }
        case "close":
          this.#workers.get(command.worker)?.stop();
          break;
        case "kill":
          this.#workers.get(command.worker)?.kill();
          break;
        case "ran":
        case "abort":
        case "warm":
        case "broken":
        case "closed":
          break;
        default:
          command satisfies never;
      }
    }
    for (const event of events) this.tell(event);
  }

  look(id: number, drained = false): Event<FakeTask, Result>[] {
    const worker = this.#workers.get(id);
    if (worker === undefined || worker.dead) return [];
    const events: Event<FakeTask, Result>[] = [];
    const results = [...worker.results.splice(0), ...(drained ? worker.mail.splice(0) : [])];
    if (results.length > 0) events.push({ type: "results", worker: id, results });
    // Of a task that is over, and whose end is in the mail, all that shows is that it was begun.
    const { begun } = worker;
    const over = begun === undefined || results.some(({ seq }) => seq === begun.task.seq);
    events.push(looked(id, over ? undefined : running(begun.task.seq, begun.since, begun.loading), drained));
    return events;
  }

  gone(worker: FakeWorker): void {
    if (worker.dead) return;
    worker.dead = true;
    const results = [...worker.results.splice(0), ...worker.mail.splice(0)];
    const unclaimed = worker.takeBack(worker.held.map(({ seq }) => seq));
    if (worker.current !== undefined) this.#doomed.add(worker.current.task.id);
    const { current } = worker;
    const last = current && running(current.task.seq, current.since, current.loading);
    this.tell({ type: "gone", worker: worker.id, death: DEATH, results, running: last, unclaimed });
  }

  #spawn(id: number): void {
    assert(!this.#workers.has(id));
    const worker = new FakeWorker(id, this);
    this.#workers.set(id, worker);
    if (id > 3 && this.next() < 0.03) this.after(this.next() * 50, () => this.gone(worker));
    else {
      this.after(this.next() * 30, () => {
        if (worker.dead) return;
        worker.ready = true;
        this.tell({ type: "ready", worker: id });
      });
    }
  }

  #end(task: FakeTask, status: string): void {
    assert(!this.outcomes.has(task.id), `task ${task.id} has two outcomes`);
    this.outcomes.set(task.id, status);
  }
}

class FakeWorker {
  readonly id: number;
  readonly #world: World;
  held: FakeTask[] = [];
  #arrived = new Set<FakeTask>();
  results: Result[] = [];
  /** Results that were posted, and not yet delivered. */
  mail: Result[] = [];
  /** What it began last. */
  begun: { task: FakeTask; since: number; loading: boolean } | undefined;
  current: { task: FakeTask; since: number; loading: boolean } | undefined;
  ready = false;
  stopped = false;
  dead = false;

  constructor(id: number, world: World) {
    this.id = id;
    this.#world = world;
  }

  /** Tasks may take long to arrive; until then it cannot begin them, nor those behind. */
  receive(tasks: readonly FakeTask[]): void {
    this.held.push(...tasks);
    const { next } = this.#world;
    const kind = next();
    const arrive = () => {
      for (const task of tasks) this.#arrived.add(task);
      this.next();
    };
    if (kind < 0.9) arrive();
    else this.#world.after(kind < 0.99 ? next() * 60 : 2_000, arrive);
  }

  /** Claims the next task and runs it: usually quickly, sometimes long, for ever, or to its own death. */
  next(): void {
    if (this.current !== undefined || this.dead) return;
    const task = this.held[0];
    if (task === undefined || !this.#arrived.has(task)) return;
    this.held.shift();
    assert(!this.stopped, `task ${task.id} was begun by worker ${this.id}, which was stopped`);
    assert(!this.#world.outcomes.has(task.id), `task ${task.id} was begun after its outcome`);
    const { next } = this.#world;
    const run = { task, since: this.#world.now, loading: next() < 0.05 };
    this.current = this.begun = run;
    if (!run.loading) return this.#run(run);
    if (next() < 0.2) return; // Hangs.
    this.#world.after(next() * 150, () => {
      if (this.dead || this.current !== run) return;
      run.loading = false;
      run.since = this.#world.now;
      this.#run(run);
    });
  }

  #run(run: { task: FakeTask; since: number }): void {
    const world = this.#world;
    const { next } = world;
    const kind = next();
    if (kind < 0.06) return; // Hangs.
    const ms = kind < 0.1 ? next() * 150 : kind < 0.3 ? next() * 5 : 0.001;
    world.after(ms, () => {
      if (this.dead || this.current !== run) return;
      if (kind > 0.1 && kind < 0.15) return world.gone(this);
      this.current = undefined;
      const { task, since } = run;
      if (world.now - since <= task.timeout) world.inTime.add(task.id);
      const end = result(task.seq, since, world.now);
      if (next() < 0.3) this.#post(end);
      else this.results.push(end);
      if (!this.stopped) this.next();
      if (this.current === undefined || next() < 0.2) this.#tell();
    });
  }

  takeBack(seqs: readonly number[]): number[] {
    const back = this.held.filter(({ seq }) => seqs.includes(seq));
    this.held = this.held.filter((task) => !back.includes(task));
    return back.map(({ seq }) => seq);
  }

  stop(): void {
    assert(!this.stopped, `worker ${this.id} was stopped twice`);
    this.stopped = true;
    // A process cannot give them back.
    if (this.#world.alone) this.held = [];
    assertEquals(this.held.length, 0, "tasks are left on a stopped worker");
    if (this.current === undefined || this.#world.next() < 0.3) {
      this.#world.after(1, () => this.#world.gone(this));
    }
  }

  kill(): void {
    this.stopped = true;
    if (this.#world.next() < 0.9) this.#world.after(10, () => this.#world.gone(this));
  }

  /** It may take long until the dispatcher has time for its messages. */
  #post(end: Result): void {
    this.mail.push(end);
    const { next } = this.#world;
    this.#world.after(next() < 0.2 ? next() * 100 : 0.05, () => {
      if (this.dead || this.mail.length === 0) return;
      this.#world.tell({ type: "results", worker: this.id, results: this.mail.splice(0) });
    });
  }

  #tell(): void {
    this.#world.after(0.05, () => {
      if (this.dead || this.results.length === 0) return;
      this.#world.tell({ type: "results", worker: this.id, results: this.results.splice(0) });
    });
  }
}

Deno.test("Scheduler gives every task exactly one outcome, on time, in 10 000 random histories", () => {
  const first = seed();
  const counts: Record<string, number> = {};
  for (let history = 0; history < 10_000; history++) {
    const next = random(first + history);
    const size = 1 + Math.trunc(next() * 3);
    const world = new World(next, {
      size,
      minSize: Math.trunc(next() * (size + 1)),
      spares: Math.trunc(next() * 3),
      idleTimeout: 50,
      maxZombies: 1_000,
      restarts: 50,
      maxStarting: next() < 0.3 ? 1 : Infinity,
      maxOffered: next() < 0.3 ? 1 : 256,
      maxTasksPerWorker: next() < 0.2 ? 3 : Infinity,
    });
    const count = 1 + Math.trunc(next() * 15);
    const pushed: FakeTask[] = [];
    for (let id = 1; id <= count; id++) {
      const retry = next() < 0.1
        ? {
          maxAttempts: 3,
          minTimeout: 10,
          maxTimeout: 100,
          multiplier: 2,
          jitter: 1,
          on: ["crashed" as const],
        }
        : undefined;
      world.after(next() * 40, () => {
        const more = {
          module: Math.trunc(next() * 2),
          priority: next() < 0.2 ? Math.trunc(next() * 5) : 0,
          retry,
        };
        const task = fake(id, { ...more, timeout: 1 + next() * 60, pushedAt: world.now });
        pushed.push(task);
        world.tell({ type: "push", task });
        if (next() < 0.1) world.after(next() * 60, () => world.tell({ type: "cancel", task }));
      });
    }
    try {
      world.run(60_000, () => world.outcomes.size === count);
      assertEquals(world.outcomes.size, count, "a task has no outcome");
      assert(pushed.every(({ state }) => state === "settled"));
    } catch (error) {
      throw new Error(`history ${history} of SEED=${first}: ${(error as Error).message}`, { cause: error });
    }
    for (const status of world.outcomes.values()) counts[status] = (counts[status] ?? 0) + 1;
  }
  console.log(counts);
  for (const status of ["ok", "timed-out", "crashed", "cancelled"]) assert(counts[status]! > 100, status);
});
