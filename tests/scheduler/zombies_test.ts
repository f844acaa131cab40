import { assert, assertEquals } from "@std/assert";
import { gone, interrupted, looked, push, running, TICK } from "./events.ts";
import { brief, fake, type FakeEvent, warm } from "./fakes.ts";
import { type Fate, Simulation } from "./simulation.ts";

const POOL = { size: 2, restarts: 2, spares: 1, processes: true, maxZombies: 6 } as const;
const OK: Fate = { end: "ok" };

/** Tasks of module 1 hang so that no thread can be stopped; those of module 2 are healthy. */
const stuck = ({ module }: { module: number }): Fate => module === 1 ? { end: "stuck" } : OK;

Deno.test("Scheduler runs a module of which a thread could not be stopped in processes from then on, others in threads", () => {
  const pool = new Simulation(POOL, stuck);
  pool.push(fake(1, { module: 1 }));
  pool.run(2_000);
  assertEquals([pool.outcomes.get(1)!.status, pool.scheduler.stats().zombies], ["timed-out", 1]);
  const kinds = new Map<number, string>();
  for (let id = 2; id <= 21; id++) {
    pool.push(fake(id, { module: id % 2, pushedAt: pool.now }));
    pool.run(pool.now + 200);
  }
  pool.run(8_000);
  for (const worker of pool.workers.values()) if (worker.stuck) kinds.set(worker.id, worker.kind);
  assertEquals(pool.scheduler.stats().zombies, 1);
  assertEquals([...kinds.values()].filter((kind) => kind === "thread").length, 1);
  assertEquals(pool.count(), { "timed-out": 11, ok: 10 });
});

Deno.test("Scheduler holds a module while a thread that ran it does not end, and makes few zombies of it", () => {
  const pool = new Simulation(POOL, stuck);
  for (let id = 1; id <= 40; id++) pool.push(fake(id, { module: 1, timeout: 400 }));
  for (let id = 41; id <= 60; id++) pool.push(fake(id, { module: 2, timeout: 60_000, pushedAt: 1 }));
  pool.run(30_000);
  const { zombies } = pool.scheduler.stats();
  // Those that ran at once, and those that passed their limit before the first was found not to end.
  assert(zombies <= 2 * 3, `${zombies} zombies`);
  assertEquals(pool.count(), { "timed-out": 40, ok: 20 });
});

Deno.test("Scheduler holds a module of which threads can be stopped once, not with each that it stops", () => {
  const pool = new Simulation({ ...POOL, maxSpares: 8 }, ({ module }) => module === 1 ? { end: "hang" } : OK);
  for (let id = 1; id <= 40; id++) pool.push(fake(id, { module: 1, timeout: 100 }));
  pool.run(4_000);
  assertEquals(pool.count(), { "timed-out": 40 });
});

Deno.test("Scheduler starts processes in place of threads while there are zombies, if it may", () => {
  for (const processes of [true, false]) {
    const pool = new Simulation({ ...POOL, processes }, stuck);
    pool.push(fake(1, { module: 1 }));
    pool.run(1_800);
    assertEquals(pool.scheduler.stats().zombies, 1);
    // A thread ends: what comes in its place?
    const before = pool.workers.size;
    const idle = [...pool.workers.values()].find(({ stuck, gone }) => !stuck && !gone)!;
    pool.end(idle);
    assertEquals([...pool.workers.values()].slice(before).map(({ kind }) => kind), [
      processes ? "process" : "thread",
    ]);
  }
});

/** A pool that has only zombies: as many as there may be. */
function exhausted(): Simulation {
  const pool = new Simulation({ ...POOL, processes: false, maxZombies: 3, restarts: 100 }, stuck);
  for (let id = 1; id <= 3; id++) pool.push(fake(id, { module: 1 }));
  pool.run(2_000);
  assertEquals(pool.scheduler.stats().zombies, 3);
  for (const worker of pool.workers.values()) if (!worker.stuck) pool.end(worker);
  for (let id = 4; id <= 10; id++) pool.push(fake(id, { module: 2, pushedAt: pool.now }));
  return pool;
}

