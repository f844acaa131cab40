/** What tasks may do: less than the process where the pool says so, never more. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import { InfoTask, MultiProcess, TaskLoadError } from "../../mod.ts";
import type { Kind } from "../fixtures/permissions.ts";
import { fixture, inline, script, until } from "../helpers.ts";

const HERE = fromFileUrl(import.meta.url);

/** The name of the error, or "ok". */
async function tryOut(mp: MultiProcess, kind: Kind, what = ""): Promise<string> {
  const outcome = await mp.push(new InfoTask(fixture("permissions.ts"), 20_000, kind, what));
  if (outcome.status === "ok") return "ok";
  // Deno wraps what it refuses to import.
  if (outcome.error.message.includes("Requires import access")) return "NotCapable";
  if (outcome.error.name === "NotCapable") {
    assertEquals(outcome.status, "failed");
    assertInstanceOf(outcome.error, Deno.errors.NotCapable);
  }
  return outcome.error.name;
}

async function withPermissions(
  permissions: Deno.PermissionOptions,
  test: (mp: MultiProcess) => Promise<void>,
): Promise<void> {
  // A loaded machine may take its time.
  const mp = new MultiProcess({ size: 1, permissions, loadTimeout: 60_000 });
  try {
    await mp.start();
    await test(mp);
  } finally {
    await mp.terminate();
  }
}

Deno.test('permissions "none" leave a task its own files, and nothing else', async () => {
  await withPermissions("none", async (mp) => {
    assertEquals(await tryOut(mp, "nothing"), "ok");
    assertEquals(await tryOut(mp, "read", fromFileUrl(fixture("permissions.ts"))), "ok");
    assertEquals(await tryOut(mp, "read", HERE), "NotCapable");
    assertEquals(await tryOut(mp, "write", `${HERE}.txt`), "NotCapable");
    assertEquals(await tryOut(mp, "env", "HOME"), "NotCapable");
    assertEquals(await tryOut(mp, "net", "127.0.0.1"), "NotCapable");
    assertEquals(await tryOut(mp, "run", Deno.execPath()), "NotCapable");
    assertEquals(await tryOut(mp, "sys"), "NotCapable");
    // A host that is open to imports by default: what a task imports from, it can also tell things.
    assertEquals(await tryOut(mp, "import", "https://raw.githubusercontent.com/none/none.ts"), "NotCapable");
  });
});

Deno.test("a new module is no reason for new workers where it has no files that they may not read", async (t) => {
  const source = "export default () => 1";
  const imports = `import ${JSON.stringify(fixture("model.ts"))}; ${source}`;
  await withPermissions("none", async (mp) => {
    for (
      const [what, specifier, renewed] of [
        ["a file", `${fixture("tasks.ts")}#echo`, true],
        ["another export of the file", `${fixture("tasks.ts")}#tried`, false],
        ["code that imports nothing", inline(source), false],
        ["the same in base64", `data:text/javascript;base64,${btoa(source)}`, false],
        ["code that imports a file", inline(imports), true],
        ["another file", fixture("broken.ts"), true],
      ] as const
    ) {
      await t.step(what, async () => {
        await until(async () => (await mp.stats()).workers.starting === 0, 60_000, "all workers are there");
        const { spawned } = await mp.stats();
        const { status } = await mp.push(new InfoTask(specifier, 20_000));
        assertEquals(status, "ok");
        assertEquals((await mp.stats()).spawned > spawned, renewed);
      });
    }
  });
});

