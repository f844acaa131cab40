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
