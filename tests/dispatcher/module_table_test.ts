import { assertEquals } from "@std/assert";
import { ModuleTable } from "../../src/dispatcher/module_table.ts";

Deno.test("ModuleTable forgets a module when the entry has and all its tasks have ended, in either order", () => {
  const table = new ModuleTable();
  table.add(0, "file:///a.ts");
  assertEquals([table.ended(0), table.close(0, 3), table.ended(0), table.ended(0)], [
    false,
    false,
    false,
    true,
  ]);
  assertEquals(table.specifier(0), undefined);
  table.add(1, "file:///a.ts");
  assertEquals([table.ended(1), table.close(1, 1)], [false, true]);
  table.add(2, "file:///a.ts");
  assertEquals(table.close(2, 0), true);
  assertEquals([...table.specifiers()], []);
});

Deno.test("ModuleTable knows which modules are of one file, as long as there is one", () => {
  const table = new ModuleTable();
  assertEquals(table.add(0, "file:///a.ts#one"), 0);
  assertEquals(table.add(1, "file:///a.ts#two"), 0);
  assertEquals(table.add(2, "file:///b.ts"), 2);
  assertEquals(table.close(0, 0), true);
  assertEquals(table.add(3, "file:///a.ts#one"), 0);
  assertEquals([table.close(1, 0), table.close(3, 0)], [true, true]);
  assertEquals(table.add(4, "file:///a.ts#one"), 4);
  assertEquals(table.get(4), {
    module: 4,
    specifier: "file:///a.ts#one",
    url: "file:///a.ts",
    exported: "one",
  });
});

Deno.test("ModuleTable gives a module of each file to load ahead, but for those that are unfit, and none of many", () => {
  const table = new ModuleTable();
  const ahead = (mayBe = (_: number) => true) => table.ahead(mayBe).map(({ module }) => module);
  for (const [i, specifier] of ["file:///a.ts#a", "file:///a.ts#b", "file:///b.ts"].entries()) {
    table.add(i, specifier);
  }
  assertEquals(ahead(), [0, 2]);
  assertEquals(ahead((module) => module > 0), [1, 2]);
  table.spoil(1);
  // It was forgotten, or never there.
  table.spoil(9);
  assertEquals(ahead(), [2]);
  for (const i of [3, 4, 5]) table.add(i, `file:///${i}.ts`);
  assertEquals(ahead(), []);
});
