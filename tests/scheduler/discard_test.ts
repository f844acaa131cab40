/** Workers that may not read the files of modules that came after them. */
import { assertEquals } from "@std/assert";
import { push, ready, result, results } from "./events.ts";
import { brief, fake, warm } from "./fakes.ts";

/** Processes, each with a task at a time. */
function create(size: number) {
  const { tell } = warm({ size, spares: 0, kind: "process", maxOffered: 1 });
  let now = 0;
  /** A module that is new, and a task of it. */
  const bring = (module: number) => {
    now++;
    return [
      { type: "module", module, file: module, chars: 0 } as const,
      { type: "discard", file: module } as const,
      push(fake(module, { module, pushedAt: now })),
    ].flatMap((event) => brief(tell(event, now)));
  };
  /** Another, of which is to be found out whether the workers may read it. */
  const ask = (module: number) => {
    now++;
    return [
      { type: "module", module, file: module, chars: 0 } as const,
      { type: "asked", file: module } as const,
      push(fake(module, { module, pushedAt: now })),
    ].flatMap((event) => brief(tell(event, now)));
  };
  return { bring, ask, tell: (event: Parameters<typeof tell>[0]) => brief(tell(event, ++now)) };
}

Deno.test("Scheduler replaces workers that may not read the file of a module that is new", () => {
  const { bring, tell } = create(1);
  assertEquals(bring(1), ["close 1 cleanly", "spawn 2"]);
  assertEquals(tell(ready(2)), ["offer 2: 1"]);
  assertEquals(bring(2), []);
  assertEquals(tell(results(2, result(0, 3, 4))), ["finish 1", "close 2 cleanly", "spawn 3"]);
  assertEquals(tell(ready(3)), ["offer 3: 2"]);
  assertEquals(tell(results(3, result(0, 7, 8))), ["finish 2"]);
});

Deno.test("Scheduler begins no task of a new file before it is known whether the workers may read it", () => {
  const { tell, ask } = create(1);
  assertEquals(ask(1), []);
  // Others do not wait for that.
  assertEquals(tell(push(fake(2))), ["offer 1: 2"]);
  assertEquals(tell(results(1, result(0, 2, 3))), ["finish 2"]);
  assertEquals(tell({ type: "readable", file: 1 }), ["offer 1: 1"]);
  assertEquals(tell(results(1, result(1, 4, 5))), ["finish 1"]);
  assertEquals(ask(3), []);
  assertEquals(tell({ type: "discard", file: 3 }), ["close 1 cleanly", "spawn 2"]);
  assertEquals(tell(ready(2)), ["offer 2: 3"]);
});

Deno.test("Scheduler has a worker that was overtaken by a new module run those before it, while it is their turn", () => {
  const { bring, tell } = create(1);
  assertEquals(bring(1), ["close 1 cleanly", "spawn 2"]);
  assertEquals(bring(2), []);
  // It may read the first only.
  assertEquals(tell(ready(2)), ["offer 2: 1"]);
  assertEquals(tell(push(fake(3, { module: 1, pushedAt: 2 }))), []);
  assertEquals(tell(results(2, result(0, 3, 4))), ["finish 1", "close 2 cleanly", "spawn 3"]);
  assertEquals(tell(ready(3)), ["offer 3: 2"]);
  assertEquals(bring(4), []);
  assertEquals(tell(results(3, result(0, 6, 7))), ["finish 2", "offer 3: 3"]);
  assertEquals(tell(results(3, result(1, 7, 8))), ["finish 3", "close 3 cleanly", "spawn 4"]);
  assertEquals(tell(ready(4)), ["offer 4: 4"]);
});

Deno.test("Scheduler runs tasks though new modules come faster than workers start", () => {
  const { bring, tell } = create(2);
  const starting: number[] = [];
  const seqs = new Map<number, number>();
  let finished = 0;
  /** Each task ends as soon as it was handed out. */
  const carryOut = (lines: string[]) => {
    for (const line of lines) {
      const [, what, number] = /^(\w+) (\d+)/.exec(line)!;
      const worker = Number(number);
      if (what === "spawn") starting.push(worker);
      if (what === "finish") finished++;
      if (what !== "offer") continue;
      const seq = seqs.get(worker) ?? 0;
      seqs.set(worker, seq + 1);
      carryOut(tell(results(worker, result(seq, 0, 0))));
    }
  };
  for (let module = 1; module <= 40; module++) {
    carryOut(bring(module));
    // While a worker starts five more come.
    if (module % 5 === 0) { for (const worker of starting.splice(0)) carryOut(tell(ready(worker))); }
  }
  assertEquals(finished >= 30, true, `${finished} of 40`);
});
