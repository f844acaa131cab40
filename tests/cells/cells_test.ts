/** What the thread that keeps cells makes of what it is told, without a cell that is real. */
import { assertEquals } from "@std/assert";
import { Cells } from "../../src/cells/cells.ts";
import type { CellEvents } from "../../src/runtime/cell.ts";
import {
  type DispatcherOptions,
  PROTOCOL_VERSION,
  type ToDispatcher,
  type ToEntry,
} from "../../src/wire/protocol.ts";
import { BatchHead, TaskRecord } from "../../src/wire/records.ts";

/** A cell that says what the test says. */
class FakeCell {
  readonly heard: ToDispatcher[] = [];
  readonly gone: Promise<void> = Promise.resolve();
  killed = false;
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

  /** It ends. */
  end(): void {
    this.#events.gone({ reason: "signal", exitCode: null, message: "was killed by SIGKILL" }, new Map());
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

function cellsOf(more: { maxZombies?: number; readsAll?: boolean } = {}) {
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
    restarts: 2,
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
  return { cells, fakes, told, types, learn, push, batch };
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
