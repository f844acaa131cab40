/** What the thread that keeps cells makes of what it is told, without a cell that is real. */
import { assertEquals } from "@std/assert";
import { Cells } from "../../src/cells/cells.ts";
import type { CellEvents } from "../../src/runtime/cell.ts";
import {
  type DeathData,
  type DispatcherOptions,
  PROTOCOL_VERSION,
  type ToDispatcher,
  type ToEntry,
} from "../../src/wire/protocol.ts";
import { inspectionOf } from "../../src/wire/inspection.ts";
import { BatchHead, TaskRecord } from "../../src/wire/records.ts";

/** A cell that says what the test says. */
class FakeCell {
  readonly heard: ToDispatcher[] = [];
  readonly gone: Promise<void> = Promise.resolve();
  killed = false;
  over = false;
  readonly #events: CellEvents;

  constructor(events: CellEvents) {
    this.#events = events;
  }

  post(message: ToDispatcher): void {
    this.heard.push(message);
  }

  kill(): void {
    this.killed = true;
  }

  say(message: ToEntry): void {
    this.#events.message(message);
  }

  /** It ends; with these tasks it had begun. */
  end(...begun: number[]): void {
    this.over = true;
    const death: DeathData = { reason: "signal", exitCode: null, message: "was killed by SIGKILL" };
    this.#events.gone(death, new Map(begun.map((id) => [id, { attempt: 1, at: 0 }])));
  }

  /** One of its tasks ends. */
  finish(id: number): void {
    const facts = { worker: 1, attempts: 1, waitedMs: 0, ranMs: 0, callbacks: 0 };
    this.say({ type: "outcome", outcome: { id, status: "timed-out", ...facts } as never });
  }

  /** The tasks that it was given. */
  get tasks(): number[] {
    const ids: number[] = [];
    for (const message of this.heard) {
      if (!(message instanceof ArrayBuffer)) {
        if (message.type === "push") ids.push(message.task.id);
        continue;
      }
      const words = new Int32Array(message);
      for (let at: number = BatchHead.words; at < words.length; at += words[at]!) {
        ids.push(TaskRecord.id(words, at));
      }
    }
    return ids;
  }

  /** What else it was told. */
  get types(): string[] {
    return this.heard.flatMap((message) => message instanceof ArrayBuffer ? [] : [message.type]);
  }
}

function cellsOf(more: { maxZombies?: number; readsAll?: boolean; restarts?: number } = {}) {
  const fakes: FakeCell[] = [];
  const told: ToEntry[] = [];
  const cells = new Cells((message) => told.push(message), (_options, _spec, events) => {
    const cell = new FakeCell(events);
    fakes.push(cell);
    return cell;
  });
  const options = {
    size: 2,
    minSize: 2,
    maxZombies: more.maxZombies ?? 4,
    restarts: more.restarts ?? 2,
    permissions: more.readsAll === false ? { flags: [], readsAll: false, readsSome: false } : undefined,
    setup: { initializer: undefined },
    v8Flags: [],
    takesOver: false,
  } as unknown as DispatcherOptions;
  cells.receive({ type: "hello", version: PROTOCOL_VERSION, options, nursery: undefined, bridge: undefined });
  const learn = (module: number) =>
    cells.receive({ type: "module", module, specifier: `file:///tasks/${module}.ts` });
  const push = (id: number, module: number) => {
    const task = { id, module, timeout: 1_000, args: [], transfer: [], priority: 0 };
    cells.receive({ type: "push", task: { ...task, softTimeout: undefined, retry: undefined }, at: 0 });
  };
  const batch = (...tasks: { id: number; module: number }[]) => {
    const words = new Int32Array(BatchHead.words + tasks.length * TaskRecord.header);
    BatchHead.put(words, tasks.length, 0);
    tasks.forEach(({ id, module }, i) => {
      const at = BatchHead.words + i * TaskRecord.header;
      words[at] = TaskRecord.header;
      TaskRecord.put(words, at, id, module, 1_000);
    });
    cells.receive(words.buffer);
  };
  const types = () => told.flatMap((message) => message instanceof ArrayBuffer ? [] : [message.type]);
  /** The outcomes by now, by task. */
  const outcomes = () => {
    const all = new Map<number, string>();
    for (const message of told) {
      if (message instanceof ArrayBuffer) continue;
      const several = message.type === "outcomes"
        ? message.outcomes
        : message.type === "outcome"
        ? [message.outcome]
        : [];
      for (const { id, status } of several) all.set(id, status);
    }
    return all;
  };
  return { cells, fakes, told, types, learn, push, batch, outcomes };
}

