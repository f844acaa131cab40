import { assert, assertEquals } from "@std/assert";
import { ModuleNumbers } from "../../src/entry/module_numbers.ts";

function create() {
  const told: string[] = [];
  const numbers = new ModuleNumbers({
    named: (module, specifier) => told.push(`${module} is ${specifier.slice(0, 1)}`),
    forgotten: (module, sent) => told.push(`${module} is forgotten after ${sent}`),
  });
  return { numbers, told };
}

Deno.test("ModuleNumbers tells of a module once, and gives it the same number again", () => {
  const { numbers, told } = create();
  assertEquals(["a", "b", "a", "a", "b"].map((each) => numbers.get(each).number), [0, 1, 0, 0, 1]);
  assertEquals(told, ["0 is a", "1 is b"]);
});

Deno.test("ModuleNumbers forgets long specifiers that were not used for longest, and gives them other numbers later", () => {
  const { numbers, told } = create();
  const long = (letter: string) => letter.repeat(300_000);
  for (const letter of ["a", "b", "c", "a"]) numbers.get(long(letter)).sent++;
  assertEquals(told.splice(0), ["0 is a", "1 is b", "2 is c"]);
  assertEquals(numbers.get(long("d")).number, 3);
  assertEquals(told.splice(0), ["3 is d", "1 is forgotten after 1"]);
  assertEquals(numbers.get(long("a")), { number: 0, sent: 2 });
  assertEquals(numbers.get(long("b")).number, 4);
  assertEquals(told.splice(0), ["4 is b", "2 is forgotten after 1"]);
});

Deno.test("ModuleNumbers keeps a specifier that is longer than all it remembers, while it is the last", () => {
  const { numbers, told } = create();
  assertEquals(numbers.get("a".repeat(2 << 20)).number, 0);
  assertEquals(told.splice(0), ["0 is a"]);
  numbers.get("b");
  assertEquals(told.splice(0), ["1 is b", "0 is forgotten after 0"]);
});

Deno.test("ModuleNumbers remembers some thousand files", () => {
  const { numbers, told } = create();
  for (let i = 0; i < 5_000; i++) numbers.get(`file:///home/somebody/a/program/of/some/length/task_${i}.ts`);
  assert(!told.some((line) => line.includes("forgotten")));
  for (let i = 5_000; i < 20_000; i++) {
    numbers.get(`file:///home/somebody/a/program/of/some/length/task_${i}.ts`);
  }
  assert(told.some((line) => line.includes("forgotten")));
});
