import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { fixture, until } from "../helpers.ts";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url);
const TASK = fixture("cli_task.ts");
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function start(args: string[], stdin: "piped" | "null" = "null"): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", CONFIG, MAIN.href, ...args],
    stdin,
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
}

async function endOf(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function run(args: string[], stdin?: string): Promise<Ended> {
  const child = start(args, stdin === undefined ? "null" : "piped");
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin));
    await writer.close();
  }
  return await endOf(child);
}

/** The lines of JSON, by number of the input, without the times. */
function results(stdout: string): Record<string, unknown>[] {
  const lines = stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return lines.map(({ ms: _, ...rest }) => rest).sort((a, b) => a.seq - b.seq);
}

/** The columns of a log that are the same in each run. */
async function logOf(
  path: string,
): Promise<{ seq: number; exit: string; signal: string; command: string }[]> {
  const [head, ...rows] = (await Deno.readTextFile(path)).trimEnd().split("\n");
  assertEquals(head, "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand");
  return rows.map((row) => row.split("\t")).map((fields) => {
    assertEquals(fields.length, 9);
    assertMatch(fields[2]!, /^\d+\.\d{3}$/);
    assertMatch(fields[3]!, /^ *\d+\.\d{3}$/);
    return { seq: Number(fields[0]), exit: fields[6]!, signal: fields[7]!, command: fields[8]! };
  }).sort((a, b) => a.seq - b.seq);
}

async function inFolder(test: (path: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test((name) => join(folder, name));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the command line runs a module for every line of its input", async () => {
  const { code, stdout, stderr } = await run(["-j", "2", "--no-progress", TASK], "a\nb\r\nc");
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertEquals(
    results(stdout),
    ["a", "b", "c"].map((input, i) => ({ seq: i + 1, input, status: "ok", value: input, attempts: 1 })),
  );
});

Deno.test("the command line tells each way in which an input can end, and counts those that failed", async () => {
  const { code, stdout } = await run(
    ["-j", "2", "-t", "0.3", "--retries", "2", TASK, ":::", "a", "hang", "throw", "exit", "second"],
  );
  assertEquals(code, 3);
  const ends = results(stdout).map(({ input, status, attempts }) => ({ input, status, attempts }));
  assertEquals(ends, [
    { input: "a", status: "ok", attempts: 1 },
    { input: "hang", status: "timed-out", attempts: 2 },
    { input: "throw", status: "failed", attempts: 2 },
    { input: "exit", status: "crashed", attempts: 2 },
    { input: "second", status: "ok", attempts: 2 },
  ]);
});

Deno.test("the command line reads JSON, and an input that is none fails by itself", async () => {
  const { code, stdout } = await run(["--ndjson", `${TASK}#sum`], '{"a":1,"b":2}\n\nnope\n{"a":3,"b":4}\n');
  assertEquals(code, 1);
  assertEquals(results(stdout).map(({ seq, status, value }) => [seq, status, value]), [
    [1, "ok", 3],
    [2, "failed", undefined],
    [3, "ok", 7],
  ]);
});

Deno.test("the command line shows values that JSON does not know as what comes nearest", async () => {
  const { stdout } = await run(["--plain", `${TASK}#odd`, ":::", "x"]);
  assertEquals(stdout, '{"big":"1","map":[["a",1]],"bytes":[1,2]}\n');
});

Deno.test("the command line keeps the order of the inputs where it is asked to", async () => {
  const inputs = ["sleep 300", "sleep 1", "sleep 150", "sleep 2"];
  const { stdout } = await run(["-j", "4", "-k", "--plain", TASK, ":::", ...inputs]);
  assertEquals(stdout.trim().split("\n"), inputs);
});

