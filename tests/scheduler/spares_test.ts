import { assert, assertEquals } from "@std/assert";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Result } from "../../src/scheduler/scheduling.ts";
import { Spares } from "../../src/scheduler/spares.ts";
import { gone, push, result, running } from "./events.ts";
import { fake, type FakeCommand, type FakeEvent, type FakeTask, options } from "./fakes.ts";

/** So many stops, each so long after the last, from a moment on. */
function stop(spares: Spares, times: number, every: number, from: number): void {
  for (let i = 0; i < times; i++) spares.stopped(from + i * every, 1);
}

Deno.test("Spares wants the least while nothing is stopped", () => {
  const spares = new Spares(1, 8);
  assertEquals([spares.wanted(0, 0), spares.fewerAt], [1, Infinity]);
});

Deno.test("Spares wants as many as are stopped within the time of a start", () => {
  for (
    const [startMs, every, wanted] of [[590, 100, 6], [590, 50, 12], [590, 1_000, 1], [90, 50, 2], [
      590,
      10,
      16,
    ]]
  ) {
    const spares = new Spares(1, 16);
    for (let i = 0; i < 30; i++) spares.started(startMs!);
    stop(spares, 50, every!, 1_000);
    const now = 1_000 + 50 * every!;
    assertEquals(spares.wanted(0, now), wanted, `${every} ms apart, ${startMs} ms to start`);
  }
});

Deno.test("Spares remembers the worst burst for ten seconds, and then what came after it", () => {
  const spares = new Spares(1, 16);
  stop(spares, 5, 1, 1_000);
  stop(spares, 3, 1, 5_000);
  assertEquals(spares.wanted(0, 5_100), 5);
  assertEquals(spares.fewerAt, 11_004);
  assertEquals(spares.wanted(0, 11_004), 3);
  assertEquals(spares.fewerAt, 15_002);
  assertEquals(spares.wanted(0, 15_002), 1);
  assertEquals(spares.fewerAt, Infinity);
});

Deno.test("Spares wants fewer at the moment that it names, however that is rounded", () => {
  for (let i = 0; i < 1_000; i++) {
    const spares = new Spares(1, 4);
    const at = 90 + i * 0.0123;
    stop(spares, 2, 0, at);
    assertEquals(spares.wanted(0, spares.fewerAt), 1, `${at}`);
  }
});

Deno.test("Spares stays what it was told to be where the most is the least", () => {
  for (const count of [0, 3]) {
    const spares = new Spares(count, count);
    stop(spares, 9, 1, 1_000);
    assertEquals(spares.wanted(5, 1_010), count);
    assertEquals(spares.doubtAt({ since: 0, timeout: 100, estimate: 1 }), Infinity);
  }
});

Deno.test("Spares doubts a task that runs far longer than its like, no earlier than a start before its end", () => {
  const spares = new Spares(1, 8);
  for (let i = 0; i < 50; i++) spares.started(500);
  const doubtAfter = (timeout: number, estimate: number | undefined) =>
    Math.round(spares.doubtAt({ since: 0, timeout, estimate }));
  // Its like takes a millisecond: ten are long.
  assertEquals(doubtAfter(200, 1), 10);
  assertEquals(doubtAfter(200, 20), 80);
  // They always take long.
  assertEquals(doubtAfter(200, 60), Infinity);
  // Nothing is known.
  assertEquals(doubtAfter(200, undefined), 100);
  assertEquals(doubtAfter(2_000, 1), 1_500);
  assertEquals(doubtAfter(60_000, undefined), 59_500);
  assertEquals(doubtAfter(Infinity, 1), Infinity);
});

Deno.test("Spares expects as many stops of a doubtful task as come before a spare is there", () => {
  const spares = new Spares(1, 8);
  for (let i = 0; i < 50; i++) spares.started(500);
  const expects = (timeout: number) =>
    Math.round(10 * spares.expects({ since: 0, timeout, estimate: 1 })) / 10;
  assertEquals([expects(100), expects(500), expects(60_000)], [5, 1, 1]);
});

