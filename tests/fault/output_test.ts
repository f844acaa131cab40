/** What tasks in processes print arrives in whole lines, in order for each task, and all of it. */
import { assert, assertEquals } from "@std/assert";
import { line } from "../fixtures/prints.ts";
import { script } from "../helpers.ts";

Deno.test("lines of tasks in processes are whole, in order for each task, and none is lost", async () => {
  const { code, stdout, stderr } = await script("prints.ts", [], ["-A"], 60_000);
  assertEquals([code, stderr], [0, "about to hang\n"]);
  const lines = stdout.split("\n");
  assertEquals(lines.slice(-2), ["the last line", ""]);
  for (const name of ["a", "b", "c", "d", "e", "f"]) {
    const own = lines.filter((each) => each.startsWith(`${name} `));
    const expected = Array.from({ length: 40 }, (_, n) => line(name, n, name === "f" ? 5 : 20_000));
    assert(own.length === 40 && own.every((each, n) => each === expected[n]), `the lines of ${name}`);
  }
  assertEquals(lines.filter((each) => each === "whole").length, 1);
  assertEquals(lines.filter((each) => each === "half").length, 1);
  assertEquals(lines.length, 6 * 40 + 4, "no line more");
});
