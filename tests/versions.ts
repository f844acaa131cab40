/**
 * The core of the fault matrix on several versions of Deno, each from npm: prints a table, ends with code 1 on a
 * failure. `deno task test:versions`
 */
import { fromFileUrl } from "@std/path";
import type { Line } from "./fixtures/core.ts";

const VERSIONS = ["2.6.6", "2.8.3", "2.9.6"];
const ISOLATIONS = ["auto", "thread"];
/** How long a run may take, the download of that version not included. */
const BOUND_MS = 90_000;

const ROOT = new URL("..", import.meta.url);

interface Ran {
  code: number;
  signal: string | null;
  stdout: string;
  stderr: string;
}

async function run(version: string, args: string[], ms: number): Promise<Ran | undefined> {
  const child = new Deno.Command("npx", {
    args: ["-y", `deno@${version}`, ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    for (const pid of [...descendants(child.pid), child.pid]) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
    }
  }, ms);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  if (late) console.error(decoder.decode(stdout), decoder.decode(stderr));
  return late ? undefined : { code, signal, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** What npx has started, and what that has. Linux only; elsewhere none. */
function descendants(of: number): number[] {
  const found = [of];
  try {
    for (const parent of found) {
      for (const { name } of Deno.readDirSync("/proc")) {
        if (!/^\d+$/.test(name)) continue;
        try {
          const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
          if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent) {
            found.push(Number(name));
          }
        } catch {
          // It has just ended.
        }
      }
    }
  } catch {
    // No such file system.
  }
  return found.slice(1);
}

let failed = false;
console.log(
  `${"Deno".padEnd(8)}${"isolation".padEnd(11)}${"case".padEnd(24)}${"outcome".padEnd(12)}late (ms)`,
);
for (const version of VERSIONS) {
  // Gets it from npm, where it is not there yet.
  const installed = await run(version, ["--version"], 300_000);
  if (!installed?.stdout.includes(`deno ${version}`)) {
    failed = true;
    console.log(`${version.padEnd(8)}cannot be installed: ${installed?.stderr ?? "not in time"}`);
    continue;
  }
  for (const isolation of ISOLATIONS) {
    const row = (name: string, status: string, late = "", problem = "") => {
      if (problem !== "") failed = true;
      const start = `${version.padEnd(8)}${isolation.padEnd(11)}${name.padEnd(24)}${status.padEnd(12)}`;
      console.log(`${start}${late}${problem && `  FAILED: ${problem}`}`.trimEnd());
    };
    const since = performance.now();
    const config = fromFileUrl(new URL("deno.json", ROOT));
    const script = fromFileUrl(new URL("tests/fixtures/core.ts", ROOT));
    const ran = await run(version, ["run", "-A", "--config", config, script, isolation], BOUND_MS);
    const lines = (ran?.stdout ?? "").split("\n").filter((line) => line.startsWith("{"));
    for (const text of lines) {
      const { name, status, late, problem } = JSON.parse(text) as Line;
      row(name, status, late?.toString(), problem);
    }
    const seconds = `${((performance.now() - since) / 1_000).toFixed(1)} s`;
    if (ran === undefined) row("end of the process", "none", "", `not within ${BOUND_MS} ms`);
    else if (ran.code !== 0 || lines.length === 0) {
      row("end of the process", `code ${ran.code}`, seconds, ran.stderr.slice(-2_000));
    } else row("end of the process", "by itself", seconds);
  }
}
Deno.exitCode = failed ? 1 : 0;
