/** Many tasks that throw, hang, exit, exhaust their memory and are cancelled: every one ends right. The soak has thousands. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess, type Status } from "../../mod.ts";
import type { Kind } from "../fixtures/chaos.ts";
import { fixture, random, seed } from "../helpers.ts";

const EXPECTED: Record<Kind, Status> = {
  ok: "ok",
  throw: "failed",
  hang: "timed-out",
  spin: "timed-out",
  builtins: "timed-out",
  exit: "crashed",
  memory: "crashed",
  cancel: "cancelled",
};

async function chaos(
  isolation: "thread" | "process" | "cell",
  count: number,
  shares: [Kind, number][],
): Promise<void> {
  const next = random(seed());
  const kindOf = (): Kind => {
    let left = next();
    for (const [kind, share] of shares) if ((left -= share) < 0) return kind;
    return "ok";
  };
  const memoryLimit = isolation === "process" ? 64 : undefined;
  const mp = new MultiProcess({
    size: 2,
    spares: 2,
    isolation,
    maxRestarts: 100,
    ...(memoryLimit && { memoryLimit }),
  });
  try {
    mp.start();
    const counts: Record<string, number> = {};
    const controllers: AbortController[] = [];
    const outcomes = Array.from({ length: count }, (_, n) => {
      const kind = kindOf();
      const controller = new AbortController();
      if (kind === "cancel") controllers.push(controller);
      // Those to be cancelled hang; one that hangs is given little time, one that ends by itself all it needs.
      const short = kind === "hang" || kind === "spin" || kind === "builtins";
      const task = new InfoTask(
        fixture("chaos.ts"),
        short ? 30 : 60_000,
        kind === "cancel" ? "hang" : kind,
        n,
      );
      const options = kind === "cancel" ? { signal: controller.signal } : {};
      return mp.push(task, options).then((outcome) => {
        counts[kind] = (counts[kind] ?? 0) + 1;
        const why = outcome.status === "ok" ? "" : outcome.error.message;
        assertEquals(outcome.status, EXPECTED[kind], `task ${n}, ${kind}: ${why}`);
        if (outcome.status === "ok") assertEquals(outcome.value, n);
        if (outcome.status === "failed") assertEquals(outcome.error.message, `task ${n}`);
      });
    });
    const abort = setInterval(
      () => controllers.splice(Math.trunc(next() * controllers.length), 1)[0]?.abort(),
      20,
    );
    try {
      await Promise.all(outcomes);
    } finally {
      clearInterval(abort);
    }
    const summary = await mp.stop();
    assertEquals(summary.pushed, count);
    const { pushed, ok, failed, timedOut, crashed, cancelled } = summary;
    assertEquals(ok + failed + timedOut + crashed + cancelled, pushed);
    console.log(isolation, counts);
    for (const [kind] of shares) assert(counts[kind]! > 0, kind);
  } finally {
    await mp.terminate();
  }
}

Deno.test("400 tasks in processes, a third of them harmful, have 400 outcomes of the right kind", async () => {
  await chaos("process", 400, [["throw", 0.1], ["hang", 0.1], ["exit", 0.05], ["memory", 0.05], [
    "cancel",
    0.03,
  ]]);
});

Deno.test("300 tasks in a cell, a quarter of them harmful, have 300 outcomes of the right kind", async () => {
  await chaos("cell", 300, [["throw", 0.1], ["hang", 0.06], ["exit", 0.05], ["cancel", 0.03]]);
});

Deno.test("300 tasks in threads, a quarter of them harmful, have 300 outcomes of the right kind", async () => {
  await chaos("thread", 300, [["throw", 0.1], ["hang", 0.06], ["exit", 0.05], ["cancel", 0.03]]);
});

Deno.test("80 threads stopped at random moments, also while they load built-ins, do not harm the process", async () => {
  const next = random(seed());
  const mp = new MultiProcess({ size: 4, spares: 4, isolation: "thread" });
  try {
    await mp.start();
    const kinds: Kind[] = ["spin", "hang", "builtins", "ok"];
    const outcomes = Array.from({ length: 100 }, (_, n) => {
      const kind = kinds[n % 5 === 4 ? 3 : Math.trunc(next() * 3)]!;
      return mp.push(new InfoTask(fixture("chaos.ts"), 1 + next() * 40, kind, n));
    });
    for (const outcome of await Promise.all(outcomes)) assert(["ok", "timed-out"].includes(outcome.status));
    assert((await mp.stats()).killed >= 60);
  } finally {
    await mp.terminate();
  }
});
