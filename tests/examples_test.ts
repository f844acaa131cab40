import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { type Ended, script } from "./helpers.ts";

const PACKAGE = fromFileUrl(new URL("..", import.meta.url));

const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const MILLION_A = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

/** Runs an example as its task in deno.json does. */
function example(name: string, args: string[] = [], flags: string[] = ["--allow-read"]): Promise<Ended> {
  return script(`../../examples/${name}.ts`, args, flags);
}

/** What `hash.ts` printed: its lines, sorted, and its summary without the times. */
function read({ stdout }: Ended): { lines: string[]; summary: string } {
  const lines = stdout.trimEnd().split("\n");
  const summary = lines.pop()!;
  assertEquals(lines.pop(), "");
  assertMatch(summary, / in \d+\.\d\d s \(\d+\.\d MB\/s\), /);
  return { lines: lines.toSorted(), summary: summary.replace(/ in .* MB\/s\)/, "") };
}

async function withDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "multiprocess-" });
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("example demo.ts tells the end of each of its ten tasks, and ends by itself", async () => {
  const { code, stdout, stderr } = await example("demo", [], [`--allow-read=${PACKAGE}`]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });

  const [lines, summary] = stdout.trimEnd().split("\n\n");
  const tests = lines!.split("\n").toSorted().map((line) => line.replaceAll(/ +/g, " "));
  const ok = /^test \d+ ok slept \d{1,4} ms on worker \d+$/;
  const timedOut =
    /^test \d+ timed-out Task \d+ \(demo_task\.ts\) was stopped: it ran longer than its limit of 1000 ms$/;
  for (const [i, line] of tests.entries()) {
    assert(line.startsWith(`test ${i + 1} `) && (ok.test(line) || timedOut.test(line)), line);
  }
  assertEquals(tests.length, 10);
  const returned = tests.filter((line) => ok.test(line)).length;
  assertEquals(
    summary?.replace(/in \d+\.\d s/, "in N s"),
    `10 tasks in N s: ${returned} ok, ${10 - returned} timed out, 0 failed`,
  );
});

Deno.test("example hash.ts hashes the files of a directory and of those under it", async () => {
  await withDirectory(async (directory) => {
    await Deno.mkdir(join(directory, "nested", "deep"), { recursive: true });
    await Deno.mkdir(join(directory, "no files"));
    await Deno.writeTextFile(join(directory, "empty"), "");
    await Deno.writeTextFile(join(directory, "abc.txt"), "abc");
    await Deno.writeTextFile(join(directory, "million"), "a".repeat(1_000_000));
    await Deno.writeTextFile(join(directory, "nested", "deep", "100 %s"), "hello");

    const ended = await example("hash", [directory]);
    assertEquals({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: "" });
    assertEquals(read(ended), {
      lines: [
        `${HELLO}              5  ${join("nested", "deep", "100 %s")}`,
        `${ABC}              3  abc.txt`,
        `${MILLION_A}      1,000,000  million`,
        `${EMPTY}              0  empty`,
      ],
      summary: "4 files, 1,000,008 bytes, 0 errors, 0 skipped",
    });
  });
});

Deno.test("example hash.ts prints only a summary for an empty directory", async () => {
  await withDirectory(async (directory) => {
    const ended = await example("hash", [directory]);
    assertEquals({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: "" });
    assertEquals(read(ended), { lines: [], summary: "0 files, 0 bytes, 0 errors, 0 skipped" });
  });
});

Deno.test("example hash.ts hashes more files than may wait", async () => {
  await withDirectory(async (directory) => {
    const names = Array.from({ length: 2_000 }, (_, i) => String(i).padStart(4, "0"));
    for (const name of names) Deno.writeTextFileSync(join(directory, name), "");

    const ended = await example("hash", [directory]);
    assertEquals({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: "" });
    assertEquals(read(ended), {
      lines: names.map((name) => `${EMPTY}              0  ${name}`),
      summary: "2,000 files, 0 bytes, 0 errors, 0 skipped",
    });
  });
});

