/**
 * Shows what every worker does and how far it is: a line for each that changes in place, or plain lines where the
 * output is no terminal.
 *
 * ```sh
 * deno task example:progress [SCALE]
 * ```
 *
 * SCALE says how much there is to do: 1 takes some 8 seconds on two cores.
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";

/** A task that was pushed, for whoever looks at it. */
interface Job {
  title: string;
  /** From 0 to 1. */
  done: number;
  /** Undefined until it is known to run. */
  worker?: number;
  over: boolean;
}

/** By task id, which counts from 1 in the order of the pushes. */
const jobs: (Job | undefined)[] = [undefined];
/** What each worker runs, by its id; undefined while it has nothing to do. */
const workers = new Map<number, Job | undefined>();
const terminal = Deno.stdout.isTerminal();
/** How many lines above the cursor will change. The cursor stays below them, also if this is interrupted. */
let drawn = 0;

const scale = Number(Deno.args[0] ?? 1);

const mp = new MultiProcess(3);
const events = mp.events();
await mp.start();

type Tasks = typeof import("./progress_task.ts");
const module = import.meta.resolve("./progress_task.ts");
for (let i = 1; i <= 4; i++) {
  const primes = i * 16_000_000 * scale;
  push(
    `primes below ${format(primes)}`,
    new InfoTask<Tasks["countPrimes"]>(`${module}#countPrimes`, 60_000, primes),
  );
  const start = i * 240_000 * scale;
  push(
    `longest Collatz chain below ${format(start)}`,
    new InfoTask<Tasks["longestChain"]>(`${module}#longestChain`, 60_000, start),
  );
}
const stopped = mp.stop();
const timer = terminal ? setInterval(draw, 50) : undefined;

// Ends when the pool does.
for await (const event of events) {
  if (event.type === "started") {
    const job = jobs[event.taskId]!;
    // Told up to 50 ms late: a short task may be over.
    if (job.over) continue;
    job.worker = event.workerId;
    workers.set(event.workerId, job);
    if (!terminal) print("cyan", event.workerId, "started", job.title);
  } else if (event.type === "settled") {
    const job = jobs[event.taskId]!;
    job.over = true;
    if (job.worker !== undefined && workers.get(job.worker) === job) workers.set(job.worker, undefined);
  }
}

clearInterval(timer);
erase();
const { ok, pushed, elapsedMs } = await stopped;
console.log(`\n${ok} of ${pushed} tasks ok in ${(elapsedMs / 1_000).toFixed(2)} s`);

function push(title: string, task: InfoTask): void {
  const job: Job = { title, done: 0, over: false };
  jobs.push(job);
  mp.push(task, {
    onProgress: (value) => {
      const before = job.done;
      job.done = Number(value);
      // In place where that can be, else a line for each quarter.
      if (terminal || job.worker === undefined || job.done === 1) return;
      if (Math.floor(4 * job.done) > Math.floor(4 * before)) print("cyan", job.worker, percent(job), title);
    },
    callback: (value, { workerId, ranMs }) => {
      job.done = 1;
      print("green", workerId, "ok", `${title}: ${format(Number(value))} (${ranMs.toFixed()} ms)`);
    },
    errorCallback: (error, { workerId, status }) =>
      print("red", workerId, status, `${title}: ${error.message}`),
  });
}

/** A line that stays, above those that change. `%c` colors only on a terminal, and not under `NO_COLOR`. */
function print(color: string, worker: number | undefined, status: string, rest: string): void {
  erase();
  console.log(`worker ${worker ?? "-"}  %c${status.padEnd(9)}%c  ${rest}`, `color: ${color}`, "");
  draw();
}

function draw(): void {
  if (!terminal) return;
  erase();
  // Some terminals do not tell their size.
  const columns = Deno.consoleSize().columns || 80;
  for (const [id, job] of [...workers].sort(([a], [b]) => a - b)) {
    const bar = "█".repeat(Math.round(20 * (job?.done ?? 0))).padEnd(20, "░");
    const line = job === undefined ? "idle" : `${bar}  ${percent(job)}  ${job.title}`;
    // A line that wraps would be two.
    console.log(`worker ${id}  %c${line.slice(0, columns - 12)}`, "color: cyan");
    drawn++;
  }
}

function erase(): void {
  // Up to the first line that changes, and clear from there.
  if (drawn > 0) Deno.stdout.writeSync(new TextEncoder().encode(`\x1b[${drawn}A\x1b[J`));
  drawn = 0;
}

function percent({ done }: Job): string {
  return `${Math.floor(100 * done)} %`.padStart(5);
}

function format(n: number): string {
  return n.toLocaleString("en");
}
