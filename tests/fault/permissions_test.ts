/** What tasks may do: less than the process where the pool says so, never more. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { InfoTask, MultiProcess, TaskLoadError } from "../../mod.ts";
import type { Kind } from "../fixtures/permissions.ts";
import { fixture, script } from "../helpers.ts";

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
  const mp = new MultiProcess({ size: 1, permissions });
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
