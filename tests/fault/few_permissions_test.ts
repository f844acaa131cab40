/** Threads in a program that may do little: what is loaded ahead for them asks for nothing that the program may not do. */
import { assertEquals, assertMatch } from "@std/assert";
import { isAtLeast } from "../../src/runtime/version.ts";
import { script } from "../helpers.ts";

const PROGRAMS: [what: string, ...flags: string[]][] = [
  ["only reads files", "--allow-read"],
  ["only reads its own files", `--allow-read=${new URL("../../", import.meta.url).pathname}`],
  ["reads one variable", "--allow-read", "--allow-env=HOME"],
  ["may not read the environment", "--allow-all", "--deny-env"],
  ["may not read one variable", "--allow-all", "--deny-env=__MINIMATCH_TESTING_PLATFORM__"],
  ["may do nothing but start processes", "--allow-read", "--allow-run"],
  ["may do all but ask for the system", "--allow-all", "--deny-sys"],
  [
    "may do all but write, import and call",
    "--allow-all",
    "--deny-write",
    "--deny-import",
    "--deny-net",
    "--deny-ffi",
  ],
];

for (const [what, ...flags] of PROGRAMS) {
  Deno.test({
    name: `a program that ${what} has its threads, and they can be stopped`,
    ignore: !isAtLeast([2, 9, 4]),
    async fn() {
      const { code, stdout, stderr } = await script(
        "few_permissions.ts",
        [],
        ["--no-check", ...flags],
        60_000,
      );
      const told = '3\n1,2\ntimed-out\n4\n{"zombies":0,"idleDeaths":0,"killed":1}\ngone: \n';
      assertEquals([code, stdout, stderr], [0, told, ""]);
    },
  });
}

Deno.test("a program that may not start processes is told all that they need, at once", async () => {
  for (const flags of [["--allow-read"], ["--allow-read", "--allow-env"]]) {
    const { stdout } = await script("few_permissions.ts", ["process"], ["--no-check", ...flags], 60_000);
    assertMatch(stdout, /^NotCapable: Requires .*; processes need --allow-run and --allow-env\n$/);
  }
});
