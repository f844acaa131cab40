/** What tasks compute keeps nobody else waiting, where threads have priorities of their own. */
import { assertEquals } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { nice } from "../fixtures/nice.ts";
import { fixture, inline, script, withPool } from "../helpers.ts";

const ignore = Deno.build.os !== "linux";
const niceOf = () => new InfoTask(fixture("nice.ts#nice"), 10_000);

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test({
    name: `MultiProcessOptions.nice is how far the priority of tasks (${isolation}) is below the program's`,
    ignore,
    async fn() {
      const before = nice();
      for (const given of [undefined, 0, 19]) {
        const expected = Math.min(19, before + (given ?? 5));
        await withPool({ size: 1, isolation, nice: given }, async (mp) => {
          await mp.start();
          assertEquals(await mp.run(niceOf()), expected);
          // The next one is on a spare.
          await mp.push(new InfoTask(fixture("tasks.ts#spin"), 100));
          assertEquals(await mp.run(niceOf()), expected);
        });
      }
      assertEquals(nice(), before);
    },
  });
}

Deno.test({
  name: "MultiProcessOptions.nice is left out where the program may not change priorities",
  ignore,
  async fn() {
    const { code, stdout, stderr } = await script("nice.ts", [], ["--allow-read", "--allow-sys=getPriority"]);
    assertEquals([code, stdout, stderr], [0, "true\n", ""]);
  },
});

for (const refused of ["getPriority", "setPriority"]) {
  Deno.test(`MultiProcessOptions.nice is left out where the system refuses ${refused}()`, async () => {
    // As in a container whose kernel calls are filtered.
    const initializer = inline(
      `process.getBuiltinModule("node:os").${refused} = () => { throw new Error("EPERM") };`,
    );
    await withPool({ size: 1, isolation: "thread", initializer }, async (mp) => {
      await mp.start();
      assertEquals(await mp.run(new InfoTask(fixture("tasks.ts#add"), 10_000, 20, 22)), 42);
    });
  });
}
