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

function staffOf(more: { initializer?: boolean; maxZombies?: number } = {}) {
  const cells: FakeCell[] = [];
  const log: string[] = [];
  const busy = new Set<CellRecord>();
  const started = Promise.withResolvers<void>();
  const options = {
    size: 2,
    minSize: 2,
    maxZombies: more.maxZombies ?? 4,
    restarts: 2,
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
  return { staff, cells, log, busy, current, ready, started: started.promise };
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
