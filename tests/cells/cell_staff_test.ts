/** Which cells there are, without one that is real. */
import { assertEquals } from "@std/assert";
import type { CellRecord } from "../../src/cells/cell_record.ts";
import { CellStaff } from "../../src/cells/cell_staff.ts";
import { Specifiers } from "../../src/cells/specifiers.ts";
import type { CellEvents } from "../../src/runtime/cell.ts";
import type { DeathData, DispatcherOptions, ToDispatcher } from "../../src/wire/protocol.ts";

const KILLED: DeathData = { reason: "signal", exitCode: null, message: "was killed by SIGKILL" };
const UNSTARTED: DeathData = { reason: "error", exitCode: null, message: "could not be started: no memory" };

/** A cell that does what the test says. */
class FakeCell {
  readonly said: string[] = [];
  readonly gone: Promise<void> = Promise.resolve();
  readonly options: DispatcherOptions;
  readonly #events: CellEvents;

  constructor(options: DispatcherOptions, events: CellEvents) {
    this.options = options;
    this.#events = events;
  }

  post(message: ToDispatcher): void {
    if (!(message instanceof ArrayBuffer)) this.said.push(message.type);
  }

  kill(): void {
    this.said.push("killed");
  }

  /** A thread in it does not end. */
  hang(): void {
    this.#events.message({ type: "zombie" });
  }

  /** It ends; `tasks`: some that it had begun. */
  end(death = KILLED, tasks: readonly number[] = []): void {
    this.#events.gone(death, new Map(tasks.map((id) => [id, { attempt: 1, at: 0 }])));
  }
}

function staffOf(more: { initializer?: boolean; maxZombies?: number; restarts?: number } = {}) {
  const cells: FakeCell[] = [];
  const log: string[] = [];
  const busy = new Set<CellRecord>();
  const started = Promise.withResolvers<void>();
  const risk = Promise.withResolvers<void>();
  const options = {
    size: 2,
    minSize: 2,
    maxZombies: more.maxZombies ?? 4,
    restarts: more.restarts ?? 2,
    permissions: undefined,
    setup: { initializer: more.initializer ? { module: "file:///i.ts", data: undefined } : undefined },
    v8Flags: [],
    takesOver: false,
  } as unknown as DispatcherOptions;
  const name = (record: CellRecord) => cells.indexOf(record.cell as FakeCell);
  const staff = new CellStaff(options, new Specifiers(), {
    message: (from, message) => {
      if (!(message instanceof ArrayBuffer) && message.type === "zombie") staff.zombie(from);
    },
    hasTasks: (record) => busy.has(record),
    // Good work pays for a task with a number above 0.
    blame: (_record, _death, begun) => [...begun.keys()].some((id) => id > 0),
    mayRisk: () => risk.resolve(),
    leaving: (record) => log.push(`${name(record)} leaves`),
    gone: (record, _death, asked) => log.push(`${name(record)} gone${asked ? ", as asked" : ""}`),
    lost: (record) => log.push(`${name(record)} lost`),
    unavailable: () => log.push("unavailable"),
    started: () => {
      log.push("started");
      started.resolve();
    },
    broken: ({ message }) => log.push(`broken: ${message}`),
    closed: () => log.push("closed"),
  }, (options, _spec, events) => {
    const cell = new FakeCell(options, events);
    cells.push(cell);
    return cell;
  });
  staff.start();
  const current = () => staff.current && name(staff.current);
  const ready = () => staff.ready(staff.current!);
  const trial = () => staff.trial && name(staff.trial);
  return { staff, cells, log, busy, current, ready, trial, started: started.promise, risk: risk.promise };
}

Deno.test("CellStaff has the next cell take over, and keeps a spare from then on", () => {
  const { staff, cells, log, current, ready } = staffOf();
  assertEquals([ready(), current(), cells.length], [true, 0, 1]);
  cells[0]!.end(KILLED, [1]);
  assertEquals([current(), cells.length, ready()], [1, 3, false]);
  assertEquals(cells.map(({ options }) => [options.minSize, options.takesOver]), [[2, false], [2, true], [
    1,
    true,
  ]]);
  cells[1]!.end(KILLED, [2]);
  assertEquals([current(), cells[2]!.said], [2, ["resize"]]);
  assertEquals(log, ["0 gone", "0 lost", "1 gone", "1 lost"]);
  void staff.end();
});

Deno.test("CellStaff pauses where cells cannot be started, has none meanwhile, and goes on", async () => {
  const { staff, cells, log, current, ready, started } = staffOf();
  ready();
  cells[0]!.end(UNSTARTED);
  assertEquals(current(), 1);
  // The spare, which is of no use either.
  cells[2]!.end(UNSTARTED);
  cells[1]!.end(UNSTARTED);
  assertEquals([current(), staff.serving()], [undefined, []]);
  await started;
  assertEquals([current(), cells.length], [3, 4]);
  assertEquals(log.slice(-3), ["1 gone", "1 lost", "started"]);
  void staff.end();
});

