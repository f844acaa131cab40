/** What an initializer's `dispose()` may take × how its worker ends × thread, process and cell. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess, type MultiProcessOptions } from "../../mod.ts";
import { fixture, inline, script, until } from "../helpers.ts";

const add = () => new InfoTask(fixture("tasks.ts#add"), 20_000, 1, 2);

/** Ways to end one worker in peace, and what it takes. */
const WAYS: Record<string, {
  isolations?: readonly string[];
  options: MultiProcessOptions;
  act(mp: MultiProcess): Promise<unknown>;
}> = {
  "stop()": { options: {}, act: (mp) => mp.stop() },
  "idleTimeout": { options: { minSize: 0, idleTimeout: 10 }, act: (mp) => mp.run(add()) },
  "maxTasksPerWorker": { options: { maxTasksPerWorker: 1 }, act: (mp) => mp.run(add()) },
  "a module that its permissions do not know": {
    isolations: ["process", "cell"],
    options: { permissions: { write: true, net: false } },
    act: (mp) => mp.run(add()),
  },
  "resize()": {
    options: { size: 2 },
    act: (mp) => Promise.resolve(mp.resize(1)),
  },
  "renew()": { options: {}, act: (mp) => mp.renew() },
  "a thread beside it that does not end": {
    isolations: ["cell"],
    options: { size: 2, killGrace: 50 },
    act: (mp) => mp.push(new InfoTask(fixture("stubborn.ts#child"), 150)),
  },
};

for (const isolation of ["thread", "process", "cell"] as const) {
  for (const [way, { isolations, options, act }] of Object.entries(WAYS)) {
    if (isolations?.includes(isolation) === false) continue;
    Deno.test(`dispose() has the time it takes when its worker is ended by ${way} (${isolation})`, async () => {
      const dir = await Deno.makeTempDir();
      const done = () => [...Deno.readDirSync(dir)].length;
      // Longer than a worker has to end that has nothing to clean up.
      const initializer = inline(`export async function dispose() {
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        Deno.writeTextFileSync(${JSON.stringify(dir)} + "/" + crypto.randomUUID(), "");
      }`);
      const mp = new MultiProcess({ size: 1, spares: 0, isolation, initializer, ...options });
      try {
        await mp.start();
        await act(mp);
        if (way === "stop()") assertEquals(done(), 1);
        else await until(() => done() > 0, 20_000, "disposed");
      } finally {
        await mp.terminate();
        await Deno.remove(dir, { recursive: true });
      }
    });
  }

  Deno.test(`dispose() that takes longer than disposeTimeout is told of (${isolation})`, async () => {
    const line =
      "multiprocess: a worker did not end its initializer's dispose() within 300 ms (see disposeTimeout)\n";
    for (
      const body of [
        "await new Promise(() => {});",
        "for (;;);",
        "await new Promise((end) => setTimeout(end, 9_000));",
      ]
    ) {
      const { code, stderr, ms } = await script("disposes.ts", [isolation, body, "300"]);
      assertEquals([code, stderr], [0, line + line], body);
      assert(ms < 30_000, `${ms} ms`);
    }
  });

  Deno.test(`dispose() that throws is told of, and one that takes no time is not waited for (${isolation})`, async () => {
    const { code, stderr } = await script("disposes.ts", [
      isolation,
      'throw new Error("as asked");',
      "20000",
    ]);
    const line = "multiprocess: a worker could not run its initializer's dispose(): as asked\n";
    assertEquals([code, stderr], [0, line + line]);
    assertEquals((await script("disposes.ts", [isolation, "", "20000"])).stderr, "");
  });

  Deno.test(`terminate() does not wait for dispose() (${isolation})`, async () => {
    const initializer = inline("export const dispose = () => new Promise(() => {});");
    const mp = new MultiProcess({ size: 1, isolation, initializer, disposeTimeout: Infinity });
    await mp.start();
    await mp.run(add());
    const stopping = mp.stop();
    const since = performance.now();
    await mp.terminate();
    await stopping;
    assert(performance.now() - since < 5_000, "in time");
  });
}
