/** Tasks that do no harm, beside others that do. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, type MultiProcess, type TaskContext } from "../../mod.ts";
import { fixture, Load } from "../helpers.ts";

/** An ordinary task of the fixtures. */
export const plain = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);

/**
 * Pushes ordinary tasks of every kind; what comes back asserts that each ended as it should.
 *
 * @param hangs Whether there is one that hangs, which costs its worker.
 */
export function pushPlain(mp: MultiProcess, hangs = true): () => Promise<void> {
  const object = { value: 1, then: "no", nested: [{ type: "x", error: null, length: 3 }], seq: -1 };
  const map = new Map([["a", [1, 2]]]);
  const sum = mp.push(plain("add", 20_000, 20, 22));
  const small = mp.push(plain("echo", 20_000, object));
  const large = mp.push(plain("echo", 20_000, map));
  const later = mp.push(plain("sleep", 20_000, 3, object));
  const yielding = mp.push(plain("yieldTo", 20_000, 3));
  const knowing = mp.push(plain("context", 20_000));
  const lossy = mp.push(plain("give", 20_000, "url"));
  const failing = mp.push(plain("fail", 20_000, "as asked"));
  const hanging = hangs ? mp.push(plain("spin", 100)) : undefined;
  const last = mp.push(plain("add", 20_000, 1, 2));
  const load = hangs ? new Load() : undefined;
  return async () => {
    using busy = load;
    const values: unknown[] = [];
    for (const outcome of await Promise.all([sum, small, large, later, yielding, last])) {
      assert(outcome.status === "ok", outcome.status === "ok" ? "" : outcome.error.message);
      values.push(outcome.value);
    }
    assertEquals(values, [42, object, map, object, "all", 3]);
    const { value: known } = await knowing as { value: TaskContext["signal"] };
    assertEquals(known.aborted, false);
    const refused = await lossy;
    assert(refused.status === "failed");
    assertEquals(refused.error.name, "DataCloneError", refused.error.message);
    const failed = await failing;
    assert(failed.status === "failed");
    assertEquals([failed.error.constructor, failed.error.message], [TypeError, "as asked"]);
    assert(failed.error.stack?.includes("tasks.ts"), failed.error.stack);
    const hung = await hanging;
    if (hung === undefined || busy === undefined) return;
    assertEquals(hung.status, "timed-out");
    assert(hung.ranMs >= 99 && hung.ranMs < 100 + busy.allows(250), `ran ${hung.ranMs} ms`);
  };
}
