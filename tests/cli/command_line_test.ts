import { assert, assertEquals, assertThrows } from "@std/assert";
import { HELP, readCommandLine, UsageError } from "../../src/cli/command_line.ts";
import { isTime, readHalt } from "../../src/cli/halt.ts";
import { describe } from "../../src/cli/progress.ts";
import { SeqSet } from "../../src/cli/seq_set.ts";
import { fillIn, quote } from "../../src/cli/template.ts";

const DEFAULTS = {
  work: { kind: "module", specifier: "a.ts" },
  source: { kind: "stdin" },
  ndjson: false,
  jobs: undefined,
  timeout: Infinity,
  softTimeout: undefined,
  retries: 1,
  keepOrder: false,
  isolation: undefined,
  memoryLimit: undefined,
  permissions: undefined,
  halt: undefined,
  joblog: undefined,
  resume: "no",
  results: undefined,
  trace: undefined,
  dryRun: false,
  plain: false,
  progress: undefined,
};

const LINES: [line: string, changes: Record<string, unknown>][] = [
  ["a.ts", {}],
  ["a.ts ::: x -y :::", { source: { kind: "values", values: ["x", "-y", ":::"] } }],
  ["a.ts :::", { source: { kind: "values", values: [] } }],
  ["a.ts :::: list", { source: { kind: "files", paths: ["list"] } }],
  ["-j 3 a.ts", { jobs: 3 }],
  ["a.ts --jobs=3", { jobs: 3 }],
  ["-t 1.5 a.ts", { timeout: 1_500 }],
  ["-t 200ms --soft-timeout 0.1s a.ts", { timeout: 200, softTimeout: 100 }],
  ["-t 2m a.ts", { timeout: 120_000 }],
  ["-t 1h a.ts", { timeout: 3_600_000 }],
  ["-k --ndjson --plain --dry-run --retries 3 a.ts", {
    keepOrder: true,
    ndjson: true,
    plain: true,
    dryRun: true,
    retries: 3,
  }],
  ["--isolation process --memory-limit 64 a.ts", { isolation: "process", memoryLimit: 64 }],
  ["--permissions none a.ts", { permissions: "none" }],
  ["--permissions read,env --permissions net=a.com,b.com a.ts", {
    permissions: { read: true, env: true, net: ["a.com", "b.com"] },
  }],
  ["--halt now,fail=10% a.ts", { halt: { when: "now", of: "fail", count: 10, percent: true } }],
  ["--joblog l --resume a.ts", { joblog: "l", resume: "rest" }],
  ["--joblog l --resume-failed a.ts", { joblog: "l", resume: "rest-and-failed" }],
  ["--results d --trace t a.ts", { results: "d", trace: "t" }],
  ["--progress a.ts", { progress: true }],
  ["--no-progress a.ts", { progress: false }],
  ["-- gzip -9 {} ::: x", {
    work: { kind: "command", template: ["gzip", "-9", "{}"] },
    source: { kind: "values", values: ["x"] },
  }],
];

for (const [line, changes] of LINES) {
  Deno.test(`readCommandLine() understands: ${line}`, () => {
    assertEquals(readCommandLine(line.split(" ")), { ...DEFAULTS, ...changes } as never);
  });
}

const MISTAKES: [line: string, message: string][] = [
  ["", "no module"],
  ["a.ts b.ts", '"b.ts" is one more'],
  ["a.ts -- b", '"a.ts" stands before "--"'],
  ["--", 'no command after "--"'],
  ["--nope a.ts", "no option --nope"],
  ["-x a.ts", "no option -x"],
  ["--no-jobs a.ts", "no option --no-jobs"],
  ["--jobs 0 a.ts", '--jobs cannot be "0"'],
  ["--jobs two a.ts", '--jobs cannot be "two"'],
  ["--jobs 1 --jobs 2 a.ts", "--jobs is given twice"],
  ["--timeout 0 a.ts", '--timeout cannot be "0"'],
  ["--timeout 5d a.ts", '--timeout cannot be "5d"'],
  ["--isolation fiber a.ts", '--isolation cannot be "fiber"'],
  ["--halt later a.ts", '--halt cannot be "later"'],
  ["--resume a.ts", "--resume needs --joblog"],
  ["--resume-failed a.ts", "--resume-failed needs --joblog"],
];

