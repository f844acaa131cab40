/**
 * Stops tasks that use real libraries, at random moments, and counts what becomes of the program: whether Deno
 * panicked, which threads never ended, which outcomes came late. The pool runs in a child process, so that a panic is a
 * count and not the end. The libraries come from npm, into Deno's cache.
 *
 * | | |
 * |---|---|
 * | `deno task kills` | all libraries, 140 kills each |
 * | `deno task kills acorn sass` | some of them |
 * | `--kills=200 --seed=7` | so many each, at these moments |
 * | `--seconds=60` | no longer than that for each library, and a little for what is on its way |
 * | `--load=3` | on one core, with so many busy loops beside |
 * | `--isolation=thread`, `--killGrace=1` | options of the pool |
 * | `--starts=200` | starts and stops pools instead |
 * | `deno task kills --table` | ten libraries and the built-ins of Node, 100 kills each, on a quiet and on a loaded machine: at most 90 s for each |
 * | `--table=quiet`, `--table=loaded` | a half of that |
 */
import { InfoTask, MultiProcess } from "../mod.ts";
import { random } from "./helpers.ts";
import { BUILTINS, LIBRARIES, NATIVE, TABLE, taskSource, WAYS } from "./kill_subjects.ts";

/** Limits lie between these, in milliseconds; where built-ins are loaded that of loading does. */
const LIMITS = [1, 400] as const;
const LOAD_LIMITS = [1, 60] as const;
/** Kills of a pool while it loads built-ins. */
const KILLS_PER_POOL = 20;
/** An outcome is late after so many milliseconds more than its limit. */
const LATE_MS = 250;
/** A thread that takes longer than this to end is a zombie, in milliseconds. */
const LEFT_MS = 10_000;
/** A child that takes longer than this for a kill is counted as stuck, in milliseconds. */
const MS_PER_KILL = 5_000;
/** More deaths of the child than this are not waited for. */
const MAX_DEATHS = 50;

const HALVES = { quiet: 0, loaded: 3 } as const;
type Half = keyof typeof HALVES;

interface Options {
  kills: number;
  starts: number;
  seed: number;
  /** For how long one library is tried; 0 for as long as it takes. */
  seconds: number;
  load: number;
  killGrace: number;
  isolation: "auto" | "thread" | "process" | "cell";
}

/** What a child tells, a line at a time. */
type Told =
  | { type: "killed"; late: boolean; status: string }
  /** How many threads had not ended some time after a pool's last kill. */
  | { type: "left"; zombies: number }
  | { type: "stopped" };

interface Counts {
  runs: number;
  kills: number;
  panics: number;
  deaths: number;
  stuck: number;
  late: number;
  zombies: number;
  statuses: Record<string, number>;
}

/** In the child: kills until it is done, or dies of it. */
async function killInChild(library: string, folder: string, options: Options): Promise<void> {
  const next = random(options.seed);
  const isOver = timeIsUp(options);
  const within = ([shortest, longest]: readonly [number, number]) => shortest + next() * (longest - shortest);
  if (library !== BUILTINS) {
    await killInPool(options.kills, {}, options, isOver, () => {
      const way = WAYS[Math.trunc(next() * WAYS.length)]!;
      return new InfoTask(`${folder}/${library}_${way}.mjs`, within(LIMITS), next());
    });
  } else {
    for (let left = options.kills; left > 0 && !isOver(); left -= KILLS_PER_POOL) {
      const limits = { loadTimeout: within(LOAD_LIMITS) };
      const task = () => new InfoTask(`${folder}/${library}_static.mjs`, within(LOAD_LIMITS));
      await killInPool(Math.min(left, KILLS_PER_POOL), limits, options, isOver, task);
    }
  }
  tell({ type: "stopped" });
}

function timeIsUp({ seconds }: Options): () => boolean {
  const end = performance.now() + (seconds > 0 ? seconds * 1_000 : Infinity);
  return () => performance.now() >= end;
}