Deno.test("CellStaff that never had a cell is broken after three", async () => {
  const { cells, log, started } = staffOf();
  cells[0]!.end(UNSTARTED);
  cells[1]!.end(UNSTARTED);
  await started;
  cells[2]!.end(UNSTARTED);
  assertEquals(log.at(-1), "broken: could not be started: no memory");
  assertEquals(cells.length, 3);
});

Deno.test("CellStaff closes while there is no cell", () => {
  const { staff, cells, log, ready } = staffOf();
  ready();
  cells[0]!.end(UNSTARTED);
  cells[2]!.end(UNSTARTED);
  cells[1]!.end(UNSTARTED);
  staff.close("stop");
  assertEquals([log.at(-1), cells.length], ["closed", 3]);
});

Deno.test("a cell that leaves runs what it has begun to its end, and then ends in peace if it may have to clean up", () => {
  for (const initializer of [false, true]) {
    const { staff, cells, log, busy, current, ready } = staffOf({ initializer });
    ready();
    const first = staff.current!;
    busy.add(first);
    staff.zombie(first);
    assertEquals([current(), staff.isLeaving(first), cells[0]!.said], [1, true, []]);
    busy.delete(first);
    staff.endIfDone(first);
    assertEquals([staff.isLeaving(first), cells[0]!.said], [false, [initializer ? "stop" : "killed"]]);
    cells[0]!.end();
    assertEquals(log, ["0 leaves", "0 gone, as asked", "0 lost"]);
    void staff.end();
  }
});

Deno.test("a pool that stops waits for cells that clean up, and one that is terminated kills them", () => {
  for (const type of ["stop", "terminate"] as const) {
    const { staff, cells, log, ready } = staffOf({ initializer: true });
    ready();
    staff.leave(staff.current!);
    staff.close(type);
    assertEquals(cells.map(({ said }) => said), [type === "stop" ? ["stop"] : ["stop", "killed"], [type]]);
    cells[1]!.end();
    assertEquals(log.at(-1), "1 gone, as asked");
    cells[0]!.end();
    assertEquals(log.slice(-2), ["0 gone, as asked", "closed"]);
  }
});

Deno.test("no more cells than maxZombies are on their way at a time: others leave after them", () => {
  const { staff, cells, log, busy, current, ready } = staffOf({ initializer: true, maxZombies: 1 });
  ready();
  const first = staff.current!;
  staff.leave(first);
  const second = staff.current!;
  busy.add(second);
  staff.leave(second);
  assertEquals([current(), cells.length], [1, 2]);
  cells[0]!.end();
  assertEquals([current(), cells.length], [2, 3]);
  assertEquals(log, ["0 leaves", "0 gone, as asked", "0 lost", "1 leaves"]);
  // One that died meanwhile takes no place.
  staff.leave(staff.current!);
  cells[2]!.end(KILLED, [1]);
  cells[1]!.end();
  assertEquals([current(), staff.serving().length], [3, 1]);
  void staff.end();
});

Deno.test("a cell that may not leave yet leaves at once when the pool is resized to allow for more", () => {
  const { staff, cells, log, busy, current, ready } = staffOf({ initializer: true, maxZombies: 1 });
  ready();
  staff.leave(staff.current!);
  busy.add(staff.current!);
  staff.leave(staff.current!);
  assertEquals([current(), cells.length], [1, 2]);
  const sizes = { size: 2, minSize: 2, restarts: 2 };
  staff.resize({ ...sizes, maxZombies: 1 });
  assertEquals([current(), cells.length], [1, 2]);
  staff.resize({ ...sizes, maxZombies: 2 });
  assertEquals([current(), cells.length, log], [2, 3, ["0 leaves", "1 leaves"]]);
  void staff.end();
});

Deno.test("a spare whose initializer does not end is killed, and takes over from nobody", () => {
  const { staff, cells, log, current, ready } = staffOf({ initializer: true });
  ready();
  cells[0]!.end(KILLED, [1]);
  cells[2]!.hang();
  assertEquals([cells[2]!.said, current()], [["killed"], 1]);
  cells[2]!.end();
  cells[1]!.end(KILLED, [2]);
  assertEquals([current(), log], [3, ["0 gone", "0 lost", "2 gone", "1 gone", "1 lost"]]);
  void staff.end();
});

/** A task whose end the restart budget pays for. */
const UNPAID = [-1];

/** A pool that has used up its restart budget: it has no cell, and none for a spare. */
function exhausted(restarts: number) {
  const pool = staffOf({ restarts });
  pool.ready();
  for (let at = pool.current(); at !== undefined; at = pool.current()) {
    pool.cells[at]!.end(KILLED, UNPAID);
    // A spare takes over whatever the budget says.
    if (pool.current() !== undefined) pool.ready();
  }
  return pool;
}

