/**
 * What becomes of a task that hangs, beside others: `deno run -A tests/bench/stop_bench.ts [--json FILE]`. Linux only.
 *
 * Every pool is measured in a process of its own, for a bounded time, and ended with all that it leaves behind.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Answer, endAll, runChild } from "./child.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { fetchPackages } from "./packages.ts";
import { type Stops, stopsRow, stopsVerdicts, type Storm, stormRow, stormVerdicts } from "./stop_report.ts";
import { type Subject, SUBJECTS } from "./stop_subjects.ts";
import { formatTable } from "./table.ts";

const LIMIT_MS = 100;
/** How long to wait for an outcome, an answer, or an end. */
const BOUND_MS = 5_000;
const RUN_SECONDS = 900;

const { values: options } = parseArgs({ options: { json: { type: "string" } } });
const packages = await fetchPackages();

const stops = new Map<Subject, Answer<Stops>>();
const storms = new Map<Subject, Answer<Storm>>();
for (const subject of SUBJECTS) {
  const params = { hangs: subject.hangs, limit: LIMIT_MS, bound: BOUND_MS };
  stops.set(subject, await run<Stops>(subject, "stops", params));
}
for (const subject of SUBJECTS.filter(({ ours }) => ours)) {
  const params = { hangs: subject.hangs, limit: LIMIT_MS, size: 2 };
  storms.set(subject, await run<Storm>(subject, "storm", params));
}

const machine = await describeMachine();
const times = ["late p50", "p99", "back p50", "p99", "gone p50", "max"];
const header = ["pool", "stopped by", "hangs", ...times, "left running", ""];
console.log(`${machineLine(machine)}; limit ${LIMIT_MS} ms, all times in ms\n`);
console.log(formatTable(header, [
  {
    title: "One at a time, one worker, a quick task queued behind each",
    rows: [...stops].map(([subject, answer]) => stopsRow(subject, answer)),
    remarks: [...stops].flatMap(([subject, answer]) => stopsVerdicts(subject, answer)),
  },
  {
    title: "All at once, two workers: they are stopped and started all the time",
    rows: [...storms].map(([subject, answer]) => stormRow(subject, answer)),
    remarks: [...storms].flatMap(([subject, answer]) => stormVerdicts(subject, answer)),
  },
], 2));
console.log(`
  late: from the limit to the outcome, at the entry
  back: from the outcome to the answer of the task queued behind
  gone: from the outcome to the end of the thread, or of the process
  left running: threads that use the CPU two seconds after the last, and the cores they use`);
if (options.json !== undefined) {
  const data = (answers: Map<Subject, unknown>) =>
    [...answers].map(([{ contestant, by }, answer]) => ({ pool: contestant.name, by, answer }));
  const all = { machine, limit: LIMIT_MS, single: data(stops), atOnce: data(storms) };
  await Deno.writeTextFile(options.json, JSON.stringify(all, null, 2));
  console.log(`\nAll values: ${options.json}`);
}

async function run<Figures extends { processes: number[] }>(
  { contestant, by }: Subject,
  measurement: string,
  params: Record<string, unknown>,
): Promise<Answer<Figures>> {
  console.error(`${contestant.name}, ${by}: ${measurement}`);
  const folder = await Deno.makeTempDir({ prefix: "multiprocess-hangs-" });
  const all = { ...params, folder };
  const answer = await runChild<Figures>(contestant, measurement, all, RUN_SECONDS, packages);
  await Deno.remove(folder, { recursive: true });
  if ("error" in answer) return answer;
  const { figures } = answer;
  const left = await endAll(figures.processes);
  if (left > 0) console.error(`${contestant.name}, ${by}: ${left} processes outlived it, and were ended`);
  return { figures };
}
