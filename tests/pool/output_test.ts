import { assert, assertEquals } from "@std/assert";
import { InfoTask, type PoolEvent } from "../../mod.ts";
import { fixture, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`speaks.ts#${name}`), timeout, ...args);

const EVERY_WAY = `log 1 { a: [ 1 ] }
error
group
  info
writeSync
write
stderr
process
process error
writable
`;

async function program(...args: string[]): Promise<[string, string]> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", fixture("output_program.ts"), ...args],
  }).output();
  return [new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)];
}

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test(`MultiProcessOptions.output: what tasks print is with the outcome, however they end (${isolation})`, async () => {
    await withPool({ size: 1, isolation, output: "capture", maxRestarts: 100 }, async (mp) => {
      const first = await mp.push(task("everyWay", 20_000));
      assertEquals([first.status === "ok" && first.value, first.output], ["said", `loaded\n${EVERY_WAY}`]);
      const cases: [string, unknown[], string, string | undefined][] = [
        ["say", ["a"], "ok", "a\n"],
        ["silent", [], "ok", undefined],
        ["later", ["b"], "ok", "b\n"],
        ["hang", ["no end of line: ü"], "timed-out", "no end of line: ü"],
        ["exit", ["c"], "crashed", "c\n"],
        ["fail", ["d"], "failed", "d\n"],
      ];
      for (const [name, args, status, output] of cases) {
        const outcome = await mp.push(task(name, name === "hang" ? 300 : 20_000, ...args));
        // A new worker loads the module, which says so.
        assertEquals(
          [outcome.status, outcome.output?.replace("loaded\n", "") || undefined],
          [status, output],
          name,
        );
      }
      const many = await Promise.all(
        Array.from({ length: 200 }, (_, i) => mp.push(task("say", 20_000, `n ${i}`))),
      );
      assertEquals(many.map(({ output }) => output?.replace("loaded\n", "")), many.map((_, i) => `n ${i}\n`));
    });
  });

  Deno.test(`MultiProcessOptions.output keeps the last 64 Ki characters, of all runs (${isolation})`, async () => {
    await withPool({ size: 1, isolation, output: "capture" }, async (mp) => {
      const { output, status } = await mp.push(task("flood", 60_000, 30_000));
      assertEquals(status, "ok");
      assert(output!.length <= 65_536 && output!.length > 60_000, `${output!.length}`);
      assert(output!.endsWith("line 29998\nline 29999\n"), output!.slice(-50));
      const retry = { maxAttempts: 3, minTimeout: 1 };
      const retried = await mp.push(task("retried", 20_000), { retry });
      assertEquals(retried.output, "attempt 1\nattempt 2\nattempt 3\n");
    });
  });

  Deno.test(`MultiProcess.events() tells what a task prints, with its label, before it settles (${isolation})`, async () => {
    await withPool({ size: 1, isolation, output: "capture" }, async (mp) => {
      await mp.run(task("silent", 20_000));
      const events = mp.events();
      const outcome = mp.push(task("everyWay", 20_000), { label: "loud" });
      const printed: (PoolEvent & { type: "output" })[] = [];
      for await (const event of events) {
        if (event.type === "output") printed.push(event);
        if (event.type === "settled") break;
      }
      await outcome;
      assertEquals(new Set(printed.map(({ label, taskId }) => `${label} ${taskId}`)), new Set(["loud 2"]));
      assertEquals(printed.map(({ text }) => text).join(""), EVERY_WAY);
      const errors = printed.filter(({ stream }) => stream === "stderr").map(({ text }) => text).join("");
      assertEquals(errors, "error\nstderr\nprocess error\n");
    });
  });

  Deno.test(`MultiProcessOptions.output: captured or ignored, nothing is printed; inherited, all is (${isolation})`, async () => {
    assertEquals(await program(isolation, "capture"), ["", ""]);
    assertEquals(await program(isolation, "ignore"), ["", ""]);
    const [stdout, stderr] = await program(isolation, "inherit");
    assertEquals(stdout.split("\n").length, 9);
    assertEquals(stderr, "error\nstderr\nprocess error\n");
  });
}

Deno.test("what a task leaves behind prints is printed as ever where no task runs, and is no other's", async () => {
  await withPool({ size: 1, output: "capture" }, async (mp) => {
    const { output } = await mp.push(task("lingers", 20_000));
    assertEquals(output, "loaded\n");
    await new Promise((resolve) => setTimeout(resolve, 300));
    assertEquals((await mp.push(task("silent", 20_000))).output, undefined);
  });
});

Deno.test("an outcome has no output in a pool that does not capture it", async () => {
  await withPool(1, async (mp) => {
    assertEquals("output" in await mp.push(task("silent", 20_000)), false);
  });
});