Deno.test("the command line says what is wrong, and ends with 255", async () => {
  const cases: [args: string[], message: string][] = [
    [["--nope"], "no option --nope"],
    [["./nowhere.ts", ":::", "a", "b"], "Cannot load"],
    [[TASK, "::::", "nowhere"], "No such file"],
    [[`${TASK}#nothing`, ":::", "a"], 'no export named "nothing"'],
    [["--isolation", "thread", "--", "true", ":::", "a"], "Commands run in processes"],
    [["--trace", "/nowhere/t", TASK, ":::", "a"], "No such file"],
    [["--permissions", "nets", TASK, ":::", "a"], 'unknown permission "nets"'],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run(args);
    assertEquals(
      { code, stdout },
      { code: 255, stdout: "" },
      args.join(" "),
    );
    assertEquals(stderr.split(message).length, 2, stderr);
    assert(!stderr.includes("    at "), stderr);
  }
});

Deno.test("the command line keeps a log, goes on where it ended, and tries again what failed", async () => {
  await inFolder(async (path) => {
    const inputs = ["a", "throw", "exit", "hang", "b"];
    const log = path("log");
    const args = (flags: string[], inputs: string[]) => [
      "-t",
      "0.3",
      "--joblog",
      log,
      ...flags,
      TASK,
      ":::",
      ...inputs,
    ];
    assertEquals((await run(args([], inputs.slice(0, 4)))).code, 3);
    const rows = await logOf(log);
    assertEquals(rows.map(({ seq, exit, signal }) => [seq, exit, signal]), [
      [1, "0", "0"],
      [2, "1", "0"],
      [3, "3", "0"],
      [4, "-1", "9"],
    ]);
    assertEquals(rows[1]!.command, `${TASK} throw`);

    // Torn, as by a kill.
    await Deno.writeTextFile(log, "6\t:\t17", { append: true });
    const rest = await run(args(["--resume"], inputs));
    assertEquals([rest.code, results(rest.stdout).map(({ seq }) => seq)], [3, [5]]);
    const text = (await Deno.readTextFile(log)).replace("6\t:\t17\n", "");
    await Deno.writeTextFile(log, text);
    assertEquals((await logOf(log)).map(({ seq }) => seq), [1, 2, 3, 4, 5]);

    const again = await run(args(["--resume-failed"], inputs));
    assertEquals([again.code, results(again.stdout).map(({ seq }) => seq)], [3, [2, 3, 4]]);
    assertEquals((await run(args(["--resume"], inputs))).stdout, "");
  });
});

Deno.test("the command line stops where it is told to halt", async () => {
  const inputs = ["throw", "throw", ...Array.from({ length: 50 }, () => "sleep 100")];
  const soon = await run(["-j", "1", "-k", "--halt", "soon,fail=2", TASK, ":::", ...inputs]);
  assertEquals(soon.code, 2);
  // What was on its way is finished, the rest is not begun.
  const { length } = results(soon.stdout);
  assert(length >= 2 && length < 52, `${length}`);
  const now = await run(["-j", "1", "-k", "--halt", "now,fail=1", TASK, ":::", ...inputs]);
  assertEquals([now.code, results(now.stdout).length], [1, 1]);
});

Deno.test("the command line runs commands, and kills them with all they have started", async () => {
  await inFolder(async (path) => {
    const { code, stdout } = await run(["--", "cat", "{}", "/nowhere/{#}", ":::", CONFIG]);
    assertEquals(code, 1);
    const [{ status, value }] = results(stdout) as [{ status: string; value: Record<string, unknown> }];
    assertEquals([status, value.exitCode], ["failed", 1]);
    assertStringIncludes(value.stdout as string, "@cm/multiprocess");
    assertStringIncludes(value.stderr as string, "/nowhere/1");

    const pids = path("pids");
    const line = `sh -c 'echo $$ >> ${pids}; sleep 60 & echo $! >> ${pids}; wait'; echo {}`;
    const late = await run(["-t", "1", "--plain", "--", line, ":::", "a"]);
    assertEquals([late.code, late.stdout], [1, ""]);
    assertStringIncludes(late.stderr, " Task 1 (sh -c 'echo $$ >> ");
    assert(!late.stderr.includes("command_task"), late.stderr);
    const started = (await Deno.readTextFile(pids)).trim().split("\n");
    assertEquals(started.length, 2);
    const alive = () => started.filter((pid) => isRunning(pid));
    await until(() => alive().length === 0, 10_000, "the command and what it started are gone");
  });
});

