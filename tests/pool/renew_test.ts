import { assert, assertEquals, assertRejects } from "@std/assert";
import { toFileUrl } from "@std/path";
import { InfoTask, MultiProcess, PoolStateError } from "../../mod.ts";
import { fixture, inline, until, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);

for (const isolation of ["thread", "process", "cell"] as const) {
  Deno.test(`MultiProcess.renew() has tasks run new code, and loses none meanwhile (${isolation})`, async () => {
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    const version = () => new InfoTask(toFileUrl(file).href, 10_000);
    try {
      await Deno.writeTextFile(file, "export const runnable = () => 1;");
      await withPool({ size: 2, isolation }, async (mp) => {
        const seen = (count: number) => Promise.all(Array.from({ length: count }, () => mp.run(version())));
        assertEquals(new Set(await seen(20)), new Set([1]));
        await Deno.writeTextFile(file, "export const runnable = () => 2;");
        const running = mp.push(task("sleep", 60_000, 1_500, "went on"));
        await until(async () => (await mp.stats()).running === 1, 10_000, "it runs");
        const renewed = mp.renew();
        const meanwhile = await seen(20);
        assert(meanwhile.every((value) => value === 1 || value === 2), `${meanwhile}`);
        await renewed;
        assertEquals(new Set(await seen(20)), new Set([2]));
        const outcome = await running;
        assertEquals(outcome.status === "ok" && outcome.value, "went on");
        assertEquals((await mp.stats()).killed, 0);
      });
    } finally {
      await Deno.remove(file);
    }
  });

  Deno.test(`MultiProcessOptions.maxMemoryBeforeRecycle replaces a worker that leaks, between two tasks (${isolation})`, async () => {
    const leak =
      "const kept = []; export const runnable = (mib) => kept.push(new Uint8Array(mib * 2 ** 20).fill(1))";
    const options = { size: 1, spares: 0, isolation, maxMemoryBeforeRecycle: 400 };
    await withPool(options, async (mp) => {
      const first = await mp.push(new InfoTask(inline(leak), 20_000, 1));
      for (let i = 0; i < 5; i++) await mp.run(new InfoTask(inline(leak), 20_000, 1));
      const again = await mp.push(new InfoTask(inline(leak), 20_000, 1));
      assertEquals(again.workerId, first.workerId);
      // Memory is looked at a few times a second.
      await new Promise((resolve) => setTimeout(resolve, 300));
      assertEquals((await mp.push(new InfoTask(inline(leak), 20_000, 450))).status, "ok");
      await until(
        async () => {
          const outcome = await mp.push(new InfoTask(inline(leak), 20_000, 0));
          assertEquals(outcome.status, "ok");
          return outcome.workerId !== first.workerId;
        },
        20_000,
        "another worker has taken over",
      );
      assertEquals((await mp.stats()).killed, 0);
    });
  });
}

Deno.test("MultiProcess.renew() runs the initializer again", async () => {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  const initializer = inline(
    `import { readFileSync } from "node:fs"; export const initialize = () => globalThis.config = readFileSync(${
      JSON.stringify(file)
    }, "utf8")`,
  );
  const read = new InfoTask(inline("export const runnable = () => globalThis.config"), 10_000);
  try {
    await Deno.writeTextFile(file, "old");
    await withPool({ size: 1, initializer }, async (mp) => {
      assertEquals(await mp.run(read), "old");
      await Deno.writeTextFile(file, "new");
      // Told twice, answered twice.
      await Promise.all([mp.renew(), mp.renew()]);
      assertEquals(await mp.run(read), "new");
    });
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("MultiProcess.renew() does nothing before the start, and is refused after the end", async () => {
  const mp = new MultiProcess(1);
  await mp.renew();
  await mp.start();
  const renewed = mp.renew();
  await mp.stop();
  await renewed;
  await assertRejects(() => mp.renew(), PoolStateError, "Cannot renew the workers: the pool is stopped");
});