Deno.test("what a cell was asked that ends as it has left is answered, or asked of the next", () => {
  const { cells, fakes, types, learn, push } = cellsOf();
  learn(1);
  push(1, 1);
  fakes[0]!.say({ type: "zombie" });
  cells.receive({ type: "cancel-waiting", upTo: 0 });
  cells.receive({ type: "renew" });
  const next = fakes.find((cell) => cell.types.includes("renew"))!;
  next.say({ type: "waiting-cancelled" });
  next.say({ type: "renewed" });
  // Its last outcome left it before it heard of either.
  fakes[0]!.finish(1);
  fakes[0]!.end();
  const answers = types().filter((type) => type === "waiting-cancelled" || type === "renewed");
  assertEquals(answers.sort(), ["renewed", "waiting-cancelled"]);
  void cells.end();
});

Deno.test("what callbacks a module has is asked of the next cell when one that was asked leaves without a task", () => {
  const { cells, fakes, learn } = cellsOf();
  learn(1);
  cells.receive({ type: "inspect", module: 1 });
  assertEquals(fakes[0]!.types, ["module", "inspect"]);
  fakes[0]!.say({ type: "zombie" });
  fakes[0]!.end();
  assertEquals(fakes[1]!.types, ["module", "inspect"]);
  void cells.end();
});

Deno.test("a task whose module no cell may read waits for one that may, while as many leave as may at a time", () => {
  const { cells, fakes, learn, push, batch } = cellsOf({ readsAll: false, maxZombies: 1 });
  learn(1);
  // The first one was not to read anything.
  fakes[0]!.end();
  push(1, 1);
  learn(2);
  push(2, 2);
  assertEquals(fakes.map(({ tasks }) => tasks), [[], [1], [2]]);
  learn(3);
  push(3, 3);
  batch({ id: 4, module: 3 }, { id: 5, module: 2 });
  cells.receive({ type: "inspect", module: 3 });
  assertEquals(fakes.map(({ tasks }) => tasks), [[], [1], [2, 5]]);
  fakes[1]!.finish(1);
  fakes[1]!.end();
  assertEquals(fakes.map(({ tasks }) => tasks), [[], [1], [2, 5], [3, 4]]);
  assertEquals(fakes.map(({ types }) => types.includes("inspect")), [false, false, false, true]);
  void cells.end();
});

Deno.test("a task whose module the cell may not read goes to the next also when the cell dies", () => {
  const { cells, fakes, learn, push } = cellsOf({ readsAll: false, maxZombies: 1 });
  learn(1);
  learn(2);
  push(1, 2);
  assertEquals(fakes.map(({ tasks }) => tasks), [[], []]);
  fakes[1]!.end();
  assertEquals(fakes.map(({ tasks }) => tasks), [[], [], [1]]);
  void cells.end();
});

Deno.test("a pool that is warm is not ended by a spare from before whose initializer fails when it has taken over", () => {
  const { cells, fakes, types } = cellsOf();
  // A worker does not end while others still start: the next cell takes over, and there is a spare.
  fakes[0]!.say({ type: "zombie" });
  fakes[1]!.say({ type: "ready", startMs: 10 });
  fakes[1]!.end();
  const error = { class: "Error", name: "Error", message: "as asked", stack: undefined, properties: [] };
  fakes[2]!.say({ type: "broken", error, message: "could not run its initializer: as asked" });
  assertEquals([types(), fakes[2]!.killed], [["ready"], true]);
  void cells.end();
});

Deno.test("a pool that has never been warm is ended by an initializer that fails", () => {
  const { cells, fakes, types } = cellsOf();
  const error = { class: "Error", name: "Error", message: "as asked", stack: undefined, properties: [] };
  fakes[0]!.say({ type: "broken", error, message: "could not run its initializer: as asked" });
  assertEquals(types(), ["broken"]);
  void cells.end();
});

