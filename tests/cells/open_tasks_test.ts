/** What a cell was sent, by task: found again when the cell has died. */
import { assertEquals, assertThrows } from "@std/assert";
import type { CellRecord } from "../../src/cells/cell_record.ts";
import { openTask, OpenTasks } from "../../src/cells/open_tasks.ts";
import { Specifiers } from "../../src/cells/specifiers.ts";
import { BatchHead, RecordWriter, TaskRecord } from "../../src/wire/records.ts";

const cell = (): CellRecord => ({}) as CellRecord;

/** A batch of tasks, each with its id as its argument. */
function batch(...ids: number[]): Int32Array {
  const writer = new RecordWriter(BatchHead.words);
  for (const id of ids) {
    TaskRecord.put(writer.words, writer.begin(TaskRecord.header), id, id % 7, 1_000);
    writer.list([id]);
    writer.end();
  }
  BatchHead.put(writer.words, ids.length, 5_000);
  return new Int32Array(writer.take());
}

Deno.test("OpenTasks gives the tasks of one cell, oldest first, and lets go of those that have ended", () => {
  const [first, second] = [cell(), cell()];
  const open = new OpenTasks();
  const sent = (to: CellRecord) => ({ to, words: undefined, data: undefined, pushedAt: 0, dueAt: 0 });
  for (let id = 1; id <= 5_000; id++) open.set(id, sent(id % 3 === 0 ? second : first));
  assertEquals(open.in(second).slice(0, 3), [3, 6, 9]);
  for (let id = 1; id <= 5_000; id++) if (id % 3 !== 0) assertEquals(open.delete(id), true);
  assertEquals([open.hasAny(first), open.hasAny(second)], [false, true]);
  assertEquals(open.delete(1), false);
  // One that was sent again is of the other cell.
  open.set(3, sent(first));
  assertEquals([open.in(first), open.in(second)[0]], [[3], 6]);
  assertEquals(open.get(7_000), undefined);
});

Deno.test("OpenTasks gives those of a cell that it had begun, and not those of which only an earlier run was", () => {
  const [first, second] = [cell(), cell()];
  const open = new OpenTasks();
  const data = (id: number, attempts: number) => ({
    id,
    module: id,
    timeout: 10,
    args: [],
    transfer: [],
    priority: 0,
    softTimeout: undefined,
    retry: undefined,
    origin: { id, attempts },
  });
  const sent = (to: CellRecord, id: number, attempts = 0) => {
    open.set(id, { to, words: undefined, data: data(id, attempts), pushedAt: 0, dueAt: 0 });
  };
  for (const id of [1, 2, 3]) sent(first, id);
  sent(second, 4);
  sent(first, 5, 1);
  sent(first, 6, 1);
  const begun = new Map([[1, 1], [3, 1], [4, 1], [5, 1], [6, 2], [7, 1]].map(
    ([id, attempt]) => [id!, { attempt: attempt!, at: 0 }],
  ));
  assertEquals([...open.begunIn(first, begun)], [1, 3, 6].map((id) => ({ id, module: id })));
});

Deno.test("a specifier is let go once its module is forgotten and no task of it is without outcome", () => {
  const specifiers = new Specifiers();
  const open = new OpenTasks();
  for (let module = 0; module < 200; module++) specifiers.set(module, `file:///${module}`);
  // Of module 5.
  open.set(12, { to: cell(), words: batch(12), data: undefined, pushedAt: 0, dueAt: 0 });
  for (let module = 0; module < 150; module++) specifiers.forget(module, () => open.modules());
  assertEquals([specifiers.get(1), specifiers.get(5), specifiers.get(180)], [
    undefined,
    "file:///5",
    "file:///180",
  ]);
  assertEquals(specifiers.has("file:///5"), true);
});

Deno.test("openTask() takes one task out of the batch that it came in", () => {
  const words = batch(7, 8, 1_000_000_000_000);
  const sent = { to: cell(), words, data: undefined, pushedAt: 5_000, dueAt: 0 };
  for (const id of [7, 8, 1_000_000_000_000]) {
    const { record, module, pushedAt } = openTask(id, sent);
    assertEquals([module, pushedAt], [id % 7, 5_000]);
    assertEquals(new Int32Array(record!), batch(id));
  }
  assertThrows(() => openTask(9, sent));
});

Deno.test("OpenTasks knows when a task may be tried again, and gives those that are in no cell", () => {
  const open = new OpenTasks();
  const retry = {
    maxAttempts: 3,
    minTimeout: 100,
    maxTimeout: 1_000,
    multiplier: 2,
    jitter: 0,
    on: ["failed" as const],
  };
  const facts = {
    module: 1,
    timeout: 10,
    args: [],
    transfer: [],
    priority: 0,
    softTimeout: undefined,
    retry,
  };
  const to = cell();
  open.set(1, { to, words: undefined, data: { ...facts, id: 1 }, pushedAt: 0, dueAt: 0 });
  open.set(2, { to: undefined, words: undefined, data: { ...facts, id: 2 }, pushedAt: 0, dueAt: 0 });
  open.ran(1, 2, 5_000);
  const { data, dueAt } = openTask(1, open.get(1)!);
  assertEquals([data?.origin, dueAt], [{ id: 1, attempts: 2 }, 5_200]);
  assertEquals([open.in(to), open.in(undefined)], [[1], [2]]);
  // It has had its outcome.
  open.ran(3, 1, 5_000);
});