Deno.test({
  name: "example hash.ts skips links and special files, and keeps odd names to one line",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await withDirectory(async (directory) => {
      await Deno.writeTextFile(join(directory, "two\nlines\x1b[31m"), "abc");
      await Deno.symlink("..", join(directory, "loop"));
      await Deno.symlink("nowhere", join(directory, "dangling"));
      // To open it would wait for someone who writes.
      const { success } = await new Deno.Command("mkfifo", { args: [join(directory, "pipe")] }).output();
      assert(success);

      const ended = await example("hash", [directory]);
      assertEquals({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: "" });
      assertEquals(read(ended), {
        lines: [
          `${ABC}              3  two\\x0alines\\x1b[31m`,
          "skipped  dangling: symbolic link",
          "skipped  loop: symbolic link",
          "skipped  pipe: not a regular file",
        ],
        summary: "1 file, 3 bytes, 0 errors, 3 skipped",
      });
    });
  },
});

// The system refuses nothing to root, so here Deno does.
Deno.test("example hash.ts tells what it may not read, and goes on", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "file");
    const locked = join(directory, "locked");
    await Deno.writeTextFile(file, "abc");
    await Deno.mkdir(locked);
    await Deno.writeTextFile(join(directory, "readable"), "abc");

    const ended = await example("hash", [directory], ["--allow-read", `--deny-read=${file},${locked}`]);
    assertEquals({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: "" });
    assertEquals(read(ended), {
      lines: [
        `${ABC}              3  readable`,
        `error  file: Requires read access to "${file}", run again with the --allow-read flag`,
        `error  locked: Requires read access to "${locked}", run again with the --allow-read flag`,
      ],
      summary: "1 file, 3 bytes, 2 errors, 0 skipped",
    });
  });
});

Deno.test({
  name: "example hash.ts tells what the system does not let it read, and goes on",
  ignore: Deno.build.os === "windows" || Deno.uid() === 0,
  fn: async () => {
    await withDirectory(async (directory) => {
      const locked = join(directory, "locked");
      await Deno.writeTextFile(join(directory, "file"), "abc", { mode: 0o000 });
      await Deno.mkdir(locked, { mode: 0o000 });
      await Deno.writeTextFile(join(directory, "readable"), "abc");

      const ended = await example("hash", [directory]);
      await Deno.chmod(locked, 0o700);
      assertEquals({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: "" });
      assertEquals(read(ended), {
        lines: [
          `${ABC}              3  readable`,
          "error  file: Permission denied (os error 13)",
          "error  locked: Permission denied (os error 13)",
        ],
        summary: "1 file, 3 bytes, 2 errors, 0 skipped",
      });
    });
  },
});

Deno.test({
  name: "example hash.ts stops at a file's limit and goes on",
  // There a file without content takes its room on the disk all the same.
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await withDirectory(async (directory) => {
      await Deno.writeTextFile(join(directory, "abc.txt"), "abc");
      await Deno.writeTextFile(join(directory, "huge"), "");
      await Deno.truncate(join(directory, "huge"), 2 ** 36);

      const ended = await example("hash", ["--limit", "500", directory]);
      assertEquals({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: "" });
      const { lines, summary } = read(ended);
      assertEquals(lines.map((line) => line.replace(/Task \d+/, "Task N")), [
        `${ABC}              3  abc.txt`,
        "error  huge: Task N (hash_task.ts) was stopped: it ran longer than its limit of 500 ms",
      ]);
      assertEquals(summary, "1 file, 3 bytes, 1 error, 0 skipped");
    });
  },
});

const REFUSED: { args: string[]; code: number; message: RegExp }[] = [
  { args: [], code: 2, message: /^Name one directory\n\nUsage: / },
  { args: [".", ".."], code: 2, message: /^Name one directory\n\nUsage: / },
  { args: ["--limit", "0", "."], code: 2, message: /^--limit must be above 0 and below 2\^31\n\nUsage: / },
  { args: ["--limit", "soon", "."], code: 2, message: /^--limit must be above 0 and below 2\^31\n\nUsage: / },
  { args: ["--limits", "."], code: 2, message: /^Unknown option '--limits'.*\n\nUsage: / },
  {
    args: ["./missing"],
    code: 1,
    message: /^Cannot hash the files under ".\/missing": No such file or directory/,
  },
  {
    args: [fromFileUrl(import.meta.url)],
    code: 1,
    message: /^Cannot hash the files under ".*examples_test\.ts": Not a directory/,
  },
];

