import { assert, assertEquals } from "@std/assert";
import { Worker } from "node:worker_threads";
import { SharedSeat } from "../../src/runtime/shared.ts";
import { fixture, random, seed } from "../helpers.ts";

Deno.test("a million claims against take-backs in two threads: no task twice, none lost", async () => {
  const COUNT = 1_000_000;
  const next = random(seed());
  const seat = new SharedSeat();
  const owners = new SharedArrayBuffer(4 * (COUNT + 2));
  const owned = new Int32Array(owners);
  const offered = new Int32Array(owners, 4 * COUNT, 1);
  const reached = new Int32Array(owners, 4 * COUNT + 4, 1);
  const worker = new Worker(new URL(fixture("claimer.ts")), { workerData: { memory: seat.memory, owners } });
  const done = new Promise<number>((resolve) => worker.once("message", resolve));
  worker.postMessage(COUNT);
  let taken = 0;
  for (let seq = 0; seq < COUNT; seq++) {
    // Close on the worker's heels, so that both often reach for the same task.
    while (seq - Atomics.load(reached, 0) > 16);
    seat.offer(seq);
    Atomics.store(offered, 0, seq + 1);
    if (next() < 0.5) continue;
    const wanted = Math.max(0, seq - Math.trunc(next() * 16));
    if (!seat.takeBack(wanted)) continue;
    taken++;
    Atomics.add(owned, wanted, 1);
  }
  const claimed = await done;
  await worker.terminate();
  assertEquals(claimed + taken, COUNT);
  assert(owned.subarray(0, COUNT).every((count) => count === 1));
  assert(claimed > 1_000 && taken > 1_000, `claimed ${claimed}, taken back ${taken}`);
});
