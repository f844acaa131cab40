/** What is handed on to child processes of how this program was started. */
import { assertEquals } from "@std/assert";
import { resolve } from "@std/path";
import { handedOn } from "../../src/runtime/program.ts";

const here = (path: string) => resolve(path);

const CASES: [string, string[], string[]][] = [
  ["deno main.ts", [], []],
  ["deno run -A --watch --inspect --check main.ts", [], []],
  ["deno run --config d.json main.ts", [`--config=${here("d.json")}`], []],
  ["deno run -c d.json main.ts", [`--config=${here("d.json")}`], []],
  ["deno run -c=d.json main.ts", [`--config=${here("d.json")}`], []],
  ["deno run --config=/a/d.json --no-lock main.ts", ["--config=/a/d.json", "--no-lock"], []],
  ["deno run --no-config main.ts", ["--no-config"], []],
  ["deno run --import-map https://a.invalid/m.json main.ts", ["--import-map=https://a.invalid/m.json"], []],
  ["deno run --import-map=m.json main.ts", [`--import-map=${here("m.json")}`], []],
  ["deno run --node-modules-dir main.ts", ["--node-modules-dir"], []],
  ["deno run --node-modules-dir=auto main.ts", ["--node-modules-dir=auto"], []],
  ["deno run --lock main.ts", ["--lock"], []],
  ["deno run --lock x.lock main.ts", [`--lock=${here("x.lock")}`], []],
  ["deno run --unstable-kv --unstable main.ts", [], ["--unstable-kv", "--unstable"]],
  ["deno run --location http://a.invalid/ main.ts", [], ["--location=http://a.invalid/"]],
  ["deno run --v8-flags=--a,--b=1 --seed 7 main.ts", [], ["--v8-flags=--a,--b=1", "--seed=7"]],
  ["deno test -A --no-check --conditions=x a_test.ts", [], ["--conditions=x"]],
];

Deno.test("handedOn() finds the flags that decide what a task sees", () => {
  for (const [line, resolution, runtime] of CASES) {
    assertEquals(handedOn(line.split(" ")), { resolution, runtime }, line);
  }
});
