/**
 * How fast, beside others: `deno run -A tests/bench/bench.ts [--only a,b] [--rounds 5] [--json FILE]`.
 *
 * Every pool runs each bench in a process of its own, in turn with all others, several rounds. Prints one table, and
 * writes all values as JSON.
 *
 * @module
 */
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { join } from "@std/path";
import { type Bench, BENCHES } from "./benches.ts";
import { runChild } from "./child.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { fetchPackages } from "./packages.ts";
import { type BenchResult, reportSections } from "./report.ts";
import { formatTable } from "./table.ts";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: BENCHES.map(({ id }) => id).join(",") },
    rounds: { type: "string", default: Deno.env.get("ROUNDS") ?? "5" },
    json: { type: "string", default: join(tmpdir(), "multiprocess-bench.json") },
  },
});
const rounds = Number(options.rounds);
if (!Number.isSafeInteger(rounds) || rounds < 1) {
  throw new RangeError(`--rounds must be at least 1, received ${options.rounds}`);
}
const benches = options.only.split(",").map((id) => {
  const bench = BENCHES.find((each) => each.id === id);
  if (bench === undefined) throw new RangeError(`--only: there is no bench ${JSON.stringify(id)}`);
  return bench;
});

const packages = await fetchPackages();
const machine = await describeMachine();
const results: BenchResult[] = [];
for (const bench of benches) results.push(await runBench(bench));

const sections = results.flatMap(reportSections);
const header = ["pool", "on", "median", "min – max", "ours is", ""];
console.log(`${machineLine(machine)}; ${rounds} rounds, pools of 2\n`);
console.log(formatTable(header, sections.map(({ section }) => section), 2));
console.log("\n  ours is: how many times better, the median of the rounds' ratios");
await Deno.writeTextFile(
  options.json,
  JSON.stringify({ machine, rounds, metrics: sections.map(({ data }) => data) }, null, 2),
);
console.log(`\nAll values: ${options.json}`);

/** All rounds of a bench. Who fails is not tried again. */
async function runBench(bench: Bench): Promise<BenchResult> {
  const result: BenchResult = { bench, figures: new Map(), errors: new Map() };
  for (const contestant of bench.contestants) {
    result.figures.set(contestant, []);
    if (contestant.runtime === "node" && machine.node === "none") {
      result.errors.set(contestant, "Node is not installed");
    }
  }
  for (let round = 0; round < rounds; round++) {
    // Whose turn is first changes, so that nobody always comes after the same.
    const first = round % bench.contestants.length;
    for (const contestant of [...bench.contestants.slice(first), ...bench.contestants.slice(0, first)]) {
      if (result.errors.has(contestant)) continue;
      const { name, runtime } = contestant;
      console.error(`(${bench.id}) round ${round + 1} of ${rounds}: ${name} on ${runtime}`);
      const figures: Record<string, number> = {};
      for (const { measurement, params, suffix } of bench.runs) {
        const answer = await runChild<Record<string, number>>(
          contestant,
          measurement,
          params,
          bench.bound,
          packages,
        );
        if ("error" in answer) result.errors.set(contestant, answer.error);
        else for (const [key, value] of Object.entries(answer.figures)) figures[key + suffix] = value;
      }
      result.figures.get(contestant)![round] = figures;
    }
  }
  return result;
}