for (const [line, message] of MISTAKES) {
  Deno.test(`readCommandLine() refuses: ${line || "nothing"}`, () => {
    assertThrows(() => readCommandLine(line.split(" ").filter(Boolean)), UsageError, message);
  });
}

Deno.test("The help fits a screen", () => {
  assertEquals(readCommandLine(["--help"]), "help");
  assertEquals(readCommandLine(["-h", "a.ts"]), "help");
  const lines = HELP.split("\n");
  assert(lines.length <= 40, `${lines.length} lines`);
  assertEquals(lines.filter((line) => line.length > 100), []);
});

Deno.test("readHalt() knows when and after how many, and nothing else", () => {
  for (
    const text of [
      "",
      "now",
      "fail=1",
      "now,fail",
      "now,fail=0",
      "now,fail=101%",
      "never,fail=1",
      "now,fail=1.5",
    ]
  ) {
    assertEquals(readHalt(text), undefined, text);
  }
});

const HALTS: [text: string, done: number, failed: number, time: boolean][] = [
  ["now,fail=2", 10, 1, false],
  ["now,fail=2", 10, 2, true],
  ["soon,success=2", 3, 1, true],
  ["soon,success=3", 3, 1, false],
  ["soon,done=3", 3, 3, true],
  // Of few a share says nothing.
  ["now,fail=10%", 2, 2, false],
  ["now,fail=10%", 30, 3, true],
  ["now,fail=10%", 31, 3, false],
];

for (const [text, done, failed, time] of HALTS) {
  Deno.test(`--halt ${text} ${time ? "stops" : "goes on"} after ${failed} of ${done} have failed`, () => {
    assertEquals(isTime(readHalt(text)!, done, failed), time);
  });
}

const TEMPLATES: [template: string[], input: string, command: string | string[]][] = [
  [["echo"], "a b", "echo 'a b'"],
  [["echo {}; echo {#}"], "it's", "echo 'it'\\''s'; echo 7"],
  [["ls", "-l"], "a b", ["ls", "-l", "a b"]],
  [["cp", "{}", "{.}.png"], "x/y.tar.gz", ["cp", "x/y.tar.gz", "x/y.tar.png"]],
  [["a", "{/}", "{//}", "{/.}"], "x/y.gz", ["a", "y.gz", "x", "y"]],
  [["a", "{x}", "{}"], "$(rm -rf x)", ["a", "{x}", "$(rm -rf x)"]],
  [["echo {}"], "$(rm -rf x)", "echo '$(rm -rf x)'"],
  [["echo {}"], "", "echo ''"],
];

for (const [template, text, command] of TEMPLATES) {
  Deno.test(`fillIn() puts ${JSON.stringify(text)} into ${template.join(" ")}`, () => {
    assertEquals(fillIn(template, { seq: 7, text, value: text }), command);
  });
}

Deno.test("quote() leaves alone what needs no quotes", () => {
  assertEquals(quote("a/b-c_d.e@f%g+h=i:j,k"), "a/b-c_d.e@f%g+h=i:j,k");
});

Deno.test("describe() tells how far things are", () => {
  assertEquals(describe(0, 0, undefined, 1), "0 done, 0 failed, 0.0/s");
  assertEquals(describe(120, 3, 1_000, 3), "120 of 1000, 3 failed, 40.0/s, 22 s left");
  assertEquals(describe(1_000, 0, 100_000, 10), "1000 of 100000, 0 failed, 100/s, 16 min left");
  assertEquals(describe(1, 0, 10_001, 1), "1 of 10001, 0 failed, 1.0/s, 2 h 46 min left");
});

Deno.test("SeqSet keeps what comes nearly in order", () => {
  const set = new SeqSet();
  for (const seq of [2, 1, 5, 3]) set.add(seq);
  assertEquals([...set], [1, 2, 3, 5]);
  assert(set.has(2) && !set.has(4) && set.has(5));
  set.delete(2);
  set.delete(7);
  assertEquals([...set].sort(), [1, 3, 5]);
  set.add(2);
  set.add(4);
  assertEquals([...set], [1, 2, 3, 4, 5]);
});
