import { assert, assertEquals } from "@std/assert";
import { now } from "../../src/wire/now.ts";
import { createLink } from "../../src/runtime/link.ts";
import { RemoteClock } from "../../src/runtime/remote_clock.ts";
import { SharedSeat } from "../../src/runtime/shared.ts";

/** A message that tells of a moment. */
function read(clock: RemoteClock, at: number, earliest: number, now: number): number {
  clock.note(earliest, at, at, now);
  return at + clock.shift;
}

Deno.test("RemoteClock believes a clock that agrees with ours, however long its messages take", () => {
  const clock = new RemoteClock();
  assertEquals(read(clock, 1_050, 1_000, 1_058), 1_050);
  assertEquals(read(clock, 1_100, 1_099, 1_102), 1_100);
  assertEquals(read(clock, 1_200, 1_200, 1_240), 1_200);
});

Deno.test("RemoteClock reads one that disagrees by the quickest message so far, never too early", () => {
  // The worker's clock is 500 ms ahead; messages take 8, 2 and 6 ms.
  const ahead = new RemoteClock();
  assertEquals(read(ahead, 1_500, 900, 1_008), 1_008);
  assertEquals(read(ahead, 1_600, 1_090, 1_102), 1_102);
  assertEquals(read(ahead, 1_700, 1_195, 1_206), 1_202);
  // Behind instead, as after the time of day was set.
  const behind = new RemoteClock();
  assertEquals(read(behind, 100, 1_000, 1_104), 1_104);
  assertEquals(read(behind, 200, 1_199, 1_201), 1_201);
  assertEquals(read(behind, 300, 1_299, 1_309), 1_301);
});

Deno.test("RemoteClock never believes again a clock that was found to disagree", () => {
  const clock = new RemoteClock();
  assertEquals(read(clock, 1_000, 900, 1_100), 1_000);
  assertEquals(read(clock, 1_150, 1_190, 1_200), 1_200);
  assertEquals(read(clock, 1_250, 1_200, 1_310), 1_300);
});

Deno.test("a thread's times are read by the clock here, also where the machine's clock was set before its start", () => {
  for (const ahead of [0, -2_000, 2_000]) {
    const { link, port } = createLink("thread", { message: () => {}, gone: () => {} });
    try {
      const worker = new SharedSeat(link.memory);
      const before = now();
      link.offer(0, before);
      worker.claim(0, false, 0, now() + ahead);
      const { since } = link.look(0)!;
      assert(
        since >= before && since <= now(),
        `${ahead} ms ahead: began ${since - before} ms after its offer`,
      );
    } finally {
      port.close();
      link.end();
    }
  }
});
