import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { script } from "../helpers.ts";

Deno.test("the process ends by itself after stop(), with code 0 and nothing printed", async () => {
  const { code, stdout, stderr } = await script("end.ts", ["quiet"]);
  assertEquals({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" });
});

Deno.test("the process ends with the exit code that the entry chose", async () => {
  assertEquals((await script("end.ts", ["code"])).code, 7);
});

Deno.test("the process ends by itself, with code 0, after tasks that hang, exit and reject", async () => {
  const { code, stdout, ms } = await script("end.ts", ["hung"]);
  assertEquals(code, 0);
  const summary = JSON.parse(stdout);
  assertEquals([summary.pushed, summary.ok, summary.timedOut, summary.crashed], [5, 1, 2, 2]);
  assert(ms < 30_000, `${ms} ms`);
});

Deno.test("the process ends with code 1 when the entry throws while tasks spin", async () => {
  const { code, stderr } = await script("end.ts", ["throw"]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "thrown by the entry");
});

Deno.test("the process ends with the code of Deno.exit() while tasks spin", async () => {
  assertEquals((await script("end.ts", ["exit"])).code, 5);
});

Deno.test("the process ends by itself after terminate() while tasks spin", async () => {
  const { code, stderr } = await script("end.ts", ["terminate"]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
});

Deno.test("terminate() takes less than a second while a task is in a native call that cannot be interrupted", async () => {
  const { code, stdout } = await script("end.ts", ["native"]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "timed-out true");
});

Deno.test("a callback that throws is one line on stderr", async () => {
  const { code, stderr } = await script("end.ts", ["default-callback-error"]);
  assertEquals(code, 0);
  assertEquals(stderr, "multiprocess: the callback of task 1 threw Error: one line\n");
});

Deno.test("start() says why when the process may not read the pool's own files, and the process ends", async () => {
  const { code, stdout } = await script("end.ts", ["cannot-start"], []);
  assertEquals(code, 0);
  const message = "Cannot start the pool: the pool's dispatcher could not be start";
  assertEquals(stdout, `crashed PoolStateError ${message.slice(0, 62)} true\n`);
});
