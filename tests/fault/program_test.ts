/** What a thread shares with the whole program × what a task does to it: the program does not notice. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { InfoTask } from "../../mod.ts";
import { fixture, withPool } from "../helpers.ts";

const task = (name: string) => new InfoTask(fixture(`program.ts#${name}`), 20_000);

/** Runs the program around such a task, with one line on stdin. */
async function program(...args: string[]): Promise<Deno.CommandOutput> {
  const config = fromFileUrl(fixture("../../deno.json"));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--config", config, fixture("program.ts"), ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("for the program"));
  const output = child.output();
  // Not closed before: a task that reads would find the end all the same.
  const { code, signal, success, ...rest } = await output;
  await writer.close().catch(() => {});
  return { code, signal, success, ...rest };
}

Deno.test("a task in a thread is refused what would change the whole program", async () => {
  await withPool({ size: 1, isolation: "thread" }, async (mp) => {
    const before = [Deno.cwd(), Deno.umask()];
    for (
      const [name, what] of [
        ["chdir", "change the working directory"],
        ["setUmask", "change the umask"],
        ["addSignalListener", "listen to signals"],
      ] as const
    ) {
      const outcome = await mp.push(task(name));
      assert(outcome.status === "failed", name);
      assertEquals([outcome.error.constructor, outcome.error.message], [
        Deno.errors.NotSupported,
        `Cannot ${what} in a thread: that would be for the whole program; use isolation: "process"`,
      ]);
    }
    assertEquals(await mp.run(task("readUmask")), before[1]);
    assertEquals([Deno.cwd(), Deno.umask()], before);
  });
});

Deno.test("a task in a process may change what is that process's own, and the program does not notice", async () => {
  await withPool({ size: 1, isolation: "process" }, async (mp) => {
    const before = [Deno.cwd(), Deno.umask()];
    for (const name of ["chdir", "setUmask", "addSignalListener"]) {
      assertEquals((await mp.push(task(name))).status, "ok", name);
    }
    assertEquals(await mp.run(task("readUmask")), 0o77);
    assertEquals([Deno.cwd(), Deno.umask()], before);
  });
});

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`a task (${isolation}) finds stdin at its end, and takes no line from the program`, async () => {
    const { code, stdout, stderr } = await program(isolation, "readStdin");
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const read = [null, null, false, []];
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), [read, "for the program"]);
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.test({
      name: `a program ends on ${signal} whatever listeners a task (${isolation}) has left`,
      ignore: Deno.build.os === "windows",
      async fn() {
        const ended = await program(isolation, "processOn", signal);
        assertEquals(ended.signal, signal, new TextDecoder().decode(ended.stderr));
      },
    });
  }
}
