import { assertEquals } from "@std/assert";
import { RemoteClock } from "../src/runtime/remote_clock.ts";

Deno.test("RemoteClock believes a clock that agrees with ours, however long its messages take", () => {
  const clock = new RemoteClock();
  assertEquals(clock.read(1_050, 1_000, 1_058), 1_050);
  assertEquals(clock.read(1_100, 1_099, 1_102), 1_100);
  assertEquals(clock.read(1_200, 1_200, 1_240), 1_200);
});

Deno.test("RemoteClock reads one that disagrees by the quickest message so far, never too early", () => {
  // The worker's clock is 500 ms ahead; messages take 8, 2 and 6 ms.
  const ahead = new RemoteClock();
  assertEquals(ahead.read(1_500, 900, 1_008), 1_008);
  assertEquals(ahead.read(1_600, 1_090, 1_102), 1_102);
  assertEquals(ahead.read(1_700, 1_195, 1_206), 1_202);
  // Behind instead, as after the time of day was set.
  const behind = new RemoteClock();
  assertEquals(behind.read(100, 1_000, 1_104), 1_104);
  assertEquals(behind.read(200, 1_199, 1_201), 1_201);
  assertEquals(behind.read(300, 1_299, 1_309), 1_301);
});

Deno.test("RemoteClock never believes again a clock that was found to disagree", () => {
  const clock = new RemoteClock();
  assertEquals(clock.read(1_000, 900, 1_100), 1_000);
  assertEquals(clock.read(1_150, 1_190, 1_200), 1_200);
  assertEquals(clock.read(1_250, 1_200, 1_310), 1_300);
});
