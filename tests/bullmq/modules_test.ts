import { assertEquals, assertThrows } from "@std/assert";
import { InfoTask } from "../../mod.ts";
import { Modules } from "../../src/bullmq/modules.ts";
import { HOSTILE } from "./hostile.ts";

const ROOT = "file:///app/tasks/";
const modules = new Modules(ROOT, ["https://example.com/lib/", "jsr:@a/b@1/", "npm:left-pad@1.3.0"]);

const GOOD: [specifier: string, name: string][] = [
  [`${ROOT}hash.ts`, "hash.ts"],
  [`${ROOT}images/re-size_2@x.ts#Resize`, "images/re-size_2@x.ts#Resize"],
  ["https://example.com/lib/a/b.ts", "https://example.com/lib/a/b.ts"],
  ["jsr:@a/b@1/c", "jsr:@a/b@1/c"],
  ["npm:left-pad@1.3.0#pad", "npm:left-pad@1.3.0#pad"],
];

Deno.test("Modules names what is below its root or listed, and finds it again", () => {
  for (const [specifier, name] of GOOD) {
    assertEquals(modules.nameOf(specifier), name);
    assertEquals(modules.urlOf(name), specifier);
  }
});

Deno.test("Modules finds no module by a name that leads elsewhere", () => {
  for (const name of HOSTILE) assertThrows(() => modules.urlOf(name), TypeError, undefined, name);
});

Deno.test("Modules does not name what no machine would run", () => {
  for (
    const specifier of [
      "file:///app/secret.ts",
      "file:///app/tasks",
      `${ROOT}my%20task.ts`,
      `${ROOT}.hidden.ts`,
      `${ROOT}a.ts?v=2`,
      "data:text/javascript,1",
      "https://example.com/lib",
      "https://example.com/lib2/a.ts",
      "https://example.com/lib/..%2fa.ts",
      "npm:left-pad@1.3.1",
    ]
  ) assertThrows(() => modules.nameOf(specifier), TypeError, undefined, specifier);
  const { specifier } = InfoTask.inline(
    function square(n: number) {
      return n * n;
    },
    1,
    1,
  );
  assertThrows(
    () => modules.nameOf(specifier),
    TypeError,
    `No machine can run the inline function "square": put it into a module below ${ROOT}`,
  );
});
