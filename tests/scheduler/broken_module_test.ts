import { assert, assertEquals } from "@std/assert";
import { gone, push, ready, running, TICK } from "./events.ts";
import { fake, type FakeEvent, type FakeTask, warm } from "./fakes.ts";
import { type Fate, Simulation } from "./simulation.ts";

const POOL = { size: 2, restarts: 2, spares: 1 } as const;
const OK: Fate = { end: "ok" };
const EXIT: Fate = { end: "exit" };

/** Tasks of the numbers from 1 to this one. */
function tasks(count: number, more: (id: number) => Partial<FakeTask> = () => ({})): FakeTask[] {
  return Array.from({ length: count }, (_, i) => fake(i + 1, { timeout: 60_000, ...more(i + 1) }));
}

const retry = {
  maxAttempts: 5,
  minTimeout: 10,
  maxTimeout: 10,
  multiplier: 1,
  jitter: 0,
  on: ["crashed" as const],
};

for (const kind of ["thread", "process"] as const) {
  for (
    const { what, exits, within } of [
      { what: "the first five exit", exits: (id: number) => id <= 5, within: 3_000 },
      { what: "the first fifteen exit", exits: (id: number) => id <= 15, within: 9_000 },
      { what: "five in the middle exit", exits: (id: number) => id > 100 && id <= 105, within: 2_500 },
      { what: "the last five exit", exits: (id: number) => id > 195, within: 2_500 },
      { what: "every tenth exits", exits: (id: number) => id % 10 === 0, within: 1_500 },
      { what: "every second exits", exits: (id: number) => id % 2 === 0, within: 10_000 },
    ]
  ) {
    Deno.test(`Scheduler runs every healthy task of a module of which ${what} (${kind})`, () => {
      const pool = new Simulation({ ...POOL, kind }, ({ id }) => exits(id) ? EXIT : OK);
      const all = tasks(200);
      pool.push(...all);
      pool.run(within);
      const crashed = all.filter(({ id }) => exits(id)).length;
      assertEquals(pool.count(), { ok: 200 - crashed, crashed });
      for (const { id } of all) assertEquals(pool.outcomes.get(id)!.status, exits(id) ? "crashed" : "ok");
    });
  }
}

Deno.test("Scheduler counts a task once against its module, however often it is tried", () => {
  const pool = new Simulation(POOL, ({ id }) => id <= 5 ? EXIT : OK);
  pool.push(...tasks(200, () => ({ retry })));
  pool.run(30_000);
  assertEquals(pool.count(), { ok: 195, crashed: 5 });
  assertEquals(pool.outcomes.get(1)!.attempts, 5);
});

Deno.test("Scheduler gives a module up of which many different tasks crashed and none ever returned, and tries it again later", () => {
  let broken = true;
  const pool = new Simulation(POOL, () => broken ? EXIT : OK);
  pool.push(...tasks(300));
  pool.run(10_000);
  assertEquals(pool.count(), { crashed: 300 });
  const ran = [...pool.outcomes.values()].filter(({ attempts }) => attempts > 0).length;
  assert(ran >= 10 && ran <= 20, `${ran} were tried`);
  assert(pool.starts.length <= 3 + 3 + 2 * 10, `${pool.starts.length} workers in 10 s`);
  broken = false;
  pool.push(fake(301, { timeout: 60_000 }));
  pool.run(12_000);
  assertEquals(pool.outcomes.get(301)!.status, "ok");
});

Deno.test("Scheduler holds a module that once returned for as long as it ends workers, and loses none of its tasks", () => {
  const pool = new Simulation(POOL, ({ id }) => id > 1 && id <= 40 ? EXIT : OK);
  pool.push(...tasks(500));
  pool.run(10_000);
  const { ok, crashed } = pool.count() as { ok: number; crashed: number };
  assertEquals(ok, 1);
  assert(crashed >= 15 && crashed <= 24, `${crashed} were tried in 10 s`);
  pool.run(25_000);
  assertEquals(pool.count(), { ok: 461, crashed: 39 });
});

