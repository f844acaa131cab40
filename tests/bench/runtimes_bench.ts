/**
 * How fast on other runtimes, beside the pools that run there: `deno task bench:runtimes [node] [bun] [chromium]`,
 * or those of `portable/browsers.ts`; with the names of measurements, `fresh` say, only those.
 *
 * The package is the one for npm. Every pool runs each measurement in a process or page of its own, in turn with all
 * others, several rounds. Prints a table for each runtime, as for a README.
 *
 * @module
 */
import { tmpdir } from "node:os";
import { deadline } from "@std/async";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import { type Browser, BROWSERS } from "../portable/browsers.ts";
import { ISOLATED, servePages } from "../portable/pages.ts";
import { type Answer, output, runOn } from "./child.ts";
import { median, ratio } from "./measure.ts";
import { bundlePackages, fetchPackages, fetchRuntimes } from "./packages.ts";
import { formatNumber } from "./table.ts";
import type { VERSIONS } from "./versions.mjs";

const ROUNDS = Number(Deno.env.get("ROUNDS") ?? 3);
const SIZE = 2;
/** After so many seconds a run is given up. */
const BOUND = 30;

/** A row of a table: one figure of a measurement. */
interface Row {
  readonly title: string;
  readonly measurement: string;
  readonly params: Record<string, unknown>;
  readonly key: string;
  readonly better: "more" | "less";
  /** What ours is to be: so many times the best other at least, or at most, or a value at most. */
  readonly target?: { times: number } | { most: number };
}

const many = { tasks: 50_000, warmUp: 1_000 };
const one = { tasks: 3_000, warmUp: 1_000 };
const hangs = { limit: 100, bound: 4_000 };
const ALL_ROWS: readonly Row[] = [
  row("no-op tasks/s, 50 000 at once", "throughput", many, "perSecond", "more", { times: 5 }),
  row("no-op latency, one at a time, p50, µs", "latency", one, "p50", "less"),
  row("the same, p99, µs", "latency", one, "p99", "less"),
  row("a new program: first outcome, ms", "fresh", { tasks: 1 }, "ms", "less", { times: 1.2 }),
  row("a new program: 1 000 outcomes, ms", "fresh", { tasks: 1_000 }, "ms", "less", { times: 1.2 }),
  row("a task hangs: outcome late, p50, ms", "hang", hangs, "late", "less", { most: 10 }),
  row("a task hangs: next task answered after, p50, ms", "hang", hangs, "back", "less", { most: 20 }),
];

const MEASUREMENTS = new Set(ALL_ROWS.map(({ measurement }) => measurement));
const ROWS = ALL_ROWS.filter(({ measurement }) => {
  return Deno.args.includes(measurement) || !Deno.args.some((name) => MEASUREMENTS.has(name));
});

function row(
  title: string,
  measurement: string,
  params: Record<string, unknown>,
  key: string,
  better: "more" | "less",
  target?: Row["target"],
): Row {
  return { title, measurement, params, key, better, ...(target !== undefined && { target }) };
}

/** A column of a table. */
interface Column {
  readonly name: string;
  /** In `pools/`. */
  readonly file: string;
  /** In a page that may share no memory. */
  readonly plain?: true;
}

const OURS: Column = { name: "multiprocess", file: "package.mjs" };
const peer = (name: keyof typeof VERSIONS): Column => ({ name, file: `${name.replaceAll("-", "_")}.mjs` });

type Figures = Record<string, number | null>;
type Run = (column: Column, measurement: string, params: Record<string, unknown>) => Promise<Answer<Figures>>;

/** Something to run pools on. */
interface Runtime {
  readonly title: string;
  readonly columns: readonly Column[];
  /** How long a pool is left alone after a task that hung, in milliseconds: until nothing burns a core any more. */
  readonly rest: number;
  /** How many tasks hang. */
  readonly hangs: number;
  readonly run: Run;
  end?(): Promise<void>;
}

type Start = (ours: string) => Promise<Runtime>;

/** Those that are taken where none is named. */
const USUAL = ["node", "bun", "chromium"];
/** By name, as on the command line. */
const RUNTIMES: Record<string, Start> = {
  node: (ours) => onServer("node", ours, ["piscina", "tinypool", "workerpool", "poolifier"]),
  // Others run there too, but answer nothing, or not always.
  bun: (ours) => onServer("bun", ours, ["piscina", "tinypool", "workerpool", "poolifier"]),
  ...Object.fromEntries(
    Object.entries(BROWSERS).map(([name, start]) => [name, (ours: string) => inPages(start, ours)]),
  ),
};

async function onServer(
  name: "node" | "bun",
  ours: string,
  peers: readonly (keyof typeof VERSIONS)[],
): Promise<Runtime> {
  const binary = (await fetchRuntimes())[name];
  const env = {
    BENCH_PACKAGES: (await fetchPackages()).href,
    BENCH_OURS: toFileUrl(join(ours, "mod.js")).href,
  };
  const version = await output(binary, ["--version"], BOUND);
  if ("error" in version) throw new Error(version.error);
  return {
    title: `${name === "node" ? "Node" : "Bun"} ${version.stdout.trim().replace("v", "")}`,
    columns: [OURS, ...peers.map(peer)],
    rest: 50,
    hangs: 9,
    run: ({ file }, measurement, params) => runOn([binary], file, measurement, params, BOUND, env),
  };
}

const PAGE =
  '<!doctype html><link rel="icon" href="data:,"><script src="/runner.mjs" type="module"></script>';