for (const { args, code, message } of REFUSED) {
  const shown = args.map((arg) => arg.replace(PACKAGE, "")).join(" ");
  Deno.test(`example hash.ts refuses the arguments "${shown}" with code ${code}`, async () => {
    const ended = await example("hash", args);
    assertEquals({ code: ended.code, stdout: ended.stdout }, { code, stdout: "" });
    assertMatch(ended.stderr, message);
  });
}

Deno.test("example map.ts counts the words of text files in their order, and skips what is not text", async () => {
  await withDirectory(async (directory) => {
    await Deno.mkdir(join(directory, "b"));
    // The largest is counted last, and printed first. Its words go on from one piece that is read to the next.
    await Deno.writeTextFile(join(directory, "a.txt"), "déjà ".repeat(200_000));
    await Deno.writeTextFile(join(directory, "b", "100 %s.txt"), "Two words");
    await Deno.writeTextFile(join(directory, "c.txt"), "");
    await Deno.writeFile(join(directory, "d.bin"), Uint8Array.of(97, 0, 98));
    await Deno.writeFile(join(directory, "e.bin"), Uint8Array.of(97, 0xff, 98));

    const { code, stdout, stderr } = await example("map", [directory]);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    assertEquals(stdout.replace(/\d+\.\d\d s/, "N s").split("\n"), [
      "  200,000  a.txt",
      `        2  ${join("b", "100 %s.txt")}`,
      "        0  c.txt",
      "  skipped  d.bin: not text",
      "  skipped  e.bin: not text",
      "",
      "200,002 words in 3 text files, 2 skipped, N s",
      "",
      `  200,000  déjà           ${"█".repeat(30)}`,
      "        1  two            █",
      "        1  words          █",
      "",
    ]);
  });
});

Deno.test("example cancel.ts stops the other searches when the first has found a factor", async () => {
  const { code, stdout, stderr } = await example("cancel", [], [`--allow-read=${PACKAGE}`]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });

  const [title, searches, summary] = stdout.trimEnd().split("\n\n");
  assertEquals(title, "Who finds a factor of 10141204801825835211973625643007?");
  const lines = searches!.split("\n");
  const found = lines.filter((line) =>
    / = 2550183799 × 3976656429941438590393, after [\d,]+ steps/.test(line)
  );
  const cancelled = lines.filter((line) => /^cancelled +.* was faster, told \d+ ms after that$/.test(line));
  assertEquals(found.length + cancelled.length, 5, stdout);
  // Only the two that take about as long can both find it, before the first is heard of.
  assert(found.length >= 1 && cancelled.length >= 3, stdout);
  assertMatch(summary!, new RegExp(`^${cancelled.length} cancelled, and gone \\d+ ms after the find\\.$`));
});

Deno.test("example cancel.ts tells a prime, and refuses what is no number", async () => {
  const prime = await example("cancel", ["1000000007"], [`--allow-read=${PACKAGE}`]);
  assertEquals({ code: prime.code, stderr: prime.stderr }, { code: 0, stderr: "" });
  assertMatch(prime.stdout, /^found +trial division +1000000007 is prime, /m);

  for (const wrong of ["1", "-7", "many"]) {
    const { code, stdout, stderr } = await example("cancel", [wrong], [`--allow-read=${PACKAGE}`]);
    assertEquals({ code, stdout }, { code: 2, stdout: "" });
    assertMatch(stderr, /^Usage: /);
  }
});

