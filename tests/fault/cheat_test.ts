/** Tasks that harm the worker they run on, in threads and processes; and what they find there. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { InfoTask, MultiProcess } from "../../mod.ts";
import { splitSpecifier } from "../../src/wire/task_module.ts";
import type * as cheat from "../fixtures/cheat.ts";
import { fixture, inline, until, withPool } from "../helpers.ts";
import { testCheats } from "./cheats.ts";
import { plain, pushPlain } from "./plain_tasks.ts";

testCheats("thread");
testCheats("process");

Deno.test("splitSpecifier() takes a fragment that is no percent-encoding as it is", () => {
  assertEquals(splitSpecifier("file:///a.ts#100%"), { url: "file:///a.ts", exported: "100%" });
  assertEquals(splitSpecifier("file:///a.ts#a%20b"), { url: "file:///a.ts", exported: "a b" });
  assertEquals(splitSpecifier("file:///a.ts#"), { url: "file:///a.ts", exported: undefined });
});

Deno.test("a worker that is spoilt while it is idle runs no other task", async () => {
  const mp = new MultiProcess({ size: 1, isolation: "thread" });
  try {
    await mp.start();
    const shared = new SharedArrayBuffer(4);
    await mp.run(new InfoTask(fixture("cheat.ts#pollutesLater"), 10_000, shared));
    await until(() => Atomics.load(new Int32Array(shared), 0) === 1, 20_000, "the pollution");
    await pushPlain(mp)();
  } finally {
    await mp.terminate();
  }
});

for (const name of ["slowToRead", "slowGlobal"]) {
  Deno.test(`what is slow to read after a task (${name}) takes none of the next one's time`, async () => {
    const mp = new MultiProcess({ size: 1, isolation: "thread" });
    try {
      await mp.start();
      const ran: number[] = [];
      for (let round = 0; round < 20; round++) {
        // Short enough for both to be handed to the worker at once.
        const slow = mp.run(plain(name, 20_000, 2));
        const { ranMs } = await mp.push(plain("add", 20_000, 1, 2));
        await slow;
        ran.push(ranMs);
      }
      assert(Math.min(...ran.slice(1)) < 1, `ran ${ran} ms`);
    } finally {
      await mp.terminate();
    }
  });
}

Deno.test("a module that wraps timers and promises costs no worker; a task that wraps promises is told of, once", async () => {
  const wraps = (what: string) =>
    `globalThis.${what} = ((real) => class extends real {})(globalThis.${what});`;
  const timers = `for (const name of ["setTimeout", "clearTimeout", "queueMicrotask", "structuredClone"]) {
    globalThis[name] = ((real) => (...args) => real(...args))(globalThis[name]);
  }
  Error.prepareStackTrace = (error) => String(error);`;
  const source = fixture("../../mod.ts");
  const run = async (module: string, task = "") => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--quiet",
        "--config",
        fromFileUrl(fixture("../../deno.json")),
        inline(`
        import { InfoTask, MultiProcess } from ${JSON.stringify(source)};
        const mp = new MultiProcess({ size: 1, maxRestarts: 100 });
        await mp.start();
        const task = new InfoTask(${
          JSON.stringify(inline(`${module} export default () => { ${task} return 7; };`))
        }, 10_000);
        for (let i = 0; i < 5; i++) if (await mp.run(task) !== 7) throw 1;
        const { spawned } = await mp.stats();
        await mp.stop();
        console.log(spawned);
      `),
      ],
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return [Number(new TextDecoder().decode(stdout)), new TextDecoder().decode(stderr)] as const;
  };
  assertEquals(await run(timers + wraps("Promise")), [2, ""]);
  const [spawned, told] = await run("", wraps("Promise"));
  assert(spawned > 5, `${spawned} workers`);
  assertEquals(
    told,
    "multiprocess: a worker was replaced, because a task had changed its globals (Promise); " +
      "while tasks do so, each costs the start of a worker\n",
  );
});

/** Locks of the whole process, the pool's among them; `undefined` before Deno 2.9. */
const { locks } = navigator as unknown as { locks?: typeof cheat.locks };

Deno.test({
  name: "a task sees no lock of the pool, and has its own",
  ignore: locks === undefined,
  async fn() {
    await withPool({ size: 2, spares: 0, isolation: "thread" }, async (mp) => {
      assertEquals(await mp.run(new InfoTask(fixture("cheat.ts#holdsLock"), 10_000, "mine")), ["mine"]);
    });
  },
});

Deno.test({
  name: "a worker whose lock is stolen loses no task, and is interrupted as before",
  ignore: locks === undefined,
  async fn() {
    await withPool({ size: 2, spares: 0, isolation: "thread" }, async (mp) => {
      const name = (await locks!.query()).held.map(({ name }) => name);
      assertEquals(name.length, 2);
      const beside = [mp.push(plain("sleep", 20_000, 300, 1)), mp.push(plain("sleep", 20_000, 300, 2))];
      await until(async () => (await mp.stats()).running === 2, 20_000, "both run");
      await Promise.all(name.map((each) => locks!.request(each, { steal: true }, () => {})));
      for (const outcome of await Promise.all(beside)) assertEquals(outcome.status, "ok");
      const before = (await mp.stats()).spawned;
      const hanging = [mp.push(plain("spin", 100)), mp.push(plain("spin", 100))];
      for (const outcome of await Promise.all(hanging)) assertEquals(outcome.status, "timed-out");
      await until(async () => (await mp.stats()).workers.idle === 2, 10_000, "both are replaced");
      await until(async () => (await mp.stats()).workers.stopping === 0, 10_000, "their threads have ended");
      const { spawned, zombies } = await mp.stats();
      assertEquals([spawned, zombies], [before + 2, 0]);
    });
  },
});
