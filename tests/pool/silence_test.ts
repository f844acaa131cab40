/** Nothing fails in silence. */
import { assertEquals, assertMatch } from "@std/assert";
import { script } from "../helpers.ts";

Deno.test("a push with a typo in its path says so on stderr, once a module, unless something else is told", async () => {
  const { code, stdout, stderr } = await script("silent.ts", ["typo"]);
  const lines = stderr.trim().split("\n");
  assertEquals([code, stdout, lines.length], [0, "", 2], stderr);
  assertMatch(lines[0]!, /^silent: Cannot load file:.*missing\.ts: Module not found .*told once a module/);
  assertMatch(lines[1]!, /^silent: Cannot run file:.*tasks\.ts#mising: it has no export named "mising" /);
});

Deno.test("a task of the program's main module that hangs while it is loaded is told why", async () => {
  const { stdout } = await script("silent.ts", ["main"], ["-A"], 60_000);
  assertMatch(
    stdout,
    /^timed-out Task 1 \(silent\.ts#square\) was stopped: its module was still loading .* the program's main module.*import\.meta\.main/,
  );
  // Of an export that is not there it explains nothing.
  const misspelt = await script("silent.ts", ["export"]);
  assertMatch(misspelt.stdout, /it has no export named "squares"\n$/);
});

Deno.test("memoryLimit takes processes where it may, and else says that buffers do not count", async () => {
  const allowed = await script("silent.ts", ["memory"]);
  assertEquals([allowed.stdout, allowed.stderr], ["process\n", ""]);
  const refused = await script("silent.ts", ["memory"], ["--allow-read"]);
  assertEquals(refused.stdout, "thread\n");
  assertMatch(refused.stderr, /^multiprocess: without --allow-run .* buffers do not count\n$/);
});