Deno.test("the command line keeps a file for each result", async () => {
  await inFolder(async (path) => {
    const folder = path("a/b");
    await run(["--results", folder, "--", "sh", "-c", "printf %s {}; printf x >&2", ":::", "1", "2"]);
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
    assertEquals(names, ["1.json", "1.stderr", "1.stdout", "2.json", "2.stderr", "2.stdout"]);
    assertEquals(await Deno.readTextFile(join(folder, "2.stdout")), "2");
    assertEquals(JSON.parse(await Deno.readTextFile(join(folder, "1.json"))).status, "ok");
  });
});

Deno.test("the command line writes a time line", async () => {
  await inFolder(async (path) => {
    await run(["--trace", path("trace.json"), TASK, ":::", "a", "b"]);
    const records: { name: string; cat?: string }[] = JSON.parse(await Deno.readTextFile(path("trace.json")));
    assertEquals(records.filter(({ cat }) => cat === "ok").map(({ name }) => name).sort(), [
      "task 1",
      "task 2",
    ]);
  });
});

Deno.test("the command line shows what it would run, and runs nothing", async () => {
  const { stdout } = await run(["--dry-run", "--", "rm", "-rf", "{}", ":::", "a b", "c"]);
  assertEquals(stdout, "rm -rf 'a b'\nrm -rf c\n");
});

Deno.test("the command line reads no more than it can run, and ends quietly when nobody reads its output", async () => {
  const child = start(["-j", "1", "--plain", "--no-progress", TASK], "piped");
  const lines = new TextEncoder().encode("x".repeat(1_000) + "\n");
  const writer = child.stdin.getWriter();
  let written = 0;
  let open = true;
  const writing = (async () => {
    // Endless: it must take no more than fits while nobody reads what comes of it.
    while (open) {
      await writer.write(lines);
      written++;
    }
  })().catch(() => {});
  let before = -1;
  await until(
    async () => {
      const still = written === before && written > 0;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 500));
      return still;
    },
    60_000,
    "its input is no longer read",
  );
  await child.stdout.cancel();
  const { code } = await child.status;
  open = false;
  await writing;
  await writer.close().catch(() => {});
  const stderr = await new Response(child.stderr).text();
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
});

Deno.test("the command line finishes after one Ctrl-C, and stops after the second", async () => {
  await inFolder(async (path) => {
    const inputs = Array.from({ length: 400 }, () => "sleep 200");
    const log = path("log");
    const first = start(["-j", "2", "--joblog", log, TASK, ":::", ...inputs]);
    const begun = () => Deno.readTextFile(log).then((text) => text.split("\n").length > 3, () => false);
    await until(begun, 30_000, "some are done");
    first.kill("SIGINT");
    const { code, stdout, stderr } = await endOf(first);
    assertEquals(code, 130);
    assertStringIncludes(stderr, "taking no more inputs");
    const done = results(stdout);
    // What ran is finished: all that is told is well, and is in the log.
    assert(done.length < 400 && done.every(({ status }) => status === "ok"));
    assertEquals((await logOf(log)).map(({ seq }) => seq), done.map(({ seq }) => seq));

    const second = start(["-j", "2", "--joblog", path("log2"), "-t", "60", TASK, ":::", "a", "hang", "hang"]);
    await until(
      () => Deno.readTextFile(path("log2")).then((text) => text.includes("\n1\t"), () => false),
      30_000,
      "one",
    );
    second.kill("SIGINT");
    const said = readUntil(second.stderr, "once more");
    await said;
    second.kill("SIGINT");
    const { code: hard } = await second.status;
    assertEquals(hard, 130);
    await second.stdout.cancel();
    assertEquals((await logOf(path("log2"))).map(({ seq }) => seq), [1]);
  });
});

async function readUntil(stream: ReadableStream<Uint8Array>, text: string): Promise<void> {
  let heard = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream() as never)) {
    heard += chunk;
    if (heard.includes(text)) return;
  }
}

function isRunning(pid: string): boolean {
  try {
    // The state comes behind the name: a zombie that nobody has waited for is not running.
    return !/\) Z /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}
