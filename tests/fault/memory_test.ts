import { assertEquals } from "@std/assert";
import { InfoTask, MultiProcess } from "../../mod.ts";
import { fixture } from "../helpers.ts";
import { testMemory } from "./memory.ts";

testMemory("thread");
testMemory("process");

Deno.test("a task that fills its heap with garbage again and again lives, whoever looks", async () => {
  const mp = new MultiProcess({ size: 1, isolation: "thread", memoryLimit: 64 });
  try {
    await mp.start();
    const task = mp.push(new InfoTask(fixture("memory.ts#garbage"), 60_000));
    let over = false;
    void task.then(() => over = true);
    while (!over) await mp.stats();
    assertEquals((await task).status, "ok");
  } finally {
    await mp.terminate();
  }
});