Deno.test("Scheduler lets tasks wait while there are as many zombies as may be, and one may still end", () => {
  const pool = exhausted();
  pool.run(30_000);
  assertEquals(pool.count(), { "timed-out": 3 });
  // The call returns for which one has waited.
  pool.end([...pool.workers.values()].find(({ stuck }) => stuck)!);
  pool.run(31_000);
  assertEquals(pool.count(), { "timed-out": 3, ok: 7 });
});

Deno.test("Scheduler lets nothing urgent wait for a zombie to end: an outcome waits for it", () => {
  const pool = exhausted();
  pool.push(fake(-1, { module: 3, priority: Infinity, pushedAt: pool.now }));
  assertEquals(pool.count(), { "timed-out": 3, crashed: 1 });
  assertEquals(pool.outcomes.get(-1)!.status, "crashed");
  pool.end([...pool.workers.values()].find(({ stuck }) => stuck)!);
  pool.run(pool.now + 1_000);
  assertEquals(pool.count(), { "timed-out": 3, crashed: 1, ok: 7 });
});

Deno.test("Scheduler fails waiting tasks when no zombie has ended for a minute, and tells why", () => {
  const pool = exhausted();
  pool.run(55_000);
  assertEquals(pool.count(), { "timed-out": 3 });
  pool.run(70_000);
  assertEquals(pool.count(), { "timed-out": 3, crashed: 7 });
});

for (const kind of ["thread", "process"] as const) {
  Deno.test(`Scheduler starts workers at once when the pool is resized to allow for more zombies (${kind})`, () => {
    const { scheduler, tell } = warm({
      kind,
      size: 2,
      spares: 0,
      maxZombies: 1,
      killGrace: 0,
      maxOffered: 1,
    });
    for (let id = 1; id <= 3; id++) tell(push(fake(id)), 0);
    const lines = (event: FakeEvent, now: number) =>
      brief(tell(event, now)).filter((line) => !/^(close|kill|settle)/.test(line));
    lines(looked(1, running(0, 0)), 100);
    lines(interrupted(1), 100);
    // It does not end: no other is started in its place.
    tell(TICK, 2_000);
    assertEquals(scheduler.stats().zombies, 1);
    for (const worker of [3, 2]) lines(gone(worker), 2_000);
    assertEquals(lines(push(fake(4)), 2_001), []);
    const sizes = { size: 2, minSize: 2, maxZombies: 2, restarts: 2 };
    assertEquals(
      lines({ type: "resize", sizes }, 2_002).filter((line) => line.startsWith("spawn")).length,
      2,
    );
  });
}

Deno.test("Scheduler runs a module in processes that took one along, where it would have taken the program", () => {
  let healthy = true;
  const pool = new Simulation(
    { ...POOL, size: 1, spares: 0 },
    ({ module }, worker) =>
      module === 1 && worker.kind === "thread" ? { end: "stuck" } : healthy ? OK : { end: "hang" },
  );
  // There is a zombie, so that its replacement, which runs whatever comes, is a process.
  pool.push(fake(1, { module: 1 }));
  pool.run(60);
  pool.run(2_000);
  for (const worker of pool.workers.values()) if (!worker.stuck) pool.end(worker);
  pool.run(4_000);
  const process = [...pool.workers.values()].at(-1)!;
  assertEquals([pool.scheduler.stats().zombies, process.kind], [1, "process"]);
  healthy = false;
  pool.push(fake(2, { module: 2, timeout: 60_000, pushedAt: pool.now }));
  pool.run(4_001);
  const commands = pool.scheduler.handle({
    type: "gone",
    worker: process.id,
    death: { reason: "signal", exitCode: null, message: "was killed by SIGSEGV" },
    results: [],
    running: { seq: process.current!.task.seq, since: pool.now, loading: false, callbacks: 0 },
    unclaimed: [],
  }, pool.now);
  assertEquals(commands.filter(({ type }) => type === "restricted"), [
    { type: "restricted", file: 2, why: "crash" },
  ]);
});
