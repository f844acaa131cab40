import { assertEquals, assertRejects } from "@std/assert";
import { InfoTask, type MultiProcessOptions } from "../../mod.ts";
import { fixture, withPool } from "../helpers.ts";

const MODULE = fixture("setup.ts");
const task = (name: string, ...args: unknown[]) => new InfoTask(`${MODULE}#${name}`, 10_000, ...args);

/** A pool that always has processes beside threads, and one that has nothing else. */
const isolations = ["thread", "process"] as const;

for (const isolation of isolations) {
  const pool = (more: MultiProcessOptions): MultiProcessOptions => ({
    size: 2,
    spares: 0,
    isolation,
    ...more,
  });

  Deno.test(`MultiProcessOptions.initializer: initialize() gets the data, as it was when the pool was made (${isolation})`, async () => {
    const data = { url: new Map([["main", 1n]]), list: [1, 2] };
    const options = pool({ initializer: { module: MODULE, data } });
    await withPool(options, async (mp) => {
      data.list.push(3);
      const expected = { url: new Map([["main", 1n]]), list: [1, 2] };
      const seen = await Promise.all([1, 2, 3, 4].map(() => mp.run(task("initialized"))));
      assertEquals(seen, new Array(4).fill(expected));
    });
    for (const initializer of [MODULE, new URL(MODULE), { module: MODULE }, { module: new URL(MODULE) }]) {
      await withPool(pool({ size: 1, initializer }), async (mp) => {
        assertEquals(await mp.run(task("initialized")), undefined);
      });
    }
  });

  Deno.test(`MultiProcessOptions.env: nothing, some, all, and what is given (${isolation})`, async () => {
    Deno.env.set("SETUP_A", "a");
    Deno.env.set("SETUP_B", "b");
    const all = (value?: string) => [value, value, value !== undefined, value !== undefined];
    const seen = async (env: MultiProcessOptions["env"]) => {
      let result: unknown;
      await withPool(pool({ size: 1, env }), async (mp) => {
        result = await mp.run(task("env", "SETUP_A", "SETUP_B", "SETUP_NONE", "HOME"));
      });
      return result;
    };
    try {
      const home = Deno.env.get("HOME");
      const none = all(undefined);
      assertEquals((await seen("inherit") as unknown[]).slice(0, 2), [all("a"), all("b")]);
      assertEquals(await seen("none"), [none, none, none, none]);
      assertEquals(await seen(["SETUP_B", "SETUP_NONE"]), [none, all("b"), none, none]);
      assertEquals(await seen({ SETUP_A: "c", HOME: home ?? "h" }), [all("c"), none, none, all(home ?? "h")]);
      await withPool(pool({ size: 1, env: { SETUP_C: "" } }), async (mp) => {
        assertEquals(await mp.run(task("envNames")), [["SETUP_C"], ["SETUP_C"]]);
        assertEquals(await mp.run(task("setEnv", "SETUP_D", "d")), ["d", "d", undefined, undefined]);
      });
      assertEquals(Deno.env.get("SETUP_D"), undefined);
    } finally {
      Deno.env.delete("SETUP_A");
      Deno.env.delete("SETUP_B");
    }
  });

  Deno.test(`MultiProcessOptions.argv is what tasks have as their arguments (${isolation})`, async () => {
    await withPool(pool({ size: 1, argv: ["--verbose", "a b"] }), async (mp) => {
      assertEquals(await mp.run(task("args")), [["--verbose", "a b"], ["--verbose", "a b"]]);
    });
    await withPool(pool({ size: 1 }), async (mp) => {
      assertEquals(await mp.run(task("args")), [Deno.args, []]);
    });
  });
}

Deno.test("MultiProcessOptions.env and argv also hold for the first tasks, which run on the thread of start()", async () => {
  await withPool({ size: 1, env: { ONLY: "1" }, argv: ["x"], bridge: true }, async (mp) => {
    for (let i = 0; i < 20; i++) {
      assertEquals(await mp.run(task("envNames")), [["ONLY"], ["ONLY"]]);
      assertEquals(await mp.run(task("args")), [["x"], ["x"]]);
    }
  });
});

Deno.test("MultiProcessOptions.cwd is the working directory of tasks, which are processes then", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    for (const cwd of [folder, new URL(`file://${folder}`)]) {
      await withPool({ size: 1, cwd }, async (mp) => {
        assertEquals(await mp.run(task("cwd")), [folder, folder]);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("MultiProcessOptions.v8Flags are flags of the processes that tasks run in", async () => {
  await withPool({ size: 1, v8Flags: ["--expose-gc", "--stack-size=900"] }, async (mp) => {
    assertEquals((await mp.run(task("flags")) as string[])[0], "function");
  });
});

Deno.test("MultiProcessOptions.initializer with data that no process can be sent keeps the pool from starting", async () => {
  const data = new SharedArrayBuffer(4);
  const options: MultiProcessOptions = {
    size: 1,
    isolation: "process",
    initializer: { module: MODULE, data },
  };
  await assertRejects(() => withPool(options, () => Promise.resolve()), Error, "SharedArrayBuffer");
});

Deno.test("MultiProcessOptions.initializer shares memory with threads", async () => {
  const data = new SharedArrayBuffer(4);
  new Int32Array(data)[0] = 7;
  await withPool({ size: 1, isolation: "thread", initializer: { module: MODULE, data } }, async (mp) => {
    const seen = await mp.run(task("initialized")) as SharedArrayBuffer;
    assertEquals(new Int32Array(seen)[0], 7);
  });
});
