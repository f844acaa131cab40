import { assertEquals } from "@std/assert";
import { type Queued, TaskQueue } from "../../src/scheduler/queue.ts";

interface Item extends Queued {
  cancelled: Queued["cancelled"];
  crashed: boolean;
}

const item = (id: number, priority = 0, pushedAt = 0): Item => ({
  id,
  priority,
  pushedAt,
  cancelled: "no",
  crashed: false,
});

function drain(queue: TaskQueue<Item>): number[] {
  const ids: number[] = [];
  for (let task = queue.shift(); task !== undefined; task = queue.shift()) ids.push(task.id);
  return ids;
}

function batch(...items: Item[]) {
  return {
    get left() {
      return items.length;
    },
    shift: () => items.shift()!,
  };
}

Deno.test("TaskQueue is first in, first out without priorities", () => {
  const queue = new TaskQueue<Item>();
  queue.push(item(1));
  queue.pushBatch(batch(item(2), item(3)));
  queue.push(item(4));
  assertEquals(queue.size, 4);
  assertEquals(drain(queue), [1, 2, 3, 4]);
  assertEquals(queue.size, 0);
});

Deno.test("TaskQueue gives higher priorities first, first in first out among equals", () => {
  const queue = new TaskQueue<Item>();
  queue.push(item(1, 0));
  queue.push(item(2, 5));
  queue.push(item(3, -1));
  queue.push(item(4, 5));
  queue.push(item(5, 0));
  assertEquals(drain(queue), [2, 4, 1, 5, 3]);
});

Deno.test("TaskQueue lets a waiting task gain one level a second", () => {
  const queue = new TaskQueue<Item>();
  queue.push(item(1, 0, 0));
  queue.push(item(2, 2, 1_900));
  queue.push(item(3, 2, 2_100));
  queue.push(item(4, 0, 2_100));
  assertEquals(drain(queue), [2, 1, 3, 4]);
});

Deno.test("TaskQueue.pushBack() puts tasks back in the order of their push", () => {
  const queue = new TaskQueue<Item>();
  queue.pushBatch(batch(item(1), item(2), item(3), item(4)));
  const [first, second] = [queue.shift()!, queue.shift()!];
  for (const task of [first, second]) queue.pushBack(task);
  assertEquals(queue.peek()?.id, 1);
  assertEquals(drain(queue), [1, 2, 3, 4]);
});

Deno.test("TaskQueue drops cancelled tasks wherever they wait", () => {
  const queue = new TaskQueue<Item>();
  const items = [item(1), item(2, 3), item(3), item(4), item(5, 3)];
  for (const each of items) queue.push(each);
  for (const each of [items[1]!, items[2]!]) {
    each.cancelled = "yes";
    queue.forget();
  }
  assertEquals(queue.size, 3);
  assertEquals(drain(queue), [5, 1, 4]);
});

Deno.test("TaskQueue keeps its order through many pushes and shifts", () => {
  const queue = new TaskQueue<Item>();
  let pushed = 0;
  let next = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 50; i++) queue.push(item(pushed++));
    for (let i = 0; i < (round < 100 ? 10 : 90); i++) {
      const task = queue.shift();
      if (task !== undefined) assertEquals(task.id, next++);
    }
  }
  assertEquals(drain(queue).length + next, pushed);
});

Deno.test("TaskQueue lets go of cancelled tasks long before their turn comes", () => {
  const queue = new TaskQueue<Item>();
  queue.push(item(0, 9));
  queue.push(item(1));
  let asked = 0;
  for (let id = 2; id < 100_000; id++) {
    let cancelled: Queued["cancelled"] = "no";
    queue.push({
      ...item(id, id % 3 - 1),
      get cancelled() {
        asked++;
        return cancelled;
      },
    });
    cancelled = "yes";
    queue.forget();
  }
  assertEquals(queue.size, 2);
  const before = asked;
  assertEquals(drain(queue), [0, 1]);
  assertEquals(asked - before < 10, true, "it held on to them");
});
