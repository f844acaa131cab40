/** Every way for a worker to end between two tasks × thread and process × watched or not: somebody hears of it. */
import { assertEquals, assertMatch } from "@std/assert";
import { MultiProcess, type PoolEvent } from "../../mod.ts";
import { inline, script } from "../helpers.ts";

for (const isolation of ["thread", "process"] as const) {
  const ends = [
    ["exit", "undefined"],
    ["exit", "undefined"],
    ["exit", "undefined"],
    ["error", "thrown in a timer"],
    ["error", "rejected"],
    ["error", "reported"],
    ...(isolation === "process" ? [["signal", "undefined"]] : []),
  ];

  Deno.test(`an end between two tasks (${isolation}) is told by an event, with the reason and the error`, async () => {
    const { code, stdout, stderr } = await script("idle_death.ts", [isolation, "watched"], ["-A"], 60_000);
    assertEquals([code, JSON.parse(stdout)], [0, { idleDeaths: ends.length, ends }], stderr);
    assertEquals(stderr, "");
  });

  Deno.test(`an end between two tasks (${isolation}) is told by a line on stderr if nobody watches`, async () => {
    const { code, stdout, stderr } = await script("idle_death.ts", [isolation], ["-A"], 60_000);
    assertEquals([code, JSON.parse(stdout)], [0, { idleDeaths: ends.length, ends: [] }], stderr);
    const lines = stderr.trim().split("\n");
    assertEquals(lines.length, ends.length, stderr);
    for (const [i, line] of lines.entries()) {
      assertMatch(line, /^the pool: a worker .*, between two tasks: its last task was of death\.ts$/);
      const [reason, message] = ends[i]!;
      if (reason === "error") assertMatch(line, new RegExp(message!));
    }
  });
}

Deno.test("a worker-gone never comes without its worker-started", async () => {
  const failing = inline("export function initialize() { throw new Error('no'); }");
  for (
    const { options, end } of [
      { options: { size: 3 }, end: (mp: MultiProcess) => mp.terminate() },
      { options: { size: 3, isolation: "process" }, end: (mp: MultiProcess) => mp.terminate() },
      { options: { size: 1, initializer: failing }, end: (mp: MultiProcess) => mp.start().catch(() => {}) },
      { options: { size: 2 }, end: (mp: MultiProcess) => mp.start().then(() => mp.stop()) },
    ] as const
  ) {
    const mp = new MultiProcess(options);
    const watching = Array.fromAsync(mp.events());
    void mp.start().catch(() => {});
    await end(mp);
    await mp.terminate();
    const events: PoolEvent[] = await watching;
    const started = new Set<number>();
    for (const event of events) {
      if (event.type === "worker-started") started.add(event.workerId);
      if (event.type === "worker-gone" || event.type === "worker-killed") {
        assertEquals([event.type, started.has(event.workerId)], [event.type, true]);
      }
    }
  }
});
