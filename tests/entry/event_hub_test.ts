import { assert, assertEquals } from "@std/assert";
import { EventHub } from "../../src/entry/event_hub.ts";

Deno.test("EventHub gives events to whoever asks first, also before there are any", async () => {
  const hub = new EventHub(() => {});
  const events = hub.watch();
  const asked = [events.next(), events.next(), events.next()];
  for (const taskId of [1, 2]) hub.emit({ type: "pushed", at: 0, taskId });
  hub.close();
  const ids = (await Promise.all(asked)).map(({ value }) => value && "taskId" in value && value.taskId);
  assertEquals(ids, [1, 2, undefined]);
});

Deno.test("EventHub gives many kept events back in their order, and in no time", async () => {
  const hub = new EventHub(() => {});
  const events = hub.watch();
  const count = 200_000;
  for (let taskId = 0; taskId < count; taskId++) hub.emit({ type: "pushed", at: 0, taskId });
  const since = performance.now();
  for (let i = 0; i < count; i++) {
    const { value } = await events.next();
    if (value.taskId !== i) throw new Error(`${value.taskId} instead of ${i}`);
    if (i === 5) hub.emit({ type: "pushed", at: 0, taskId: count });
  }
  assertEquals((await events.next()).value.taskId, count);
  assert(performance.now() - since < 3_000, `${performance.now() - since} ms`);
});