async function killInPool(
  kills: number,
  limits: { loadTimeout?: number },
  { isolation, killGrace }: Options,
  isOver: () => boolean,
  task: () => InfoTask,
): Promise<void> {
  // Threads may be starting and ending at any time: nothing here is budgeted.
  const mp = new MultiProcess({
    size: 2,
    isolation,
    killGrace,
    maxRestarts: 1_000,
    maxZombies: 1_000,
    ...limits,
  });
  await mp.start();
  const kill = async () => {
    while (kills-- > 0 && !isOver()) {
      const killed = task();
      const outcome = await mp.push(killed);
      const { status } = outcome;
      tell({
        type: "killed",
        late: status === "timed-out" && outcome.ranMs > (limits.loadTimeout ?? killed.timeout) + LATE_MS,
        status: status === "timed-out" || status === "ok"
          ? status
          : `${status}: ${(outcome.error as Error).message.slice(0, 200)}`,
      });
    }
  };
  await Promise.all([kill(), kill()]);
  const end = performance.now() + LEFT_MS;
  let left: number;
  while ((left = (await mp.stats()).workers.stopping) > 0 && performance.now() < end) {
    await new Promise((wake) => setTimeout(wake, 50));
  }
  tell({ type: "left", zombies: left });
  await mp.stop();
}

/** In the child: starts pools, and stops them at some moment of their start or life. */
async function startInChild(library: string, folder: string, options: Options): Promise<void> {
  const next = random(options.seed);
  const isOver = timeIsUp(options);
  for (let left = options.starts; left > 0 && !isOver(); left--) {
    const mp = new MultiProcess({ size: 2, isolation: options.isolation });
    const warm = mp.start().catch(() => {});
    if (next() < 0.3) await warm;
    else await new Promise((wake) => setTimeout(wake, next() * 800));
    const outcome = next() < 0.5
      ? mp.push(new InfoTask(`${folder}/${library}_static.mjs`, 100, 1))
      : undefined;
    await (next() < 0.5 ? mp.stop() : mp.terminate());
    await outcome;
    tell({ type: "killed", late: false, status: "ended" });
  }
  tell({ type: "stopped" });
}

function tell(told: Told): void {
  console.log(JSON.stringify(told));
}

/** Runs a child until it has done all, or died. Returns how many kills it did. */
async function runChild(library: string, folder: string, options: Options, counts: Counts): Promise<number> {
  const child = command(options.load > 0, [
    Deno.execPath(),
    "run",
    "-A",
    "--no-lock",
    "--no-check",
    "--node-modules-dir=none",
    "--config",
    new URL("../deno.json", import.meta.url).pathname,
    import.meta.filename!,
    "--child",
    folder,
    library,
    JSON.stringify(options),
  ], {
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const full = MS_PER_KILL * (options.kills + options.starts);
  const bound = 60_000 + (options.seconds > 0 ? Math.min(full, options.seconds * 1_000) : full);
  let stuck = false;
  const timer = setTimeout(() => {
    stuck = true;
    child.kill("SIGKILL");
  }, bound);
  const stderr = new Response(child.stderr).text();
  let kills = 0;
  let stopped = false;
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(splitLines());
  for await (const line of lines) {
    if (!line.startsWith('{"type"')) continue;
    const told = JSON.parse(line) as Told;
    if (told.type === "stopped") {
      stopped = true;
      continue;
    }
    if (told.type === "left") {
      counts.zombies += told.zombies;
      continue;
    }
    kills++;
    if (told.late) counts.late++;
    counts.statuses[told.status] = (counts.statuses[told.status] ?? 0) + 1;
  }
  const { code } = await child.status;
  clearTimeout(timer);
  counts.kills += kills;
  if (stuck) counts.stuck++;
  else if (!stopped || code !== 0) {
    counts.deaths++;
    const said = await stderr;
    const at = said.indexOf("panicked at");
    if (at >= 0) counts.panics++;
    console.error(
      `  ${library}: died after ${kills} (code ${code}): ${
        said.slice(Math.max(0, at)).slice(0, 160).replaceAll("\n", " ")
      }`,
    );
  }
  return kills;
}

function splitLines(): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(chunk, controller) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) controller.enqueue(line);
    },
  });
}

async function run(library: string, folder: string, options: Options): Promise<Counts> {
  const counts: Counts = {
    runs: 0,
    kills: 0,
    panics: 0,
    deaths: 0,
    stuck: 0,
    late: 0,
    zombies: 0,
    statuses: {},
  };
  for (const way of WAYS) {
    await Deno.writeTextFile(`${folder}/${library}_${way}.mjs`, taskSource(library, way));
  }
  let left = options.kills + options.starts;
  const since = performance.now();
  const isOver = timeIsUp(options);
  for (let run = 0; left > 0 && !isOver() && counts.deaths + counts.stuck < MAX_DEATHS; run++) {
    const seconds = options.seconds > 0
      ? Math.max(1, options.seconds - (performance.now() - since) / 1_000)
      : 0;
    counts.runs++;
    const todo = options.starts > 0 ? { starts: left } : { kills: left };
    left -= Math.max(
      1,
      await runChild(library, folder, { ...options, ...todo, seconds, seed: options.seed + run }, counts),
    );
  }
  return counts;
}

