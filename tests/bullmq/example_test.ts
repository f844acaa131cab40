import { assertEquals, assertStringIncludes } from "@std/assert";
import { script } from "../helpers.ts";
import { hasRedis } from "./redis.ts";

Deno.test({
  name: "the example of a fleet gives every file its outcome, though a machine is killed",
  ignore: !hasRedis,
  fn: async () => {
    const { code, stdout, stderr } = await script(
      "../../examples/fleet.ts",
      [],
      ["-A", "--no-check"],
      60_000,
    );
    assertEquals([code, stderr], [0, ""]);
    const lines = stdout.split("\n");
    const files = Number(/machines hash (\d+) files/.exec(stdout)![1]);
    assertEquals(lines.filter((line) => /^[\da-f]{64} {2}\d+ bytes/.test(line)).length, files);
    assertStringIncludes(stdout, "Killing machine-1");
    assertStringIncludes(stdout, `${files} ok, 0 failed, 0 timed out, 0 crashed`);
  },
});