Deno.test("example retry.ts tells every attempt of each task and its one outcome", async () => {
  const { code, stdout, stderr } = await example("retry", [], [`--allow-read=${PACKAGE}`]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });

  const [lines, summary] = stdout.trimEnd().split("\n\n");
  const counts = { ok: 0, failed: 0, crashed: 0 };
  for (const name of ["Ada", "Bob", "Cem", "Dag", "Eve", "Fay"]) {
    const told = lines!.split("\n").flatMap((line) => line.split(`ms  ${name}  `)[1] ?? []);
    const [, status, attempts] = told.pop()!.match(/^(ok|failed|crashed) +attempts: ([1-4]), /) ?? [];
    counts[status as keyof typeof counts]++;
    assertEquals(
      told.map((line) => line.trimEnd()),
      Array.from({ length: Number(attempts) }, (_, i) => `attempt ${i + 1}`),
    );
    if (status !== "ok") assertEquals(attempts, "4");
  }
  assertEquals(summary, `6 tasks: ${counts.ok} ok, ${counts.failed} failed, ${counts.crashed} crashed`);
});

const PROGRESS = {
  "primes below 4,000,000": "283,146",
  "primes below 8,000,000": "539,777",
  "primes below 12,000,000": "788,060",
  "primes below 16,000,000": "1,031,130",
  "longest Collatz chain below 60,000": "52,527",
  "longest Collatz chain below 120,000": "106,239",
  "longest Collatz chain below 180,000": "156,159",
  "longest Collatz chain below 240,000": "230,631",
};

Deno.test("example progress.ts prints plain lines where the output is no terminal", async () => {
  const { code, stdout, stderr } = await example("progress", ["0.25"], [`--allow-read=${PACKAGE}`]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });

  const [lines, summary] = stdout.trimEnd().split("\n\n");
  const results: string[] = [];
  for (const line of lines!.split("\n")) {
    const match = line.match(/^worker \d+ +(started|ok|\d\d %) +(.+)$/);
    assert(match, line);
    if (match[1] === "ok") results.push(match[2]!.replace(/ \(\d+ ms\)$/, ""));
  }
  const expected = Object.entries(PROGRESS).map(([title, value]) => `${title}: ${value}`);
  assertEquals(results.toSorted(), expected.toSorted());
  assertMatch(lines!, / \d\d % /);
  assertMatch(summary!, /^8 of 8 tasks ok in \d+\.\d\d s$/);
});

