import { assertEquals, assertThrows } from "@std/assert";
import { InfoTask } from "../mod.ts";

type ErrorClass = new (message?: string) => Error;

Deno.test("new InfoTask() refuses impossible limits, naming them", () => {
  const cases: [unknown, ErrorClass][] = [
    [0, RangeError],
    [-1, RangeError],
    [NaN, RangeError],
    [2 ** 31, RangeError],
    [-Infinity, RangeError],
    ["50", TypeError],
    [undefined, TypeError],
    [50n, TypeError],
  ];
  for (const [timeout, Class] of cases) {
    assertThrows(() => new InfoTask("file:///x.ts", timeout as number), Class, "time limit");
  }
  for (const timeout of [0.5, 1, 2 ** 31 - 1, Infinity]) {
    assertEquals(new InfoTask("file:///x.ts", timeout).timeout, timeout);
  }
});

Deno.test("new InfoTask() refuses what is not an absolute URL or a path, and says what to do", () => {
  for (const specifier of ["", "lodash", "demo.ts", "@cm/multiprocess", "http://", "//host/x.ts:"]) {
    if (specifier.startsWith("//")) continue;
    assertThrows(() => new InfoTask(specifier, 1), TypeError, "import.meta.resolve");
  }
  assertThrows(() => new InfoTask("ftp://host/x.ts", 1), TypeError, 'the scheme "ftp:"');
  assertThrows(() => new InfoTask("demo.ts", 1), TypeError, 'import.meta.resolve("./demo.ts")');
  assertThrows(() => new InfoTask("lodash#add", 1), TypeError, 'import.meta.resolve("lodash#add")');
  assertThrows(() => new InfoTask("@a/b", 1), TypeError, 'import.meta.resolve("@a/b")');
  for (const specifier of ["./simple.ts#100%", "file:///x.ts#%E0", new URL("https://host/x.ts#%")]) {
    assertThrows(() => new InfoTask(specifier, 1), TypeError, "malformed fragment");
  }
  for (const specifier of [undefined, null, 7, {}]) {
    assertThrows(() => new InfoTask(specifier as never, 1), TypeError, "must be a string or a URL");
  }
  assertThrows(
    () => new InfoTask((() => 1) as never, 1),
    TypeError,
    "a function; InfoTask.inline() makes a task of one",
  );
});

Deno.test("new InfoTask() resolves URLs and paths, with their fragments", () => {
  assertEquals(new InfoTask(new URL("file:///a/b.ts#C"), 1).specifier, "file:///a/b.ts#C");
  assertEquals(new InfoTask("/a/../b.ts#C", 1).specifier, "file:///b.ts#C");
  const cwd = new URL(`file://${Deno.cwd()}/`).href;
  assertEquals(new InfoTask("./a b.ts", 1).specifier, `${cwd}a%20b.ts`);
  // What a folder is called is no fragment.
  assertEquals(new InfoTask("/a #1/50%/b.ts#C", 1).specifier, "file:///a%20%231/50%25/b.ts#C");
  assertEquals(new InfoTask("./#1/b.ts", 1).specifier, `${cwd}%231/b.ts`);
  for (const specifier of ["https://host/x.ts", "npm:lodash@4", "jsr:@std/path", "data:text/javascript,1"]) {
    assertEquals(new InfoTask(specifier, 1).specifier, specifier);
  }
});