const [DEADLY, HEALTHY] = [1, 2];
/** Lets what follows from the end of a trial happen. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

/** A pool in which two tasks of a module have ended their cells, and three more of it wait. */
function held(more: { restarts?: number } = {}) {
  const pool = cellsOf({ restarts: 1e9, ...more });
  const { fakes, learn, push } = pool;
  learn(DEADLY);
  learn(HEALTHY);
  fakes[0]!.say({ type: "ready", startMs: 10 });
  for (let id = 1; id <= 5; id++) push(id, DEADLY);
  fakes[0]!.end(1);
  fakes[1]!.say({ type: "ready", startMs: 10 });
  fakes[1]!.end(2);
  // The first spare has taken over. What is tried is tried in the second, and there is a third.
  const current = fakes[2]!;
  const trial = fakes.find((fake) => fake.tasks.join() === "3")!;
  return { ...pool, current, trial };
}

Deno.test("a module that ends cells is tried a task at a time in a cell of its own, and others run beside it", async () => {
  const { cells, fakes, push, batch, outcomes, current, trial } = held();
  assertEquals(current.tasks, []);
  push(10, HEALTHY);
  batch({ id: 11, module: HEALTHY }, { id: 12, module: DEADLY });
  batch({ id: 13, module: HEALTHY }, { id: 14, module: HEALTHY });
  assertEquals([current.tasks, trial.tasks], [[10, 11, 13, 14], [3]]);
  trial.end(3);
  await turn();
  const next = fakes.find((fake) => fake.tasks.join() === "4")!;
  assertEquals([[...outcomes()], current.tasks], [[[1, "crashed"], [2, "crashed"], [3, "crashed"]], [
    10,
    11,
    13,
    14,
  ]]);
  // It lets its cell live: another task is tried there.
  next.finish(4);
  await turn();
  assertEquals(next.tasks, [4, 5]);
  // One returns: the others go where all go.
  next.say({ type: "sound", module: DEADLY, callbacks: 0 });
  next.finish(5);
  await turn();
  assertEquals([current.tasks, next.killed], [[10, 11, 13, 14, 12], true]);
  push(15, DEADLY);
  assertEquals(current.tasks.at(-1), 15);
  void cells.end();
});

Deno.test("a module of which sixteen tasks ended their cells is given up, and tried again a second later", async () => {
  const { cells, fakes, push, outcomes } = held();
  for (let id = 6; id <= 30; id++) push(id, DEADLY);
  for (let id = 3; id <= 16; id++) {
    const trial = fakes.find((fake) => !fake.killed && fake.tasks.join() === String(id))!;
    trial.end(id);
    await turn();
  }
  assertEquals([...outcomes().values()], Array(30).fill("crashed"));
  push(31, DEADLY);
  assertEquals(outcomes().get(31), "crashed");
  // What was tried cost cells, and no more than that.
  const count = fakes.length;
  assertEquals(count <= 16 + 3, true, `${count} cells`);
  void cells.end();
});

Deno.test("no task is tried that may end its cell while the restart budget has no other, and stop() waits for none", async () => {
  const { cells, fakes, types, outcomes } = held({ restarts: 1e-6 });
  // Two are paid for, and a third may be.
  const tried = () => fakes.filter(({ tasks }) => tasks.includes(3) || tasks.includes(4)).length;
  fakes.find(({ tasks }) => tasks.includes(3))?.end(3);
  await turn();
  const before = tried();
  assertEquals(outcomes().get(4), undefined);
  cells.receive({ type: "cancel-waiting", upTo: 5 });
  for (const fake of fakes) {
    if (fake.types.includes("cancel-waiting")) fake.say({ type: "waiting-cancelled" });
  }
  assertEquals([before, outcomes().get(4), outcomes().get(5)], [tried(), "cancelled", "cancelled"]);
  assertEquals(types().includes("waiting-cancelled"), true);
  void cells.end();
});

Deno.test("a task that is tried, and waits for its next attempt, keeps none from being tried", async () => {
  const { cells, fakes, outcomes, trial } = held();
  trial.say({ type: "again", id: 3, attempts: 1 });
  await turn();
  assertEquals(trial.tasks, [3, 4]);
  // It was not running when the other one ended its cell.
  trial.end(4);
  await turn();
  const next = fakes.find(({ tasks }) => tasks.join() === "5")!;
  next.finish(5);
  await turn();
  assertEquals([next.tasks, [...outcomes()]], [[5, 3], [[1, "crashed"], [2, "crashed"], [4, "crashed"], [
    5,
    "timed-out",
  ]]]);
  void cells.end();
});

