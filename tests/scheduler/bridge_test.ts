import { assertEquals } from "@std/assert";
import { Orders } from "../../src/scheduler/orders.ts";
import type { Result, SchedulerOptions, Task } from "../../src/scheduler/scheduling.ts";
import { Staff } from "../../src/scheduler/staff.ts";
import { options } from "./fakes.ts";

const NOTHING = { tasks: 0, processes: 0, urgent: false };

/** A staff alone, and what it wants done, one line each. */
function create(more: Partial<SchedulerOptions> = {}) {
  const orders = new Orders<Task, Result>();
  const staff = new Staff(options({ size: 2, ...more }), orders, {
    broken() {},
    unavailable() {},
    zombie() {},
  });
  const take = () =>
    orders.take().map((command) => {
      const worker = "worker" in command ? ` ${command.worker}` : "";
      return `${command.type}${worker}${command.type === "close" && command.clean ? " cleanly" : ""}`;
    });
  return { staff, take };
}

Deno.test("Staff has the bridge until one of the pool's own workers is ready", () => {
  const { staff, take } = create();
  staff.starts.adopt(0);
  staff.meet(NOTHING, 0);
  assertEquals(take(), ["adopt 1", "spawn 2", "spawn 3", "spawn 4"]);
  staff.ready(1, 50);
  assertEquals(take(), []);
  assertEquals(staff.workers.idle, 1);
  const { workers, spawned } = staff.stats();
  assertEquals({ workers, spawned }, {
    workers: { starting: 3, idle: 0, busy: 0, stopping: 0 },
    spawned: 3,
  });
  staff.ready(3, 600);
  assertEquals(take(), ["close 1 cleanly"]);
  assertEquals(staff.stats().workers, { starting: 2, idle: 1, busy: 0, stopping: 0 });
  staff.ready(2, 610);
  assertEquals(take(), ["warm"]);
  staff.departures.gone(1);
  staff.meet(NOTHING, 620);
  assertEquals(take(), []);
});

Deno.test("Staff lets a busy bridge end what it has, and then go", () => {
  const { staff, take } = create();
  staff.starts.adopt(0);
  staff.meet(NOTHING, 0);
  staff.ready(1, 50);
  const bridge = staff.workers.get(1)!;
  staff.workers.give(bridge, [], 60);
  take();
  staff.ready(2, 600);
  assertEquals([take(), bridge.leaving], [[], true]);
  assertEquals(staff.stats().workers, { starting: 2, idle: 1, busy: 1, stopping: 0 });
  staff.free(bridge, 700);
  assertEquals(take(), ["close 1 cleanly"]);
});

Deno.test("Staff retires a bridge that is ready too late", () => {
  const { staff, take } = create();
  staff.starts.adopt(0);
  staff.meet(NOTHING, 0);
  take();
  staff.ready(2, 50);
  assertEquals(take(), []);
  staff.ready(1, 60);
  assertEquals(take(), ["close 1 cleanly"]);
});

Deno.test("Staff starts no other bridge for one that ends, and blames nobody for it", () => {
  for (const begun of [false, true]) {
    const { staff, take } = create();
    staff.starts.adopt(0);
    staff.meet(NOTHING, 0);
    take();
    const death = { reason: "error", exitCode: 1, message: "ended" } as const;
    staff.starts.judge(staff.departures.gone(1)!, death, begun, false, 10);
    staff.meet({ tasks: 10, processes: 0, urgent: false }, 10);
    assertEquals(take(), []);
    staff.ready(2, 600);
    staff.ready(3, 600);
    assertEquals(take(), ["warm"]);
  }
});

Deno.test("Staff counts a bridge that was stopped as any worker", () => {
  const { staff, take } = create();
  staff.starts.adopt(0);
  staff.meet(NOTHING, 0);
  staff.ready(1, 50);
  const bridge = staff.workers.get(1)!;
  staff.workers.give(bridge, [], 60);
  take();
  staff.departures.stop(bridge, 0, 100);
  assertEquals(take(), ["close 1"]);
  assertEquals([staff.stats().workers.stopping, staff.stats().killed], [1, 1]);
  staff.tick(400);
  assertEquals(take(), ["kill 1"]);
});

Deno.test("Staff waits for the entry to interrupt the bridge, and only then for its end", () => {
  const { staff, take } = create();
  staff.starts.adopt(0);
  staff.meet(NOTHING, 0);
  staff.ready(1, 50);
  const bridge = staff.workers.get(1)!;
  bridge.lastFile = 7;
  staff.workers.give(bridge, [], 60);
  staff.departures.stop(bridge, 0, 100);
  staff.tick(400);
  take();
  // The entry is blocked.
  staff.tick(30_000);
  assertEquals([staff.stats().zombies, staff.departures.doubts(7, 30_000)], [0, false]);
  staff.departures.interrupted(1, 30_001);
  assertEquals(staff.departures.doubts(7, 30_002), true);
  staff.tick(31_000);
  assertEquals(staff.stats().zombies, 0);
  staff.tick(31_001);
  assertEquals(staff.stats().zombies, 1);
  assertEquals(staff.departures.gone(1), undefined);
  assertEquals(staff.stats().ended, { asked: 0, interrupted: 1 });
});

Deno.test("Staff ends the bridge with the pool", () => {
  for (const ready of [false, true]) {
    const { staff, take } = create();
    staff.starts.adopt(0);
    staff.meet(NOTHING, 0);
    if (ready) staff.ready(1, 50);
    take();
    staff.departures.close(false, 60);
    assertEquals(take(), [...ready ? ["close 1 cleanly"] : ["kill 1"], "kill 2", "kill 3", "kill 4"]);
    staff.departures.finishClosing(60);
    assertEquals(take(), ready ? [] : ["closed"]);
  }
});
