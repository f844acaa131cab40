import { assertEquals } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { PendingTable } from "../../src/entry/pending.ts";
import { OutcomeRecord, RunRecord, TaskRecord } from "../../src/wire/records.ts";

const task = new InfoTask("data:text/javascript,", 1_000);

/** Numbers of tasks that a long-running pool comes to: nothing may be done to them that cuts them to 32 bits. */
const IDS = [
  1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 40 + 7,
  Number.MAX_SAFE_INTEGER,
];

Deno.test("PendingTable gives each task back once, whatever its number", () => {
  const table = new PendingTable();
  const settled: unknown[] = [];
  for (const id of IDS) table.set(id, task, undefined, (value) => settled.push([id, value]), true);
  assertEquals([table.size, table.ids()], [IDS.length, IDS]);
  for (const id of IDS) table.take(id)!.fulfil(-id);
  assertEquals(settled, IDS.map((id) => [id, -id]));
  assertEquals([table.size, table.ids(), IDS.filter((id) => table.take(id))], [0, [], []]);
});

Deno.test("PendingTable keeps nothing of tasks that are settled, one after the other or in any order", () => {
  const table = new PendingTable();
  const set = (id: number) => table.set(id, task, undefined, () => {}, true);
  for (let id = 1; id <= 5_000; id++) {
    set(id);
    table.take(id);
  }
  for (let id = 5_001; id <= 10_000; id++) set(id);
  for (let id = 10_000; id > 5_000; id--) assertEquals(table.take(id)?.task, task);
  set(10_001);
  assertEquals(table.ids(), [10_001]);
});

Deno.test("records hold the numbers of tasks whole", () => {
  const words = new Int32Array(16);
  for (const id of [...IDS, -1]) {
    TaskRecord.put(words, 0, id, 7, 1.5);
    assertEquals(
      [TaskRecord.id(words, 0), TaskRecord.module(words, 0), TaskRecord.timeout(words, 0)],
      [id, 7, 1.5],
    );
    RunRecord.put(words, 0, 3, id, 2, 7, 1);
    assertEquals([RunRecord.seq(words, 0), RunRecord.id(words, 0)], [3, id]);
    OutcomeRecord.put(words, 0, id, 4, 1, 0, 2.5, 3.5);
    assertEquals([OutcomeRecord.id(words, 0), OutcomeRecord.worker(words, 0)], [id, 4]);
  }
});