Deno.test("Spares foresees as many stops as the tasks that wait stand for, and that can run within a start", () => {
  const foreseen = (runs: number, ms: number, stops: number, waiting: number) => {
    const spares = new Spares(1, 16);
    for (let i = 0; i < 50; i++) spares.started(600);
    for (let i = 0; i < runs; i++) spares.ran(ms);
    for (let i = 0; i < stops; i++) spares.stopped(i, ms);
    return Math.round(spares.foreseen(waiting, 2));
  };
  // One may be a single misfortune.
  assertEquals(foreseen(9, 1, 1, 100), 0);
  assertEquals(foreseen(27, 1, 3, 160), 16 + 4);
  assertEquals(foreseen(180, 1, 20, 0), 0);
  // Of tasks that take 100 ms twelve run within a start.
  assertEquals(foreseen(60, 100, 30, 1_000), 4 + 2);
  assertEquals(foreseen(1_000, 1, 0, 1_000), 0);
  // Nothing has ever run to its end: the ones that wait may be of another kind.
  assertEquals(foreseen(0, 1, 5, 1_000), 0);
});

Deno.test("Spares does not follow what was stopped where it is told what is to be expected", () => {
  const spares = new Spares(1, 16);
  stop(spares, 5, 1, 1_000);
  assertEquals([spares.wanted(0, 1_010), spares.wanted(2, 1_010, false)], [5, 2]);
});

Deno.test("Spares forgets in time how many tasks were stopped", () => {
  const spares = new Spares(1, 16);
  for (let i = 0; i < 50; i++) spares.stopped(i, 1);
  for (let i = 0; i < 5_000; i++) spares.ran(1);
  assertEquals(Math.round(spares.foreseen(100, 2)), 0);
});

/** A pool whose workers take so long to start, and tasks that return at once, hang or exit, in simulated time. */
class Simulation {
  now = 0;
  settled = 0;
  spawned = 0;
  most = 0;
  readonly #scheduler: Scheduler<FakeTask, Result>;
  readonly #startMs: number;
  readonly #hangs: (task: FakeTask) => boolean;
  readonly #exits: (task: FakeTask) => boolean;
  #agenda: { at: number; act: () => void }[] = [];
  /** What each worker holds: tasks, and since when the first runs. */
  readonly #workers = new Map<number, { tasks: FakeTask[]; since: number }>();

  constructor(
    more: Parameters<typeof options>[0],
    startMs: number,
    { hangs = () => false, exits = () => false }: Record<string, (task: FakeTask) => boolean>,
  ) {
    this.#startMs = startMs;
    this.#hangs = hangs;
    this.#exits = exits;
    this.#scheduler = new Scheduler(options(more));
    this.#carry(this.#scheduler.start(0));
  }

  tell(event: FakeEvent): void {
    this.#carry(this.#scheduler.handle(event, this.now));
  }

  at(at: number, act: () => void): void {
    this.#agenda.push({ at, act });
  }

