import { assert, assertEquals } from "@std/assert";
import { RING_WORDS, SharedSeat, SLOTS } from "../../src/runtime/shared.ts";
import { random, seed } from "../helpers.ts";

Deno.test("SharedSeat gives a task to the worker or back to the dispatcher, never both", () => {
  const seat = new SharedSeat();
  seat.offer(7);
  assertEquals(seat.look(7), undefined);
  assert(seat.claim(7, true, 0, 1.5));
  assertEquals(seat.takeBack(7), false);
  assertEquals(seat.look(7), { seq: 7, since: 1.5, loading: true, callbacks: undefined });
  seat.run(7, 3, 2.5);
  assertEquals(seat.look(7), { seq: 7, since: 2.5, loading: false, callbacks: 3 });
  seat.offer(8);
  assert(seat.takeBack(8));
  assertEquals(seat.claim(8, false, 0, 3), false);
  assertEquals(seat.takeBack(8), false);
  // The slot of 7, used again.
  seat.offer(7 + SLOTS);
  assertEquals(seat.look(7), undefined);
  assertEquals(seat.claim(7, false, 0, 4), false);
  assert(seat.claim(7 + SLOTS, false, 0, 4));
});

Deno.test("SharedSeat keeps results in order through a ring that wraps, and refuses what does not fit", () => {
  const writer = new SharedSeat();
  const reader = new SharedSeat(writer.memory);
  const next = random(seed());
  const into = new Int32Array(RING_WORDS);
  let written = 0;
  let read = 0;
  let refused = 0;
  const readAll = () => {
    const end = reader.read(into);
    for (let at = 0; at < end; at += into[at]!) {
      assert(into.subarray(at + 1, at + into[at]!).every((word) => word === read));
      read++;
    }
  };
  for (let round = 0; round < 20_000; round++) {
    const length = 1 + Math.trunc(next() * 500);
    const record = new Int32Array(length).fill(written);
    record[0] = length;
    if (writer.write(record, length)) written++;
    else refused++;
    if (next() < 0.02) readAll();
  }
  readAll();
  assertEquals(read, written);
  assert(written > 1_000 && refused > 100, `written ${written}, refused ${refused}`);
  const huge = new Int32Array(RING_WORDS + 1);
  assertEquals(writer.write(huge, huge.length), false);
});