for (const { size, spares } of [{ size: 1, spares: 0 }, { size: 1, spares: 1 }, { size: 2, spares: 1 }]) {
  Deno.test(`Scheduler runs other modules beside one that ends every worker (size ${size}, spares ${spares})`, () => {
    const pool = new Simulation({ size, spares, restarts: size }, ({ module }) => module === 1 ? EXIT : OK);
    pool.push(...tasks(300, () => ({ module: 1 })));
    for (let id = 1_000; id < 1_100; id++) {
      pool.push(fake(id, { module: 2, timeout: 60_000, pushedAt: pool.now }));
    }
    pool.run(4_000);
    const healthy = [...pool.outcomes].filter(([id]) => id >= 1_000);
    assertEquals(healthy.map(([, { status }]) => status), Array(100).fill("ok"));
  });
}

Deno.test("Scheduler blames no module for the end of a worker that was not seen to begin its task", () => {
  const pool = new Simulation(
    { ...POOL, restarts: 100, kind: "process" },
    ({ id }) => id % 2 === 1 ? OK : { end: "hang" },
  );
  for (let id = 1; id <= 80; id += 2) {
    // Module 1 returns, so that there is nothing wrong with the worker; then it ends under module 2.
    pool.push(fake(id, { module: 1 }));
    pool.run(pool.now + 10);
    const task = fake(id + 1, { module: 2, timeout: Infinity });
    pool.push(task);
    const worker = [...pool.workers.values()].find(({ held }) => held.includes(task));
    assert(worker !== undefined, `task ${task.id} was held back`);
    worker.held = [];
    worker.gone = true;
    pool.tell(gone(worker.id));
    pool.run(pool.now + 100);
  }
  assertEquals(pool.count(), { ok: 40, crashed: 40 });
});

Deno.test("Scheduler does not let one task storm that is tried over and over", () => {
  const pool = new Simulation(POOL, ({ id }) => id === 1 ? EXIT : OK);
  pool.push(fake(1, { retry: { ...retry, maxAttempts: 1e6 } }));
  pool.run(10_000);
  assert(pool.starts.length <= 3 + 3 + 2 * 10, `${pool.starts.length} workers in 10 s`);
});

Deno.test("Scheduler does not let many modules storm of which each ends one worker", () => {
  const pool = new Simulation(POOL, () => EXIT);
  pool.push(...tasks(1_000, (id) => ({ module: id })));
  pool.run(10_000);
  assert(pool.starts.length <= 3 + 3 + 2 * 10, `${pool.starts.length} workers in 10 s`);
});

Deno.test("Scheduler sets aside what it may not run now a few at a time, however much there is", () => {
  const pool = new Simulation(POOL, ({ module }) => module === 1 ? EXIT : OK);
  pool.push(...tasks(10_000, () => ({ module: 1 })));
  pool.push(fake(20_000, { module: 2, timeout: 60_000, pushedAt: 1 }));
  pool.run(1_000);
  assertEquals(pool.outcomes.get(20_000)!.status, "ok");
});

Deno.test("Scheduler settles the tasks of a module that is given up in slices: other deadlines are not to wait", () => {
  const { tell } = warm({ spares: 0, restarts: 1e9 });
  const count = 5_000;
  for (let id = 1; id <= count; id++) tell(push(fake(id)), 0);
  let [now, settled, most] = [0, 0, 0];
  const hear = (event: FakeEvent) => {
    const commands = tell(event, now);
    const crashed = commands.filter(({ type }) => type === "settle").length;
    settled += crashed;
    most = Math.max(most, crashed);
    for (const command of commands) {
      if (command.type === "spawn") hear(ready(command.worker));
      if (command.type === "offer") hear(gone(command.worker, { running: running(0, now) }));
    }
  };
  hear(gone(1, { running: running(0, 0) }));
  for (; settled < count && now < 10_000; now++) hear(TICK);
  assertEquals([settled, most <= 2_001], [count, true], `${most} at once`);
});