  /** Lets time pass. */
  run(until: number): void {
    for (;;) {
      this.#agenda.sort((a, b) => a.at - b.at);
      const next = Math.min(this.#agenda[0]?.at ?? Infinity, this.#scheduler.wakeAt);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      if (this.#agenda[0] !== undefined && this.#agenda[0].at <= this.now) this.#agenda.shift()!.act();
      else this.tell({ type: "tick" });
    }
    this.now = until;
  }

  get alive(): number {
    const { starting, idle, busy } = this.#scheduler.stats().workers;
    return starting + idle + busy;
  }

  #carry(commands: FakeCommand[]): void {
    for (const command of commands) {
      switch (command.type) {
        case "spawn": {
          const { worker } = command;
          this.spawned++;
          this.#workers.set(worker, { tasks: [], since: 0 });
          this.at(this.now + this.#startMs, () => this.tell({ type: "ready", worker }));
          break;
        }
        case "offer":
          this.#workers.get(command.worker)!.tasks.push(...command.tasks);
          if (this.#workers.get(command.worker)!.tasks.length === command.tasks.length) {
            this.#begin(command.worker);
          }
          break;
        case "watch":
          this.at(command.at, () => this.#look(command.worker, false));
          break;
        case "look":
          this.#look(command.worker, command.drained);
          break;
        case "take-back": {
          const held = this.#workers.get(command.worker)!.tasks;
          const back = held.slice(1).filter(({ seq }) => command.seqs.includes(seq));
          this.#workers.get(command.worker)!.tasks = held.filter((task) => !back.includes(task));
          this.tell({ type: "taken-back", worker: command.worker, seqs: back.map(({ seq }) => seq) });
          break;
        }
        case "close":
          this.at(this.now + 1, () => this.#gone(command.worker));
          break;
        case "finish":
        case "settle":
          this.settled++;
          break;
        default:
      }
    }
    this.most = Math.max(this.most, this.alive);
  }

  #begin(worker: number): void {
    const held = this.#workers.get(worker);
    const task = held?.tasks[0];
    if (held === undefined) return;
    held.since = this.now;
    if (task === undefined || this.#hangs(task)) return;
    this.at(this.now + 1, () => {
      if (this.#workers.get(worker) !== held || held.tasks[0] !== task) return;
      if (this.#exits(task)) return this.#gone(worker);
      const end = result(task.seq, this.now - 1, this.now);
      held.tasks.shift();
      this.tell({ type: "results", worker, results: [end] });
      this.#begin(worker);
    });
  }

  #look(worker: number, drained: boolean): void {
    const held = this.#workers.get(worker);
    const task = held?.tasks[0];
    if (held === undefined || task === undefined) return;
    this.tell({ type: "looked", worker, running: running(task.seq, held.since), drained });
  }

  #gone(worker: number): void {
    const held = this.#workers.get(worker);
    if (held === undefined) return;
    this.#workers.delete(worker);
    const [first, ...rest] = held.tasks;
    const unclaimed = rest.map(({ seq }) => seq);
    this.tell(gone(worker, first && { running: running(first.seq, held.since), unclaimed }));
  }
}

Deno.test("a pool under a stream of hangs loses less than a tenth of its slots, and is small again when they end", () => {
  // Two callers that hang again and again, for 20 s.
  const simulation = new Simulation({ size: 3, spares: 1, maxSpares: 16, maxZombies: 99 }, 570, {
    hangs: () => true,
  });
  simulation.run(600);
  let id = 0;
  const pushOne = () => simulation.tell(push(fake(++id, { timeout: 100, pushedAt: simulation.now })));
  let hangs = 0;
  for (let now = 600; now < 20_600; now += 5) {
    simulation.at(now, () => {
      // A caller pushes when its last one is over.
      while (id - simulation.settled < 2) pushOne();
    });
  }
  simulation.run(20_600);
  hangs = simulation.settled;
  assert(hangs >= 18 * 20, `${hangs / 20} hangs a second of an ideal 20`);
  assert(simulation.most <= 3 + 16, `${simulation.most} workers`);
  simulation.run(40_000);
  assertEquals(simulation.alive, 4);
});

Deno.test("half of a hundred tasks hang at once in a new pool: it takes little longer than they do", () => {
  const simulation = new Simulation(
    { size: 4, spares: 1, maxSpares: 16, maxZombies: 99 },
    570,
    { hangs: ({ id }) => id % 2 === 0 },
  );
  simulation.run(600);
  for (let id = 1; id < 10; id += 2) simulation.tell(push(fake(id, { timeout: 200, pushedAt: 600 })));
  simulation.run(1_000);
  const { settled } = simulation;
  for (let id = 100; id < 200; id++) simulation.tell(push(fake(id, { timeout: 200, pushedAt: 1_000 })));
  let until = 1_000;
  while (simulation.settled - settled < 100) simulation.run(until += 5);
  const ratio = (until - 1_000) / (13 * 200);
  assert(ratio < 1.2, `${ratio} of the ideal`);
});

Deno.test("every tenth of two hundred tasks ends its worker: spares follow, and go when none ends any more", () => {
  const simulation = new Simulation(
    { size: 2, spares: 1, maxSpares: 16, cores: 2, maxZombies: 99 },
    570,
    { exits: ({ id }) => id % 10 === 0 },
  );
  simulation.run(600);
  for (let id = 1; id <= 200; id++) simulation.tell(push(fake(id, { timeout: 5_000, pushedAt: 600 })));
  let until = 600;
  while (simulation.settled < 200) simulation.run(until += 5);
  // Twenty ends, of three workers at first: six starts one after the other if no more follow than have ended, three if
  // as many follow as ended within one.
  assert(until - 600 < 2.5 * 570, `${until - 600} ms`);
  simulation.run(until + 20_000);
  assertEquals(simulation.alive, 3);
});

Deno.test("every task ends its worker: there are no more spares for it", () => {
  const simulation = new Simulation({ size: 2, spares: 1, maxSpares: 16, cores: 2 }, 570, {
    exits: () => true,
  });
  simulation.run(600);
  for (let id = 1; id <= 50; id++) simulation.tell(push(fake(id, { timeout: 5_000, pushedAt: 600 })));
  simulation.run(20_000);
  assertEquals([simulation.settled, simulation.most], [50, 3]);
});