/** A command that shares one core with others, if that is wanted, and where a core can be named. */
function command(shares: boolean, [program, ...args]: string[], options?: Deno.CommandOptions): Deno.Command {
  return shares && Deno.build.os === "linux"
    ? new Deno.Command("taskset", { ...options, args: ["-c", "0", program!, ...args] })
    : new Deno.Command(program!, { ...options, args });
}

/** Processes that keep a core busy. */
function burn(count: number): () => void {
  const burners = Array.from(
    { length: count },
    () => command(true, [Deno.execPath(), "eval", "for (;;);"]).spawn(),
  );
  return () => burners.forEach((burner) => burner.kill("SIGKILL"));
}

interface Arguments {
  options: Options;
  libraries: string[];
  /** The halves of the table, if that is wanted. */
  halves: Half[];
}

function readArguments(): Arguments {
  const options: Options = {
    kills: 140,
    starts: 0,
    seed: Math.trunc(Math.random() * 2 ** 31),
    seconds: 0,
    load: 0,
    killGrace: 300,
    isolation: "auto",
  };
  let libraries: string[] = [];
  let halves: Half[] = [];
  for (const argument of Deno.args) {
    const [, table] = /^--table(?:=(\w+))?$/.exec(argument) ?? [argument, ""];
    if (table !== "") {
      halves = table === undefined ? ["quiet", "loaded"] : [table as Half];
      if (!(halves[0]! in HALVES)) throw new Error(`No such half: ${table}`);
      Object.assign(options, { kills: 100, seconds: 90 });
      libraries = [...TABLE];
      continue;
    }
    const [, name, value] = /^--(kills|starts|seed|seconds|load|killGrace|isolation)=(\w+)$/.exec(argument) ??
      [];
    if (name === undefined) libraries.push(argument);
    else if (name === "isolation") options.isolation = value as Options["isolation"];
    else options[name as Exclude<keyof Options, "isolation">] = Number(value);
  }
  if (options.starts > 0) options.kills = 0;
  const unknown = libraries.filter((name) => name !== BUILTINS && !(name in LIBRARIES));
  if (unknown.length > 0) {
    throw new Error(`No such library: ${unknown}; there are ${Object.keys(LIBRARIES)}, ${BUILTINS}`);
  }
  if (libraries.length > 0) return { options, libraries, halves };
  const all = Object.keys(LIBRARIES).filter((name) => !NATIVE.includes(name));
  return { options, libraries: options.starts > 0 ? [BUILTINS] : [...all, BUILTINS], halves };
}

type Total = Omit<Counts, "statuses">;

function row(name: string, cells: (string | number)[]): void {
  console.log(name.padEnd(20) + cells.map((cell) => String(cell).padStart(9)).join(""));
}

/** Tries all libraries, and adds what it counts to the total. */
async function runAll(libraries: string[], label: string, options: Options, total: Total): Promise<void> {
  const folder = await Deno.makeTempDir();
  const stopBurning = burn(options.load);
  const columns = Object.keys(total) as (keyof Total)[];
  try {
    for (const library of libraries) {
      const counts = await run(library, folder, options);
      for (const column of columns) total[column] += counts[column];
      row(label + library, columns.map((column) => counts[column]));
      for (const [status, count] of Object.entries(counts.statuses)) {
        if (status !== "timed-out" && status !== "ended") console.log(`  ${count} × ${status}`);
      }
    }
  } finally {
    stopBurning();
    await Deno.remove(folder, { recursive: true });
  }
}

async function main(): Promise<void> {
  const { options, libraries, halves } = readArguments();
  console.log(`${JSON.stringify(options)} Deno ${Deno.version.deno}`);
  const since = performance.now();
  const total: Total = { runs: 0, kills: 0, panics: 0, deaths: 0, stuck: 0, late: 0, zombies: 0 };
  row("library", Object.keys(total));
  if (halves.length === 0) await runAll(libraries, "", options, total);
  for (const half of halves) {
    await runAll(libraries, `${half} `, { ...options, load: HALVES[half] }, total);
  }
  row("all", Object.values(total));
  console.log(`${Math.round((performance.now() - since) / 1_000)} s`);
  if (total.deaths + total.stuck > 0) Deno.exit(1);
}

if (Deno.args[0] === "--child") {
  const [, folder, library, json] = Deno.args as [string, string, string, string];
  const options = JSON.parse(json) as Options;
  await (options.starts > 0 ? startInChild : killInChild)(library, folder, options);
} else {
  await main();
}