Deno.test("a task that a cell for trials gives back as it leaves keeps none from being tried", async () => {
  const { cells, fakes, trial } = held();
  const other = 3;
  trial.say({ type: "zombie" });
  const facts = { worker: undefined, attempts: 0, waitedMs: 0, ranMs: 0, callbacks: undefined };
  trial.say({ type: "outcomes", outcomes: [{ id: other, status: "cancelled", ...facts }] });
  await turn();
  assertEquals(fakes.filter((fake) => fake !== trial).flatMap(({ tasks }) => tasks).slice(-1), [4]);
  void cells.end();
});

Deno.test("a look at callbacks that ends its cell is not repeated, and one of a module that is held is a trial", async () => {
  const { cells, fakes, told, learn } = cellsOf({ restarts: 1e9 });
  const answers = () =>
    told.flatMap((message) =>
      !(message instanceof ArrayBuffer) && message.type === "inspected"
        ? [[message.module, message.callbacks]]
        : []
    );
  learn(DEADLY);
  learn(HEALTHY);
  fakes[0]!.say({ type: "ready", startMs: 10 });
  cells.receive({ type: "inspect", module: DEADLY });
  cells.receive({ type: "inspect", module: HEALTHY });
  fakes[0]!.end(inspectionOf(DEADLY));
  assertEquals([answers(), fakes[1]!.types.includes("inspect")], [[[DEADLY, 0]], true]);
  cells.receive({ type: "inspect", module: DEADLY });
  assertEquals(answers(), [[DEADLY, 0], [DEADLY, 0]]);
  fakes[1]!.say({ type: "inspected", module: HEALTHY, callbacks: 3 });
  cells.receive({ type: "inspect", module: HEALTHY });
  assertEquals(answers().slice(2), [[HEALTHY, 3], [HEALTHY, 3]]);
  void cells.end();

  const { cells: others, fakes: all, current, trial } = held();
  others.receive({ type: "inspect", module: DEADLY });
  trial.end(3);
  await turn();
  // It comes before tasks: an outcome waits for it.
  const asked = all.find(({ types }) => types.includes("inspect"))!;
  assertEquals([asked === current, asked.tasks], [false, []]);
  asked.say({ type: "inspected", module: DEADLY, callbacks: 2 });
  await turn();
  assertEquals(asked.tasks, [4]);
  void others.end();
});

Deno.test("a look at callbacks has the next cell started at once, and is answered when that cannot be", async () => {
  const { cells, fakes, told, types, learn } = cellsOf({ restarts: 1e9 });
  learn(HEALTHY);
  fakes[0]!.say({ type: "ready", startMs: 10 });
  const alive = () => fakes.filter(({ over }) => !over);
  // The first two that fail are followed at once, the next ones after pauses, which grow to 51 s in all.
  for (let i = 0; i < 12; i++) {
    for (const fake of alive().reverse()) fake.end();
    cells.receive({ type: "inspect", module: HEALTHY });
    while (alive().length === 0) await turn();
    assertEquals(alive()[0]!.types, ["module", "inspect"]);
  }
  // Each is asked once more: the first may have been on its way when the question came.
  assertEquals(types().filter((type) => type === "inspected").length >= 5, true);
  // It can be had after all.
  const count = told.length;
  alive()[0]!.say({ type: "inspected", module: HEALTHY, callbacks: 1 });
  assertEquals(told.slice(count), [{ type: "inspected", module: HEALTHY, callbacks: 1 }]);
  void cells.end();
});

Deno.test("renew() replaces the workers of a cell for trials, too", () => {
  const { cells, current, trial, types } = held();
  cells.receive({ type: "renew" });
  for (const fake of [current, trial]) assertEquals(fake.types.includes("renew"), true);
  current.say({ type: "renewed" });
  assertEquals(types().includes("renewed"), false);
  trial.say({ type: "renewed" });
  assertEquals(types().includes("renewed"), true);
  void cells.end();
});
