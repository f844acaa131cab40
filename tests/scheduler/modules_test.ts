import { assert, assertEquals } from "@std/assert";
import { push, result, results } from "./events.ts";
import { brief, fake, type FakeCommand, warm } from "./fakes.ts";

/** What the workers are told of modules. */
function told(commands: FakeCommand[]): string[] {
  return commands.flatMap((command) =>
    command.type === "offer"
      ? command.modules.map((module) => `${command.worker} knows ${module}`)
      : command.type === "forget"
      ? [`${command.worker} forgets ${command.module}`]
      : []
  );
}

Deno.test("Scheduler tells a worker the modules that it runs, once, and has it forget those that are no more", () => {
  const { tell } = warm({ size: 2, spares: 0 });
  assertEquals(told(tell(push(fake(1, { module: 5 })), 0)), ["1 knows 5"]);
  assertEquals(told(tell(push(fake(2, { module: 6 })), 0)), ["2 knows 6"]);
  tell(results(1, result(0, 0, 1)), 1);
  assertEquals(told(tell(push(fake(3, { module: 5 })), 1)), []);
  assertEquals(told(tell({ type: "forget-module", module: 6 }, 1)), ["2 forgets 6"]);
  tell(results(1, result(1, 1, 2)), 2);
  assertEquals(told(tell({ type: "forget-module", module: 5 }, 2)), ["1 forgets 5"]);
  assertEquals(told(tell({ type: "forget-module", module: 7 }, 2)), []);
});

Deno.test("Scheduler knows no more of a module that is no more", () => {
  const { scheduler, tell } = warm();
  tell(push(fake(1, { module: 5 })), 0);
  tell(results(1, { ...result(0, 0, 1), callbacks: 3 }), 1);
  assertEquals(scheduler.callbacks(5), 3);
  tell({ type: "forget-module", module: 5 }, 1);
  assertEquals(scheduler.callbacks(5), undefined);
});

Deno.test("Scheduler replaces a worker that keeps too much code, without a gap", () => {
  const { tell } = warm();
  let seq = 0;
  let id = 0;
  for (;;) {
    tell({ type: "module", module: ++id, file: id, chars: 20_000 }, id);
    const [offer] = brief(tell(push(fake(id, { module: id })), id));
    if (offer !== `offer 1: ${id}`) throw new Error(offer);
    const commands = brief(tell(results(1, result(seq++, id, id)), id));
    if (commands.length === 1) continue;
    assertEquals(commands, [`finish ${id}`, "close 1 cleanly", "spawn 3"]);
    break;
  }
  assert(id >= 50 && id <= 200, `after ${id}`);
});
