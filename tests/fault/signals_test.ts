/** The process is told to end, or is killed, while its tasks spin: none of them is left. And: what tasks print. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { fixture, Load, script, until } from "../helpers.ts";

/** Processes that descend from this one, living ones only. Linux only. */
function descendants(of: number): number[] {
  const parents = new Map<number, number>();
  for (const { name } of Deno.readDirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined) parents.set(Number(name), stat.parent);
  }
  const found = [of];
  for (const parent of found) {
    for (const [pid, its] of parents) if (its === parent) found.push(pid);
  }
  return found.slice(1);
}

/** Undefined for a process that has ended, also if nobody has taken note of it yet. */
function statOf(pid: number): { parent: number; started: string } | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : { parent: Number(fields[1]), started: fields[19]! };
  } catch {
    return undefined;
  }
}

/** Runs the script until its tasks spin, ends it, and gives how long it and its children took to be gone. */
async function endWhileSpinning(
  isolation: "thread" | "process",
  signal: Deno.Signal,
): Promise<{ children: number; parentMs: number; childrenMs: number; status: Deno.CommandStatus }> {
  const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--config", config, fixture("end.ts"), "hang", isolation],
    stdout: "piped",
    stderr: "inherit",
    env: { NO_COLOR: "1" },
  }).spawn();
  let children: number[] = [];
  try {
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("spinning")) {
      const { done, value } = await reader.read();
      assert(!done, `it ended early: ${text}`);
      text += value;
    }
    children = descendants(child.pid);
    const started = new Map(children.map((pid) => [pid, statOf(pid)?.started]));
    const left = () =>
      children.filter((pid) => started.get(pid) !== undefined && statOf(pid)?.started === started.get(pid));
    const since = performance.now();
    child.kill(signal);
    const status = await child.status;
    const parentMs = performance.now() - since;
    await reader.cancel();
    await until(() => left().length === 0, 20_000, `the end of children after ${signal}`);
    return { children: children.length, parentMs, childrenMs: performance.now() - since, status };
  } finally {
    for (const pid of [child.pid, ...children]) {
      try {
        if (statOf(pid) !== undefined) Deno.kill(pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
    }
  }
}

const ignore = Deno.build.os !== "linux";

for (const isolation of ["thread", "process"] as const) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
    const bound = signal === "SIGKILL" ? 5_000 : 1_000;
    Deno.test({
      name:
        `${signal} while tasks spin (${isolation}) ends the process, children included, within ${bound} ms`,
      ignore,
      async fn() {
        using load = new Load();
        const { children, parentMs, childrenMs, status } = await endWhileSpinning(isolation, signal);
        assertEquals(children > 1, isolation === "process", `${children} children`);
        assertEquals(status.signal, signal);
        assert(parentMs < load.allows(1_000), `the process took ${parentMs} ms`);
        assert(childrenMs < load.allows(bound), `its children took ${childrenMs} ms`);
      },
    });
  }

  Deno.test(`what a task prints (${isolation}) reaches the terminal and disturbs nothing`, async () => {
    const { code, stdout, stderr } = await script("talk.ts", [isolation]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "said on stdout\n");
    assertStringIncludes(stderr, "said on stderr\n");
    assertStringIncludes(stdout, "said after the garbage\n");
    assertStringIncludes(stdout, "\nwritten 4096, ok 4\n");
  });
}
