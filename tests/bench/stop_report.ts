import type { Answer } from "./child.ts";
import { percentile } from "./measure.ts";
import type { Subject } from "./stop_subjects.ts";
import { formatNumber } from "./table.ts";

/** What an outcome may be late, and a slot be empty, in milliseconds. */
const TARGET_MS = 10;

/** What a run leaves behind. */
export interface Left {
  /** Threads and cores that are in use two seconds after. */
  readonly left: { threads: number; cores: number };
  /** Processes that were there after the pool had been told to stop. */
  readonly processes: number[];
}

/** One hang at a time; see `measurements/stops.mjs`. Times in milliseconds. */
export interface Stops extends Left {
  readonly late: number[];
  readonly back: number[];
  readonly gone: number[];
  /** Hangs that got no outcome, tasks behind that got no answer, threads and processes that did not end. */
  readonly unsettled: number;
  readonly unanswered: number;
  readonly lasting: number;
}

/** All hangs at once; see `measurements/storm.mjs`. */
export interface Storm extends Left {
  readonly late: number[];
  /** Tasks that got an outcome without having run. */
  readonly without: number;
}

/** The row of a pool. */
export function stopsRow(subject: Subject, answer: Answer<Stops>): string[] {
  const head = [subject.contestant.name, subject.by];
  if ("error" in answer) return [...head, ...Array<string>(8).fill(""), answer.error];
  const { late, back, gone, unsettled, unanswered, lasting, left } = answer.figures;
  const notes = [
    unsettled > 0 && "no outcome after 5 s, given up",
    unanswered > 0 && "no answer behind it after 5 s, given up",
    lasting > 0 && `${lasting} of ${lasting + gone.length} threads not gone after 5 s`,
  ].filter((note) => note !== false);
  const times = [late, back].flatMap((values) => [at(values, 0.5), at(values, 0.99)]);
  return [...head, `${late.length}`, ...times, at(gone, 0.5), at(gone, 1), running(left), notes.join("; ")];
}

/** The row of a pool that got all hangs at once. */
export function stormRow(subject: Subject, answer: Answer<Storm>): string[] {
  const head = [subject.contestant.name, subject.by];
  if ("error" in answer) return [...head, ...Array<string>(8).fill(""), answer.error];
  const { late, without, left } = answer.figures;
  const note = without > 0 ? `${without} got an outcome without having run` : "";
  return [...head, `${late.length}`, at(late, 0.5), at(late, 0.99), "", "", "", "", running(left), note];
}

/** How far ours met its targets. */
export function stopsVerdicts(subject: Subject, answer: Answer<Stops>): string[] {
  if (!subject.ours || "error" in answer) return [];
  const { late, back } = answer.figures;
  return [
    verdict(subject, "late p99", percentile(late, 0.99)),
    verdict(subject, "back p50", percentile(back, 0.5)),
  ];
}

/** How far ours met its target while workers are being started. */
export function stormVerdicts(subject: Subject, answer: Answer<Storm>): string[] {
  if (!subject.ours || "error" in answer) return [];
  return [verdict(subject, "late p99", percentile(answer.figures.late, 0.99))];
}

function verdict({ by }: Subject, what: string, measured: number): string {
  const met = measured <= TARGET_MS ? "met" : "missed";
  return `target (${by}): ${what} at most ${TARGET_MS} ms; measured: ${formatNumber(measured)}; ${met}`;
}

function at(values: readonly number[], share: number): string {
  return formatNumber(percentile(values, share));
}

function running({ threads, cores }: Left["left"]): string {
  return threads === 0 ? "nothing" : `${threads} threads, ${formatNumber(cores)} cores`;
}
