import type { PoolEvent } from "../../mod.ts";
import { type Levels, type Run, Runs } from "./runs.ts";

/** The lane on which tasks are pushed. */
const PUSHES = 0;
const PID = 1;

/** Colors that both viewers know by these names. */
const COLORS: Record<Run["status"], string> = {
  ok: "good",
  failed: "bad",
  "timed-out": "terrible",
  crashed: "black",
  cancelled: "grey",
  retried: "yellow",
};

/**
 * Events in the format of Chrome's traces, which Perfetto and chrome://tracing open: a lane for each worker with its
 * runs, levels as counters, kills as marks, and arrows from each push to its run.
 *
 * The format: "Trace Event Format" of the Chromium project. Times are microseconds; here they count from the first
 * event, so that they keep their precision.
 */
export class TraceWriter {
  readonly #runs: Runs;
  readonly #name: string;
  #lines: string[] = [];
  #since: number | undefined;
  readonly #lanes = new Set<number>();
  /** What tasks without an outcome are called. */
  readonly #labels = new Map<number, string>();
  #levels: Levels | undefined;

  /** @param name The pool's name. */
  constructor(name: string) {
    this.#name = name;
    this.#runs = new Runs({
      run: (run) => this.#run(run),
      unrun: (taskId, status, message, at) =>
        this.#mark(PUSHES, `task ${taskId} ${status}`, at, {
          taskId,
          label: this.#labels.get(taskId),
          message,
        }),
      levels: (levels, at) => this.#count(levels, at),
      worker: (workerId, what, at) => {
        this.#lane(workerId, `worker ${workerId}`);
        this.#mark(workerId, what, at, {});
      },
    });
  }

  /** What the file begins with. */
  get head(): string {
    return "[\n";
  }

  /** What it ends with. The format allows that it is missing, as when the program was killed. */
  get tail(): string {
    return `${
      JSON.stringify({ name: "process_name", ph: "M", pid: PID, tid: PUSHES, args: { name: this.#name } })
    }\n]\n`;
  }

  /** Takes an event in, and gives the text that comes of it. */
  add(event: PoolEvent): string {
    this.#since ??= event.at;
    this.#lane(PUSHES, "pushed");
    if (event.type === "pushed") {
      if (event.label !== undefined) this.#labels.set(event.taskId, event.label);
      // An arrow begins in a slice, if a short one.
      const facts = { pid: PID, tid: PUSHES, ts: this.#ts(event.at) };
      this.#write({ name: `task ${event.taskId}`, cat: "push", ph: "X", dur: 1, ...facts });
      this.#write({ name: "task", cat: "push", ph: "s", id: event.taskId, ...facts });
    }
    this.#runs.add(event);
    if (event.type === "settled") this.#labels.delete(event.taskId);
    const text = this.#lines.join("");
    this.#lines = [];
    return text;
  }

  #run({ taskId, workerId, attempt, pushedAt, startedAt, endedAt, status, message }: Run): void {
    this.#lane(workerId, `worker ${workerId}`);
    const facts = { pid: PID, tid: workerId, ts: this.#ts(startedAt) };
    const waitedMs = pushedAt === undefined ? undefined : startedAt - pushedAt;
    this.#write({
      name: `task ${taskId}`,
      cat: status,
      ph: "X",
      dur: Math.max(1, Math.round(1_000 * (endedAt - startedAt))),
      cname: COLORS[status],
      args: { label: this.#labels.get(taskId), status, attempt, waitedMs, message },
      ...facts,
    });
    if (attempt === 1 && pushedAt !== undefined) {
      this.#write({ name: "task", cat: "push", ph: "f", bp: "e", id: taskId, ...facts });
    }
  }

  #count(levels: Levels, at: number): void {
    const before = this.#levels;
    this.#levels = levels;
    const { queued, running, workers } = levels;
    if (queued !== before?.queued) this.#counter("queue", { tasks: queued }, at);
    if (running !== before?.running || workers !== before?.workers) {
      this.#counter("workers", { busy: running, idle: Math.max(0, workers - running) }, at);
    }
  }

  #counter(name: string, args: Record<string, number>, at: number): void {
    this.#write({ name, ph: "C", pid: PID, ts: this.#ts(at), args });
  }

  #mark(tid: number, name: string, at: number, args: Record<string, unknown>): void {
    this.#write({ name, ph: "i", s: "t", pid: PID, tid, ts: this.#ts(at), args });
  }

  #lane(tid: number, name: string): void {
    if (this.#lanes.has(tid)) return;
    this.#lanes.add(tid);
    this.#write({ name: "thread_name", ph: "M", pid: PID, tid, args: { name } });
    this.#write({ name: "thread_sort_index", ph: "M", pid: PID, tid, args: { sort_index: tid } });
  }

  #ts(at: number): number {
    return Math.max(0, Math.round(1_000 * (at - this.#since!)));
  }

  #write(record: Record<string, unknown>): void {
    this.#lines.push(`${JSON.stringify(record)},\n`);
  }
}
