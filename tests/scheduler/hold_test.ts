import { assertEquals } from "@std/assert";
import { push, result, results } from "./events.ts";
import { brief, fake, warm } from "./fakes.ts";

Deno.test("Scheduler hands nothing out while it is held, and all that waits afterwards", () => {
  const { tell } = warm({ size: 1, spares: 0 });
  assertEquals(brief(tell(push(fake(1)), 0)), ["offer 1: 1"]);
  assertEquals(brief(tell({ type: "hold", on: true }, 1)), []);
  assertEquals(brief(tell(push(fake(2)), 1)), []);
  assertEquals(brief(tell(results(1, result(0, 1, 2)), 2)), ["finish 1"]);
  assertEquals(brief(tell({ type: "hold", on: false }, 3)), ["offer 1: 2"]);
});
