import { assertEquals } from "@std/assert";
import { Gate, opened, outside } from "../../src/runtime/gate.ts";
import { createLife } from "../../src/runtime/life.ts";

function gate(stopped = false) {
  const words = new Int32Array(createLife());
  let ends = 0;
  const isStopped = () => stopped;
  return { words, gate: new Gate(words, () => ends++, isStopped), ends: () => ends };
}

Deno.test("a thread that makes no call is interrupted at once", async () => {
  const { words, gate: own, ends } = gate();
  own.enter();
  own.leave();
  await outside(words, 1e6);
  assertEquals(ends(), 0);
});

Deno.test("a thread in a call is not interrupted: it ends itself when it comes out, also of a call within", async () => {
  const { words, gate: own, ends } = gate();
  own.enter();
  own.enter();
  const waits = outside(words, 1e6);
  assertEquals(ends(), 0);
  own.leave();
  assertEquals(ends(), 1);
  opened(words);
  await waits;
});

Deno.test("a thread that stays in a call is interrupted all the same", async () => {
  const { words, gate: own, ends } = gate();
  own.enter();
  // What waits here keeps no event loop going.
  const timer = setTimeout(() => {}, 60_000);
  await outside(words, 1);
  clearTimeout(timer);
  assertEquals(ends(), 0);
});

Deno.test("a thread that lost its interrupt before a call ends itself there", async () => {
  const { words, gate: own, ends } = gate();
  await outside(words, 1e6);
  own.enter();
  assertEquals(ends(), 1);
});

Deno.test("a thread that is to end does so at the end of its next call, and is not interrupted there", () => {
  const { gate: own, ends } = gate(true);
  own.enter();
  own.leave();
  assertEquals(ends(), 1);
});
