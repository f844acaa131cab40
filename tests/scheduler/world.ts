import { assert, assertEquals } from "@std/assert";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { Result } from "../../src/scheduler/scheduling.ts";
import { looked, result, running } from "./events.ts";
import {
  brief,
  DEATH,
  type FakeCommand,
  type FakeEvent,
  type FakeOptions,
  type FakeTask,
  options,
} from "./fakes.ts";

/** Workers as the scheduler sees them, in simulated time: they run, hang, crash, die idle, and become zombies. */
export class World {
  readonly scheduler: Scheduler<FakeTask, Result>;
  readonly outcomes = new Map<number, string>();
  /** Tasks that came to their end within their limit. */
  readonly inTime = new Set<number>();
  now = 0;
  /** The id of the last task that was cancelled if it waited. */
  cut = 0;
  #agenda: { at: number; order: number; act: () => void }[] = [];
  #order = 0;
  #workers = new Map<number, FakeWorker>();
  #watches = new Map<number, number>();
  /** Tasks whose worker died under them. */
  #doomed = new Set<number>();
  readonly next: () => number;
  /** Workers are processes: each holds one task. */
  readonly alone: boolean;

  /** @param handed What the entry has handed to the bridge; else there is no bridge. */
  constructor(next: () => number, more: FakeOptions, handed?: FakeTask) {
    this.next = next;
    this.alone = more.maxOffered === 1;
    this.scheduler = new Scheduler(options(more));
    this.carry(this.scheduler.start(0, handed && 0));
    if (handed === undefined) return;
    const bridge = this.#workers.get(1)!;
    this.tell({ type: "handed", task: handed });
    if (!bridge.dead) bridge.receive([handed]);
  }

  after(ms: number, act: () => void): void {
    this.#agenda.push({ at: this.now + ms, order: this.#order++, act });
  }

  tell(event: FakeEvent): void {
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

  /** Of what was pushed by now nothing may begin any more. */
  cancelWaiting(upTo: number): void {
    if (!this.alone) this.cut = upTo;
    this.tell({ type: "cancel-waiting", upTo });
  }

  carry(commands: FakeCommand[]): void {
    const events: FakeEvent[] = [];
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
        case "adopt":
          this.#spawn(command.worker);
          break;
        case "offer": {
          const worker = this.#workers.get(command.worker)!;
          assert(worker.heard && !worker.stopped, `offer to worker ${worker.id}, which was stopped`);
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
          events.push({ type: "interrupted", worker: command.worker });
          break;
        case "ran":
        case "abort":
        case "waiting-cancelled":
        case "renewed":
        case "idle-death":
        case "restricted":
        case "forget":
        case "zombie":
        case "undisposed":
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

  look(id: number, drained = false): FakeEvent[] {
    const worker = this.#workers.get(id);
    if (worker === undefined || worker.dead || !worker.heard) return [];
    const events: FakeEvent[] = [];
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
    if (id > 3 && this.next() < 0.03) return this.after(this.next() * 50, () => this.gone(worker));
    // Some take long: what was handed to them is not to wait for that.
    const startMs = this.next() < 0.02 ? 2_000 : this.next() * 30;
    this.after(startMs, () => worker.start());
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
  /** The scheduler knows that it is ready: it hears that first. */
  heard = false;
  stopped = false;
  dead = false;

  constructor(id: number, world: World) {
    this.id = id;
    this.#world = world;
  }

  /** What it has by then it begins at once. */
  start(): void {
    if (this.dead) return;
    this.ready = true;
    this.next();
    this.#world.after(this.#world.next(), () => this.#hear());
  }

  #hear(): void {
    if (this.dead || this.heard) return;
    this.heard = true;
    this.#world.tell({ type: "ready", worker: this.id });
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
    if (this.current !== undefined || this.dead || !this.ready) return;
    const task = this.held[0];
    if (task === undefined || !this.#arrived.has(task)) return;
    this.held.shift();
    assert(!this.stopped, `task ${task.id} was begun by worker ${this.id}, which was stopped`);
    assert(!this.#world.outcomes.has(task.id), `task ${task.id} was begun after its outcome`);
    assert(task.id > this.#world.cut, `task ${task.id} was begun, though all that waited was cancelled`);
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
      this.#hear();
      this.#world.tell({ type: "results", worker: this.id, results: this.mail.splice(0) });
    });
  }

  #tell(): void {
    this.#world.after(0.05, () => {
      if (this.dead || this.results.length === 0) return;
      this.#hear();
      this.#world.tell({ type: "results", worker: this.id, results: this.results.splice(0) });
    });
  }
}
