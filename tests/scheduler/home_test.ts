/** A worker whose globals a module has changed while it was loaded: it runs the tasks of that file only. */
import { assertEquals } from "@std/assert";
import { push, ready, result } from "./events.ts";
import { brief, fake, warm } from "./fakes.ts";

const results = (worker: number, ...seqs: number[]) => {
  return { type: "results", worker, results: seqs.map((seq) => result(seq, 0, 1)) } as const;
};

Deno.test("Scheduler takes back what a worker holds of other files when it has found its home", () => {
  const { tell } = warm();
  // Both modules are known to be quick, so that their tasks are handed out together.
  assertEquals(brief(tell(push(fake(1)), 0)), ["offer 1: 1"]);
  tell(results(1, 0), 1);
  assertEquals(brief(tell(push(fake(2, { module: 1 })), 1)), ["offer 1: 2"]);
  tell(results(1, 1), 2);
  assertEquals(brief(tell(push(fake(3)), 3)), ["offer 1: 3"]);
  assertEquals(brief(tell(push(fake(4, { module: 1 })), 3)), ["offer 1: 4"]);
  const commands = tell({ type: "home", worker: 1, module: 0 }, 4);
  assertEquals(brief(commands), ["take-back 1: 3"]);
  assertEquals(brief(tell({ type: "taken-back", worker: 1, seqs: [3] }, 4)), []);
  // Beyond the size of the pool there is no place for it before that.
  assertEquals(brief(tell(results(1, 2), 5)), ["finish 3", "offer 2: 4"]);
});

Deno.test("Scheduler gives a worker that has a home the tasks of its file, and the others to others", () => {
  const { tell } = warm();
  tell({ type: "module", module: 7, file: 3, chars: 0 }, 0);
  assertEquals(brief(tell(push(fake(1, { module: 3 })), 0)), ["offer 1: 1"]);
  tell({ type: "home", worker: 1, module: 3 }, 1);
  assertEquals(brief(tell(results(1, 0), 2)), ["finish 1"]);
  assertEquals(brief(tell(push(fake(2, { module: 1 })), 3)), ["offer 2: 2"]);
  assertEquals(brief(tell(results(2, 0), 4)), ["finish 2"]);
  // Though the other was busy last.
  assertEquals(brief(tell(push(fake(3, { module: 7 })), 5)), ["offer 1: 3"]);
});

Deno.test("Scheduler lets the worker go that was idle longest when none may run what waits", () => {
  const { tell } = warm();
  for (const [id, worker] of [[1, 1], [2, 2]] as const) {
    assertEquals(brief(tell(push(fake(id, { module: id })), 10 * id)), [`offer ${worker}: ${id}`]);
    tell({ type: "home", worker, module: id }, 10 * id);
    assertEquals(brief(tell(results(worker, 0), 10 * id + 1)), [`finish ${id}`]);
  }
  assertEquals(brief(tell(push(fake(3, { module: 3 })), 30)), ["close 1 cleanly", "spawn 3"]);
  // One is enough for the only place, and it is on its way.
  assertEquals(brief(tell(push(fake(4, { module: 4 })), 31)), []);
  assertEquals(brief(tell({ type: "tick" }, 31)), []);
  assertEquals(
    brief(tell({ type: "gone", worker: 1, death: GONE, results: [], running: undefined, unclaimed: [] }, 32)),
    [],
  );
  assertEquals(brief(tell(ready(3), 40)), ["offer 3: 3"]);
});

Deno.test("Scheduler keeps its workers where a task waits for something else than one that may run it", () => {
  const { tell } = warm({ spares: 0 });
  assertEquals(brief(tell(push(fake(1)), 0)), ["offer 1: 1"]);
  tell({ type: "home", worker: 1, module: 0 }, 1);
  // For the only place.
  assertEquals(brief(tell(push(fake(2, { module: 1 })), 2)), []);
  assertEquals(brief(tell(results(1, 0), 3)), ["finish 1", "close 1 cleanly", "spawn 2"]);
  assertEquals(brief(tell(ready(2), 9)), ["offer 2: 2"]);
});

const GONE = { reason: "exit", exitCode: 0, message: "closed" } as const;
