import { assertEquals } from "@std/assert";
import { RemoteClock } from "../src/runtime/remote_clock.ts";

Deno.test("RemoteClock reads a moment by the quickest message so far, never too early", () => {
  // The worker's clock is 500 ms ahead; messages take 8, 2 and 6 ms.
  const clock = new RemoteClock();
  assertEquals(clock.read(1_500, 1_008), 1_008);
  assertEquals(clock.read(1_600, 1_102), 1_102);
  assertEquals(clock.read(1_700, 1_206), 1_202);
  // Behind instead, as after the time of day was set.
  const behind = new RemoteClock();
  assertEquals(behind.read(100, 1_104), 1_104);
  assertEquals(behind.read(200, 1_201), 1_201);
  assertEquals(behind.read(300, 1_309), 1_301);
});