Deno.test("CellStaff replaces a burst of cells at once that ended without being told to, others as the restart budget allows", async () => {
  const { staff, cells, current, started } = exhausted(100);
  const before = cells.length;
  await started;
  assertEquals([current(), cells.length], [before, before + 1]);
  void staff.end();
});

Deno.test("CellStaff replaces cells for which good work pays at once, however many end", () => {
  const { staff, cells, current, ready } = staffOf({ restarts: 1e-6 });
  ready();
  for (let id = 1; id <= 50; id++) {
    cells[current()!]!.end(KILLED, [id]);
    assertEquals(current() !== undefined, true);
    ready();
  }
  void staff.end();
});

Deno.test("CellStaff that waits for the restart budget goes on at once when the pool is resized to a larger one", async () => {
  const { staff, current, started } = exhausted(1e-6);
  staff.hurry();
  assertEquals(current(), undefined);
  staff.resize({ size: 2, minSize: 2, maxZombies: 4, restarts: 1e6 });
  await started;
  assertEquals(typeof current(), "number");
  void staff.end();
});

Deno.test("CellStaff closes while it waits for the restart budget", () => {
  const { staff, log } = exhausted(1e-6);
  staff.close("stop");
  staff.resize({ size: 2, minSize: 2, maxZombies: 4, restarts: 1e6 });
  assertEquals(log.at(-1), "closed");
});

Deno.test("CellStaff starts the next at once when somebody waits for it, also in a pause after failed starts", async () => {
  const { staff, cells, current, ready, started } = staffOf({ restarts: 1e6 });
  ready();
  // The spare of later is of no use either. The pauses grow to 51 s in all.
  cells[0]!.end(UNSTARTED);
  cells[2]!.end(UNSTARTED);
  cells[1]!.end(UNSTARTED);
  assertEquals([current(), cells.length], [undefined, 3]);
  staff.hurry();
  await started;
  assertEquals([current(), cells.length], [3, 4]);
  void staff.end();
});

Deno.test("a cell for trials is the spare, of which another is kept; it takes over from none, and dies alone", () => {
  const { staff, cells, log, current, ready, trial } = staffOf();
  ready();
  staff.keepSpare();
  assertEquals(staff.forTrial("file:///deadly.ts")?.cell, cells[1]);
  assertEquals([current(), trial(), cells.length], [0, 1, 3]);
  // It is used again while it lives.
  assertEquals(staff.forTrial("file:///deadly.ts")?.cell, cells[1]);
  cells[0]!.end(KILLED, [1]);
  assertEquals([current(), trial()], [2, 1]);
  cells[1]!.end(KILLED, [2]);
  assertEquals([current(), trial(), log.slice(-2)], [2, undefined, ["1 gone", "1 lost"]]);
  void staff.end();
});

Deno.test("no cell is risked that the restart budget could not replace: whoever waits is told when one may be", async () => {
  const { staff, cells, ready, trial, risk } = staffOf({ restarts: 50 });
  ready();
  let risked = 0;
  while (staff.forTrial("file:///deadly.ts") !== undefined) {
    cells[trial()!]!.end(KILLED, UNPAID);
    risked++;
  }
  assertEquals(risked >= 3, true);
  await risk;
  assertEquals(staff.forTrial("file:///deadly.ts") !== undefined, true);
  void staff.end();
});

Deno.test("a cell for trials that may not read the module makes room for one that may", () => {
  const { staff, cells, log, ready, trial } = staffOf();
  ready();
  const first = staff.forTrial("file:///deadly.ts")!;
  staff.dismissSpare();
  first.unreadable.add("file:///later.ts");
  assertEquals(staff.forTrial("file:///later.ts") === first, false);
  assertEquals(first.cell, cells[1]);
  assertEquals([cells[1]!.said, trial()], [["killed"], 3]);
  cells[1]!.end();
  assertEquals(log, ["1 gone, as asked", "1 lost"]);
  void staff.end();
});

Deno.test("a cell for trials with a thread that does not end leaves, and the pool ends whatever it does", () => {
  for (const type of ["stop", "terminate"] as const) {
    const { staff, cells, log, busy, current, ready, trial } = staffOf();
    ready();
    const first = staff.forTrial("file:///deadly.ts")!;
    busy.add(first);
    cells[1]!.hang();
    assertEquals([current(), trial(), staff.isLeaving(first)], [0, undefined, true]);
    busy.delete(first);
    staff.endIfDone(first);
    const second = staff.forTrial("file:///deadly.ts")!;
    staff.close(type);
    for (const { cell } of [first, second]) {
      assertEquals((cell as unknown as FakeCell).said.includes("killed"), true);
    }
    for (const cell of cells) cell.end();
    assertEquals(log.at(-1), "closed");
  }
});