Deno.test("a new module is no reason for new workers where all its files lie in folders that they may read", async (t) => {
  const folder = await Deno.makeTempDir();
  const outside = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(outside, "export default () => 1");
  const write = async (name: string, source: string) => {
    const file = join(folder, name);
    await Deno.writeTextFile(file, source);
    return toFileUrl(file).href;
  };
  const imports = (url: string) => `export { default } from ${JSON.stringify(url)}`;
  const first = await write("first.ts", "export default () => 1");
  const elsewhere = toFileUrl(outside).href;
  try {
    await withPermissions({ read: [folder] }, async (mp) => {
      for (
        const [what, specifier, renewed] of [
          ["a file", first, false],
          ["one that imports another", await write("b.ts", imports("./first.ts")), false],
          ["code that imports one", inline(imports(first)), false],
          ["one that imports one elsewhere", await write("c.ts", imports(elsewhere)), true],
          ["one elsewhere", elsewhere, true],
        ] as const
      ) {
        await t.step(what, async () => {
          await until(async () => (await mp.stats()).workers.starting === 0, 60_000, "all workers are there");
          const { spawned } = await mp.stats();
          const { status } = await mp.push(new InfoTask(specifier, 20_000));
          assertEquals(status, "ok");
          assertEquals((await mp.stats()).spawned > spawned, renewed);
        });
      }
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(outside);
  }
});

Deno.test("permissions in lists allow what they name", async () => {
  await withPermissions({ read: [HERE], env: ["HOME"], net: ["127.0.0.1"] }, async (mp) => {
    assertEquals(await tryOut(mp, "read", HERE), "ok");
    assertEquals(await tryOut(mp, "read", fromFileUrl(fixture("tasks.ts"))), "NotCapable");
    assertEquals(await tryOut(mp, "env", "HOME"), "ok");
    assertEquals(await tryOut(mp, "env", "PATH"), "NotCapable");
    assertEquals(await tryOut(mp, "net", "127.0.0.1"), "ok");
    assertEquals(await tryOut(mp, "net", "127.0.0.2"), "NotCapable");
    assertEquals(await tryOut(mp, "sys"), "NotCapable");
  });
});

Deno.test("a task reads no file that its process may not, nor a folder, by naming it as a part of its module", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const files = [`${folder}/secret.json`, `${folder}/other.json`];
    for (const file of files) Deno.writeTextFileSync(file, "{}");
    const few = ["--allow-run", "--allow-env", "--allow-read", `--deny-read=${folder}`];
    for (
      const [flags, permissions, expected] of [
        [few, "", { file: "NotCapable", folder: "NotCapable" }],
        [few, "none", { file: "NotCapable", folder: "NotCapable" }],
        // A file that the process may read is implied, but not what lies beside it.
        [["-A"], "none", { file: "read", folder: "NotCapable" }],
      ] as const
    ) {
      const { stdout, stderr } = await script("reads.ts", [...files, permissions], [...flags]);
      assertEquals(JSON.parse(stdout || "null"), expected, `${flags} ${permissions}: ${stderr}`);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("permissions that are true allow the whole kind, and no other", async () => {
  await withPermissions({ read: true, sys: true }, async (mp) => {
    assertEquals(await tryOut(mp, "read", HERE), "ok");
    assertEquals(await tryOut(mp, "sys"), "ok");
    assertEquals(await tryOut(mp, "env", "HOME"), "NotCapable");
  });
});

Deno.test("permissions bind the code at the top level of a task's module", async () => {
  await withPermissions("none", async (mp) => {
    const task = new InfoTask(fixture("permissions.ts?kind=env&what=HOME"), 20_000, "nothing");
    const outcome = await mp.push(task);
    assert(outcome.status === "failed");
    assertInstanceOf(outcome.error, TaskLoadError);
    assertInstanceOf(outcome.error.cause, Deno.errors.NotCapable);
    assertEquals(await tryOut(mp, "nothing"), "ok");
  });
});

Deno.test("permissions with threads are refused, with the reason", () => {
  const error = assertThrows(
    () => new MultiProcess({ isolation: "thread", permissions: "none" }),
    TypeError,
    "process",
  );
  assert(error.message.includes("permissions"), error.message);
});

Deno.test("permissions never widen what the process has", async () => {
  const flags = ["--allow-read", "--allow-run"];
  for (const permissions of [{ env: true }, { net: ["127.0.0.1"] }, { env: ["HOME"], read: true }]) {
    const { stdout, stderr } = await script("narrow.ts", [JSON.stringify(permissions)], flags);
    assertEquals(stdout.trim(), '{"thrown":"NotCapable"}', stderr);
  }
});

Deno.test("permissions never hand on what the process is denied a part of", async () => {
  const here = fromFileUrl(new URL(".", import.meta.url));
  const cases: [Deno.PermissionOptions, string, "refused" | "ok"][] = [
    [{ read: [here] }, `--deny-read=${HERE}`, "refused"],
    [{ read: [`${here}../fixtures`] }, `--deny-read=${HERE}`, "ok"],
    [{ net: ["a.invalid"] }, "--deny-net=a.invalid:443", "refused"],
    [{ net: ["a.invalid:80"] }, "--deny-net=a.invalid:443", "ok"],
    [{ net: ["*.a.invalid"] }, "--deny-net=b.a.invalid", "refused"],
    [{ env: ["MP_*"] }, "--deny-env=MP_SECRET", "refused"],
    [{ env: ["MP_*"] }, "--deny-net", "ok"],
  ];
  for (const [permissions, flag, expected] of cases) {
    const { stdout, stderr } = await script("narrow.ts", [JSON.stringify(permissions)], ["-A", flag]);
    const { thrown } = JSON.parse(stdout || "null");
    assertEquals(thrown, expected === "ok" ? undefined : "NotCapable", `${flag}: ${stdout} ${stderr}`);
  }
});

Deno.test("a child process may do no more than its parent", async () => {
  // Without leave to read the environment Deno starts no process with a channel (seen up to 2.9.6).
  const flags = ["--allow-read", "--allow-run", "--allow-env", "--deny-import=raw.githubusercontent.com:443"];
  const { stdout, stderr } = await script("narrow.ts", ["null"], flags);
  const expected = {
    nothing: "ok",
    env: "ok",
    net: "NotCapable",
    sys: "NotCapable",
    import: "NotCapable",
  };
  assertEquals(JSON.parse(stdout || "null"), expected, stderr);
});

/** Names of folders that a command line, or a list on it, could take for something else. */
const ODD = [
  "a, b",
  "q\"uo'te",
  "spa ce",
  "eq=al",
  "st*r",
  "ti~de",
  "ünï…",
  "new\nline",
  "-A",
  " lead",
  "%2C",
];

Deno.test("a task file whose path is odd is run, or costs its own tasks only", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await withPermissions("none", async (mp) => {
      for (const name of ODD) {
        await Deno.mkdir(`${folder}/${name}`);
        await Deno.writeTextFile(`${folder}/${name}/inner.ts`, `export const inner = 7;`);
        const path = `${folder}/${name}/task.ts`;
        await Deno.writeTextFile(path, `import { inner } from "./inner.ts"; export default () => inner;`);
        const outcome = await mp.push(new InfoTask(toFileUrl(path), 20_000));
        const comma = name.includes(",");
        assertEquals(
          outcome.status,
          comma ? "failed" : "ok",
          `${name}: ${"error" in outcome && outcome.error}`,
        );
        if (comma) assertInstanceOf("error" in outcome && outcome.error, TaskLoadError);
        assertEquals(await tryOut(mp, "nothing"), "ok", name);
      }
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("permissions that a command line cannot name are refused at the door, and all others start a worker", async () => {
  const items = [
    ...ODD.map((name) => `/tmp/${name}`),
    ...ODD,
    "",
    "a\0b",
    "*",
    "*.a.invalid",
    "10.0.0.0/8",
    "[::1]:80",
  ];
  for (const kind of ["read", "write", "net", "env", "run", "ffi", "sys", "import"] as const) {
    const accepted: string[] = [];
    for (const item of items) {
      try {
        new MultiProcess({ size: 1, permissions: { [kind]: [item] } });
        accepted.push(item);
      } catch (error) {
        assertInstanceOf(error, RangeError);
        assert(error.message.includes(`${kind}: ${JSON.stringify(item)}`), error.message);
      }
    }
    assert(!accepted.some((item) => item.includes(",")), `${kind}: a comma`);
    if (accepted.length === 0) continue;
    await withPermissions({ [kind]: accepted }, async (mp) => {
      assertEquals(await tryOut(mp, "nothing"), "ok", `${kind}: ${JSON.stringify(accepted)}`);
    });
  }
});

Deno.test("a module of very many files, and one in a very long URL, run under permissions", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const names = Array.from({ length: 700 }, (_, i) => `${"long".repeat(50)}_${i}.ts`);
    for (const name of names) await Deno.writeTextFile(`${folder}/${name}`, "export {};");
    const imports = names.map((name) => `import "./${name}";`).join("\n");
    await Deno.writeTextFile(`${folder}/task.ts`, `${imports}\nexport default () => "ran";`);
    await withPermissions("none", async (mp) => {
      assertEquals(await mp.run(new InfoTask(toFileUrl(`${folder}/task.ts`), 60_000)), "ran");
      const long = `export default () => "ran"; // ${"x".repeat(300_000)}`;
      assertEquals(await mp.run(new InfoTask(inline(long), 60_000)), "ran");
      assertEquals(await tryOut(mp, "nothing"), "ok");
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a task file that is changed to import a new file is run by workers started from then on", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const task = new InfoTask(toFileUrl(`${folder}/task.ts`), 20_000);
    await Deno.writeTextFile(`${folder}/task.ts`, `export default () => "old";`);
    const mp = new MultiProcess({
      size: 1,
      spares: 0,
      permissions: "none",
      maxTasksPerWorker: 1,
      maxRestarts: 100,
    });
    try {
      await mp.start();
      assertEquals(await mp.run(task), "old");
      await Deno.writeTextFile(`${folder}/new.ts`, `export default "new";`);
      await Deno.writeTextFile(`${folder}/task.ts`, `import it from "./new.ts"; export default () => it;`);
      // The worker that stands ready may have been started before.
      const outcomes = [await mp.push(task), await mp.push(task)];
      const last = outcomes.at(-1)!;
      assert(last.status === "ok", "error" in last ? `${last.error.message} ${last.error.cause}` : "");
      assertEquals(last.value, "new");
    } finally {
      await mp.terminate();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a worker started before a task file imported a new one fails its task once, and is not used for it again", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const task = new InfoTask(toFileUrl(`${folder}/task.ts`), 20_000, false);
    await Deno.writeTextFile(`${folder}/task.ts`, `export default (end) => end ? Deno.exit() : "old";`);
    const mp = new MultiProcess({ size: 1, spares: 1, permissions: "none", maxRestarts: 100 });
    try {
      await mp.start();
      // One that is started after the first run loads the task file ahead, as it is then.
      await until(async () => (await mp.stats()).workers.idle === 2, 20_000, "a spare stands ready");
      assertEquals(await mp.run(task), "old");
      await Deno.writeTextFile(`${folder}/new.ts`, `export default "new";`);
      await Deno.writeTextFile(`${folder}/task.ts`, `import it from "./new.ts"; export default () => it;`);
      await mp.push(new InfoTask(task.specifier, 20_000, true));
      const results: unknown[] = [];
      while (results.length < 5 && results.at(-1) !== "new") {
        const outcome = await mp.push(task);
        results.push(outcome.status === "ok" ? outcome.value : outcome.error.name);
      }
      assertEquals(results.at(-1), "new", results.join());
    } finally {
      await mp.terminate();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
