import { assert, assertEquals } from "@std/assert";
import { fake, type FakeTask } from "./fakes.ts";
import { type Fate, type SimulatedWorker, Simulation } from "./simulation.ts";

const POOL = { size: 2, restarts: 2, spares: 1 } as const;

/** Modules as a thread of Deno has them: what could not be imported once cannot be imported again. */
function importing(broken: (name: string, now: number) => boolean, imports: (module: number) => string[]) {
  return (pool: Simulation) => ({ module }: FakeTask, { notes }: SimulatedWorker): Fate => {
    for (const name of imports(module)) {
      if (notes.has(name)) continue;
      if (notes.has(`failed ${name}`) || broken(name, pool.now)) {
        notes.add(`failed ${name}`);
        return { end: "unloaded" };
      }
      notes.add(name);
    }
    return { end: "ok" };
  };
}

function start(more: object, fate: (pool: Simulation) => (task: FakeTask, worker: SimulatedWorker) => Fate) {
  let run: ReturnType<typeof fate> | undefined;
  const pool: Simulation = new Simulation(
    { ...POOL, ...more },
    (task, worker) => (run ??= fate(pool))(task, worker),
  );
  return pool;
}

const own = (module: number) => [`module ${module}`];

for (const kind of ["thread", "process"] as const) {
  Deno.test(`Scheduler gives no later task to a worker that failed to load its module once (${kind})`, () => {
    const pool = start({ kind }, importing((_, now) => now < 100, own));
    pool.push(fake(1, { module: 1 }), fake(2, { module: 1 }));
    pool.run(150);
    assertEquals(pool.count(), { failed: 2 });
    for (let id = 3; id <= 22; id++) pool.push(fake(id, { module: 1, pushedAt: pool.now }));
    pool.run(600);
    assertEquals(pool.count(), { failed: 2, ok: 20 });
    assert(pool.starts.length <= 5, `${pool.starts.length} workers`);
  });

  Deno.test(`Scheduler takes no failure for the truth that a worker kept, of the module or of what it imports (${kind})`, () => {
    // Module 1 and all others import the same dependency, which is not there at first.
    const pool = start(
      { kind },
      importing(
        (name, now) => name === "dependency" && now < 100,
        (module) => ["dependency", ...own(module)],
      ),
    );
    pool.push(...[1, 2, 3].map((id) => fake(id, { module: id })));
    pool.run(150);
    assertEquals(pool.count(), { failed: 3 });
    for (let id = 4; id <= 23; id++) pool.push(fake(id, { module: id, pushedAt: pool.now }));
    pool.run(3_000);
    assertEquals(pool.count(), { failed: 3, ok: 20 });
  });

  Deno.test(`Scheduler runs a retry on a worker that did not fail to load its module (${kind})`, () => {
    const retry = {
      maxAttempts: 5,
      minTimeout: 10,
      maxTimeout: 10,
      multiplier: 1,
      jitter: 0,
      on: ["failed" as const],
    };
    const pool = start({ kind, size: 1, restarts: 1 }, importing((_, now) => now < 200, own));
    pool.push(fake(1, { module: 1, retry }));
    pool.run(2_000);
    assertEquals(pool.outcomes.get(1)!.status, "ok");
  });
}

Deno.test("Scheduler tells at once of many tasks that their module cannot be loaded, and starts few workers for it", () => {
  const pool = start({}, importing(() => true, own));
  for (let id = 1; id <= 1_000; id++) pool.push(fake(id, { module: 1 }));
  pool.run(3_000);
  assertEquals(pool.count(), { failed: 1_000 });
  assert(pool.starts.length <= 3 + 3 + 2 * 3, `${pool.starts.length} workers in 3 s`);
});

Deno.test("Scheduler runs other modules as before on workers that failed to load one", () => {
  const pool = start({}, importing((name) => name === "module 1", own));
  for (let id = 1; id <= 400; id++) pool.push(fake(id, { module: id % 4 === 0 ? 1 : 2 }));
  pool.run(5_000);
  assertEquals(pool.count(), { ok: 300, failed: 100 });
  const healthy = [...pool.outcomes].filter(([id]) => id % 4 !== 0).map(([, { at }]) => at);
  assert(Math.max(...healthy) < 2_000, `${Math.max(...healthy)} ms`);
});
