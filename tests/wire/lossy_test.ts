import { assert, assertThrows } from "@std/assert";
import { runInNewContext } from "node:vm";
import { refuseLossy } from "../../src/wire/lossy.ts";

Deno.test("refuseLossy() finds what is lost however deep it is, and says where", () => {
  const at = new URL("http://localhost/");
  const cases: [unknown, string][] = [
    [{ a: [{ b: at }] }, "x.a[0].b: it is a URL"],
    [new Map<unknown, unknown>([[1, 2], [3, { at }]]), "x.values()[1].at: it is a URL"],
    [new Map([[at, 1]]), "x.keys()[0]: it is a URL"],
    [new Set([1, [at]]), "x.values()[1][0]: it is a URL"],
    [new Error("x", { cause: { at } }), "x.cause.at: it is a URL"],
    [Object.assign([1, , 2], { at }), "x[at]: it is a URL"],
    [Object.assign(new Array(5_000).fill(1), { 4_000: { at } }), "x[4000].at: it is a URL"],
    [Object.assign([], { 4_000_000_000: at }), "x[4000000000]: it is a URL"],
  ];
  for (const [value, message] of cases) {
    assertThrows(() => refuseLossy(value, "x", "thread"), DOMException, message);
  }
});

Deno.test("refuseLossy() refuses objects of the platform that would arrive empty, and takes those of another realm", () => {
  const cases: [object, string][] = [
    [new Event("x"), "Event"],
    [new AbortController(), "AbortController"],
    [new TextEncoder(), "TextEncoder"],
    [[new URLPattern({ pathname: "/" })], "URLPattern"],
    [{ at: { at: { at: new ImageData(1, 1) } } }, "ImageData"],
  ];
  for (const [value, name] of cases) {
    const message = `an instance of ${name}, which would not arrive as one; send what you need of it`;
    assertThrows(() => refuseLossy(value, "x", "thread"), DOMException, message);
  }
  const ours = [
    new Date(),
    /x/g,
    new Map(),
    new Set([new Date()]),
    new Error("x"),
    new DOMException("x"),
    new Blob(),
  ];
  const theirs = runInNewContext("[{ a: [1] }, [2], new Map([[{}, []]]), new Date(), /x/, new Error('x')]");
  for (const value of [...ours, Object(1n), new Float64Array(1), Object.create(null), theirs, ...theirs]) {
    refuseLossy(value, "x", "thread");
  }
});

Deno.test("refuseLossy() looks once at what is shared", () => {
  let shared: unknown = {};
  for (let i = 0; i < 900; i++) shared = { left: shared, right: [shared, shared] };
  refuseLossy(shared, "x", "thread");
  const cycle: unknown[] = [];
  cycle.push(cycle, { cycle });
  refuseLossy(cycle, "x", "thread");
  const since = performance.now();
  refuseLossy(new Array(100_000).fill(new Array(100_000).fill(1)), "x", "thread");
  assert(performance.now() - since < 3_000);
});
