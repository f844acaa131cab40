/** Tasks that harm the worker they run on: their own outcome may be wrong, never another's. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess } from "../../mod.ts";
import * as cheat from "../fixtures/cheat.ts";
import { fixture, Load, sample } from "../helpers.ts";
import { pushPlain } from "./plain_tasks.ts";

const LIMIT = 500;
const EVIL = Object.keys(cheat).filter((name) =>
  !["pollutesLater", "reaches", "holdsLock", "locks"].includes(name)
);

/** These return like any other task: only their worker is lost. Deno cannot post without the iterator of arrays. */
const KEEPS = /^(patches(?!Iterator)|pollutesRunnable$|freezes|deletes|pollutesThen$|pollutesMark$|closes)/;

/** Declares the tests. */
export function testCheats(isolation: "thread" | "process" | "cell"): void {
  Deno.test(`a task that cheats (${isolation}) spoils no outcome but its own`, async (test) => {
    const mp = new MultiProcess({ size: 1, spares: 1, isolation, maxRestarts: 100 });
    let pushed = 0;
    using load = new Load();
    try {
      await mp.start();
      for (const name of sample(EVIL)) {
        await test.step(name, async () => {
          let called = 0;
          const count = () => called++;
          load.reset();
          const since = performance.now();
          const callbacks = { callback: count, errorCallback: count };
          const limit = KEEPS.test(name) ? 20_000 : LIMIT;
          const evil = mp.push(new InfoTask(fixture(`cheat.ts#${name}`), limit), callbacks);
          const assertPlain = pushPlain(mp);
          pushed += 11;
          const { ranMs, status } = await evil;
          if (KEEPS.test(name)) assertEquals(status, "ok");
          assert(ranMs <= LIMIT + load.allows(250), `ran ${ranMs} ms`);
          assert(performance.now() - since < 5_000, "in time");
          await assertPlain();
          assertEquals(called, 1);
        });
      }
      const summary = await mp.stop();
      const { ok, failed, timedOut, crashed, cancelled } = summary;
      assertEquals([summary.pushed, ok + failed + timedOut + crashed + cancelled], [pushed, pushed]);
    } finally {
      await mp.terminate();
    }
  });

  Deno.test(`a task (${isolation}) finds neither the port nor the memory of its worker`, async () => {
    const mp = new MultiProcess({ size: 1, isolation });
    try {
      await mp.start();
      assertEquals(await mp.run(new InfoTask(fixture("cheat.ts#reaches"), 10_000)), [true, true]);
    } finally {
      await mp.terminate();
    }
  });
}