Deno.test({
  name: "example progress.ts changes its lines in place on a terminal, and leaves none of them behind",
  // The `script` there makes a terminal, and has these options.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const path = join(PACKAGE, "examples", "progress.ts");
    const command = `"${Deno.execPath()}" run --no-prompt "--allow-read=${PACKAGE}" "${path}" 0.25`;
    let output;
    try {
      output = await new Deno.Command("script", {
        args: ["--quiet", "--return", "--command", command, "/dev/null"],
        env: { NO_COLOR: "1", TERM: "xterm" },
        stdin: "null",
      }).output();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    const text = new TextDecoder().decode(output.stdout).replaceAll("\r\n", "\n");
    assertEquals(output.code, 0, text);
    assertMatch(text, /worker \d+ +█+░+ +\d+ % /);

    // What stays on the screen.
    const screen: string[] = [];
    for (const line of text.split("\n")) {
      // deno-lint-ignore no-control-regex
      const [, moves, rest] = line.match(/^((?:\x1b\[\d+A\x1b\[J)*)(.*)$/)!;
      // deno-lint-ignore no-control-regex
      for (const [, up] of moves!.matchAll(/\x1b\[(\d+)A/g)) screen.splice(-Number(up));
      screen.push(rest!);
    }
    assertEquals(screen.filter((line) => /^worker \d+ +ok /.test(line)).length, 8, text);
    assertEquals(screen.filter((line) => line !== "" && !/^worker \d+ +ok /.test(line)).length, 1, text);
    assertMatch(screen.join("\n"), /\n\n8 of 8 tasks ok in \d+\.\d\d s\n$/);
  },
});

Deno.test("example pipeline.ts takes every file through its stages, and sums them up", async () => {
  await withDirectory(async (directory) => {
    await Deno.mkdir(join(directory, "deep"));
    await Deno.writeTextFile(join(directory, "poor"), "no ".repeat(1_000));
    await Deno.writeTextFile(join(directory, "deep", "rich"), "Every word occurs here once");
    await Deno.writeFile(join(directory, "binary"), Uint8Array.of(97, 0, 98));
    // More than may be inside at a time.
    for (let i = 10; i < 60; i++) await Deno.writeTextFile(join(directory, `empty ${i}`), "");

    const { code, stdout, stderr } = await example("pipeline", [directory]);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    const [files, result, summary] = stdout.trimEnd().split("\n\n");
    const lines = files!.split("\n").map((line) => line.replaceAll(/ +/g, " "));
    const index = (line: string) => {
      assert(lines.includes(line), `${line}\n${stdout}`);
      return lines.indexOf(line);
    };
    const rich = join("deep", "rich");
    assert(index(`parsed ${rich}`) < index(`measured ${rich} 5 words, 5 distinct`));
    assert(index("parsed poor") < index("measured poor 1,000 words, 1 distinct"));
    assertEquals(lines.length, 2 * 52);
    assertEquals(result?.split("\n"), [
      "1,005 words in 52 texts",
      "longest   occurs",
      `richest   ${rich}`,
    ]);
    assertEquals(summary?.replace(/\d+\.\d\d s/, "N s"), "106 tasks in N s, 0 failed; 1 files are no text");
  });
});

for (const name of ["map", "pipeline"]) {
  Deno.test(`example ${name}.ts reads src if no directory is named, and fails if it cannot be read`, async () => {
    const { code, stdout, stderr } = await example(name, [], [`--allow-read=${PACKAGE}`]);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    assertMatch(stdout, /multi_process\.ts/);

    const missing = await example(name, ["./missing"]);
    assertEquals({ code: missing.code, stderr: missing.stderr }, { code: 1, stderr: "" });
    assertMatch(missing.stdout, /error +No such file or directory/);
  });
}

Deno.test("example untrusted.ts tells how each snippet ended, and none gets through", async () => {
  const { code, stdout } = await example("untrusted", [], ["--allow-read", "--allow-run", "--allow-env"]);
  assertEquals(code, 0);
  const ends = new Map(
    stdout.trim().split("\n").map((line) => line.split(/ {2,}/)).map(([a, b]) => [b!, a!]),
  );
  assertEquals(Object.fromEntries([...ends].sort()), {
    "adds numbers": "ok",
    "asks a server": "failed",
    "exits": "crashed",
    "fills the memory": "crashed",
    "looks at the environment": "failed",
    "never ends": "timed-out",
    "never ends, and catches what it can": "timed-out",
    "reads a file": "failed",
    "starts a program": "failed",
    "throws": "failed",
  });
});

Deno.test("example server.ts answers every good request, beside those that hang", async () => {
  const flags = ["--allow-read", "--allow-run", "--allow-env", "--allow-net", "--unstable-no-legacy-abort"];
  const { code, stdout, stderr } = await example("server_load", ["60", "2000"], flags);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertMatch(stdout, /^60 requests in /);
  assertMatch(stdout, /\ngood: 54 × 200; half within /);
  assertMatch(stdout, /\nhung: 6 × 504\n/);
});

Deno.test("example ctrl_c.ts finishes what runs after the first Ctrl-C, and stops it after the second", async () => {
  for (const presses of [1, 2]) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", `--allow-read=${PACKAGE}`, join(PACKAGE, "examples/ctrl_c.ts")],
      stdout: "piped",
    }).spawn();
    let heard = "";
    let pressed = 0;
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      heard += chunk;
      const cues = ["job 2 is done", "Finishing"];
      if (pressed < presses && heard.includes(cues[pressed]!)) {
        pressed++;
        child.kill("SIGINT");
      }
    }
    assertEquals((await child.status).code, presses === 1 ? 0 : 130);
    assertMatch(heard, presses === 1 ? /\d+ jobs done, 0 cancelled/ : /Stopping now/);
  }
});