/** Poolifier's for browsers never has its workers there (seen with 0.5.15). */
async function inPages(start: (port: number) => Promise<Browser>, ours: string): Promise<Runtime> {
  const peers = ["workerpool", "comlink"] as const;
  const packages = await bundlePackages(peers);
  await Deno.writeTextFile(join(ours, "page.html"), PAGE);
  const folders = [["/package/", ours], ["/packages/", packages], ["/page/", ours], [
    "/",
    fromFileUrl(new URL(".", import.meta.url)),
  ]] as const;
  let headers = ISOLATED;
  let answered: (text: string) => void;
  const server = servePages(folders, () => headers, (text) => answered(text));
  const { port } = server.addr;
  let browser = await start(port);
  return {
    title: browser.title,
    columns: [OURS, { ...OURS, name: "multiprocess, no shared memory", plain: true }, ...peers.map(peer)],
    rest: 2_500,
    hangs: 3,
    async run({ file, plain }, measurement, params) {
      headers = plain ? {} : ISOLATED;
      // A new one each time: what was left running in the last page must not burn the next one's core.
      await browser.close();
      browser = await start(port);
      const answer = new Promise<string>((resolve) => answered = resolve);
      const words = encodeURIComponent(JSON.stringify([file, measurement, JSON.stringify(params)]));
      const close = await browser.open(`http://127.0.0.1:${port}/page/page.html#${words}`);
      try {
        return JSON.parse(await deadline(answer, BOUND * 1_000));
      } catch {
        return { error: `no answer within ${BOUND} s` };
      } finally {
        await close();
      }
    },
    async end() {
      await browser.close();
      await server.shutdown();
    },
  };
}

/** All values by column, then by key of the row, one a round. */
type Values = Map<Column, (Answer<Figures> | undefined)[][]>;

async function measure({ title, columns, rest, hangs, run }: Runtime): Promise<Values> {
  const values: Values = new Map(columns.map((column) => [column, ROWS.map(() => [])]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { measurement, params }] of ROWS.entries()) {
      // One run can have several figures.
      const before = ROWS.findIndex((other) => other.measurement === measurement && other.params === params);
      for (const column of turned(columns, round)) {
        const answers = values.get(column)!;
        if (before < i) {
          answers[i]![round] = answers[before]![round];
          continue;
        }
        // Who fails is not tried again.
        if (answers[i]!.some((answer) => answer !== undefined && "error" in answer)) continue;
        console.error(`${title}, round ${round + 1} of ${ROUNDS}: ${measurement}, ${column.name}`);
        answers[i]![round] = await run(column, measurement, { ...params, size: SIZE, rest, hangs });
      }
    }
  }
  return values;
}

/** Whose turn is first changes, so that nobody always comes after the same. */
function turned<T>(items: readonly T[], by: number): T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

function table({ title, columns }: Runtime, values: Values): string {
  const notes: string[] = [];
  const peers = columns.flatMap(({ file }, i) => file === OURS.file ? [] : [i]);
  const lines = ROWS.map((row, i) => {
    const rounds = columns.map((column) => {
      return values.get(column)![i]!.map((answer) => {
        if (answer !== undefined && "figures" in answer) return answer.figures[row.key];
        if (answer !== undefined) notes.push(`${row.measurement}, ${column.name}: ${answer.error}`);
        return undefined;
      });
    });
    const cells = rounds.map((values) => {
      if (values.includes(null)) return "never";
      const all = values.filter((value) => value !== undefined && value !== null);
      return all.length === 0 ? "–" : formatNumber(median(all));
    });
    return [row.title, ...cells, verdict(row, peers.map((i) => numbers(rounds[i]!)), numbers(rounds[0]!))];
  });
  const header = [title, ...columns.map(({ name }) => name), "target"];
  const rule = header.map((_, i) => i === 0 || i === header.length - 1 ? "---" : "---:");
  const text = [header, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  return [text, ...new Set(notes)].join("\n");
}

const numbers = (values: readonly (number | null | undefined)[]) => values.map((value) => value ?? undefined);

/** What ours is beside the best other, and whether that is what it is to be. */
function verdict(
  { target, better }: Row,
  peers: readonly (number | undefined)[][],
  ours: readonly (number | undefined)[],
): string {
  if (target === undefined) return "";
  if ("most" in target) {
    const value = median(ours.filter((value) => value !== undefined));
    return `≤ ${target.most}: ${value <= target.most ? "met" : "missed"}`;
  }
  const times = peers.map((peer) => ratio(ours, peer, better)).filter((each) => !Number.isNaN(each));
  const worst = Math.min(...times);
  if (better === "more") return `≥ ${target.times} × the best: ${formatNumber(worst)} ×`;
  return `≤ ${target.times} × the best: ${formatNumber(1 / worst)} ×`;
}

const asked = Deno.args.filter((name) => !MEASUREMENTS.has(name));
const names = asked.length === 0 ? USUAL : asked;
for (const name of names) {
  if (!Object.hasOwn(RUNTIMES, name)) {
    throw new RangeError(`There is no runtime and no measurement ${JSON.stringify(name)}`);
  }
}
const ours = await Deno.makeTempDir({ dir: tmpdir(), prefix: "multiprocess-package-" });
try {
  const built = await output("bash", [fromFileUrl(new URL("../../.ci/npm", import.meta.url)), ours], 120);
  if ("error" in built || built.code !== 0) throw new Error("The package could not be built");
  for (const name of names) {
    const runtime = await RUNTIMES[name]!(ours);
    const values = await measure(runtime).finally(() => runtime.end?.());
    console.log(`${table(runtime, values)}\n`);
  }
} finally {
  await Deno.remove(ours, { recursive: true });
}
