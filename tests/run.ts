/**
 * Runs the test files, three at a time, each in a process of its own: most of their time they wait for workers to start.
 * What a file prints is shown in one piece when it has ended, and what failed once more at the end.
 *
 * Limits are kept on a machine that has time for them. So a file that failed beside two others runs once more when nothing
 * else does, and that counts. What it said at first is shown at the end all the same: it may be a fault that comes rarely.
 *
 * `deno task test [FILE or FOLDER ...] [-- OPTION of deno test ...]`
 *
 * @module
 */
import { pooledMap } from "@std/async";
import { join } from "@std/path";

/** With more at once, what tests measure would no longer be true. */
const AT_ONCE = 3;
/** A file that takes longer than this hangs, in milliseconds. */
const LIMIT_MS = 6 * 60_000;
/** These run last, one at a time. */
const ALONE = ["tests/fault/cell_faults_test.ts"];
/** When more files than this have failed that is no chance: none of them runs again. */
const MAX_AGAIN = 3;
/** These begin first: those that wait more than they compute, beside those that take longest. */
const FIRST = [
  "tests/npm_test.ts",
  "tests/url_import_test.ts",
  "tests/examples_test.ts",
  "tests/fault",
  "tests/bullmq",
  "tests/cli",
  "tests/entry",
  "tests/pool",
];

interface Run {
  file: string;
  output: string;
  code: number;
}

function filesUnder(path: string): string[] {
  if (Deno.statSync(path).isFile) return [path];
  return [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) => {
    const inner = join(path, name);
    if (isDirectory) return filesUnder(inner);
    return name.endsWith("_test.ts") ? [inner] : [];
  });
}

function rank(file: string): number {
  const place = FIRST.findIndex((folder) => file.startsWith(folder));
  return place < 0 ? FIRST.length : place;
}

async function run(file: string, options: string[]): Promise<Run> {
  const args = ["test", "--allow-all", "--no-check", ...options, file];
  const signal = AbortSignal.timeout(LIMIT_MS);
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped", signal }).spawn();
  // One after the other: `deno test` itself writes to stdout, and shows what tests write to stderr there, too.
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const { code } = await child.status;
  const hint = signal.aborted ? `${file} did not end within ${LIMIT_MS / 1000} s\n` : "";
  return { file, output: stdout + stderr + hint, code };
}

// deno-lint-ignore no-control-regex
const plain = (text: string) => text.replace(/\x1b\[[0-9;]*m/g, "");
/** The line with which `deno test` closes. */
const CLOSING =
  /^(?:ok|FAILED) \| (\d+) passed(?: \((\d+) steps?\))? \| (\d+) failed(?:.*?\| (\d+) ignored)?/m;

async function report(file: string): Promise<Run> {
  const done = await run(file, options);
  console.log(done.output.trim());
  return done;
}

const split = Deno.args.indexOf("--");
const paths = split < 0 ? Deno.args : Deno.args.slice(0, split);
const options = split < 0 ? [] : Deno.args.slice(split + 1);
const files = (paths.length === 0 ? ["tests"] : paths).flatMap(filesUnder)
  .toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));

const since = performance.now();
const together = await Array.fromAsync(
  pooledMap(AT_ONCE, files.filter((file) => !ALONE.includes(file)), report),
);
const failedFirst = together.filter(({ code }) => code !== 0);
const again = failedFirst.length <= MAX_AGAIN ? failedFirst : [];

const runs = together.filter((each) => !again.includes(each));
for (const file of files.filter((file) => ALONE.includes(file))) runs.push(await report(file));
for (const { file } of again) {
  console.log(`\n${file} failed beside other files, and runs once more, alone`);
  runs.push(await report(file));
}

const total = { passed: 0, steps: 0, failed: 0, ignored: 0 };
for (const { output, code } of runs) {
  const [, passed, steps, failed, ignored] = CLOSING.exec(plain(output)) ?? [];
  total.passed += Number(passed ?? 0);
  total.steps += Number(steps ?? 0);
  total.failed += Number(failed ?? 0);
  total.ignored += Number(ignored ?? 0);
  // It was ended from outside, or took the process along: `deno test` did not live to count it.
  if (code !== 0 && !Number(failed ?? 0)) total.failed++;
}

const failures = runs.filter(({ code }) => code !== 0);
for (const { file, output, code } of failures) {
  console.log(`\n${"=".repeat(20)} ${file} ended with code ${code}\n${output.trim()}`);
}
for (const { file, output } of again) {
  if (failures.some((failure) => failure.file === file)) continue;
  console.log(
    `\n${"=".repeat(20)} ${file} passed alone, but this is what it said beside others:\n${output.trim()}`,
  );
}
const minutes = ((performance.now() - since) / 60_000).toFixed(1);
const { passed, steps, failed, ignored } = total;
console.log(
  `\n${files.length} files in ${minutes} minutes: ${passed} passed (${steps} steps), ${failed} failed, ` +
    `${ignored} ignored`,
);
Deno.exit(failures.length === 0 ? 0 : 1);
