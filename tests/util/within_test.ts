import { assertEquals } from "@std/assert";
import process from "node:process";
import { within } from "../../src/util/within.ts";

Deno.test("within() waits for nothing, and warns of nothing, where the time is over already", async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error) => void warnings.push(name);
  process.on("warning", note);
  try {
    await within(new Promise(() => {}), -5);
    // They are told later.
    await new Promise((resolve) => setTimeout(resolve));
  } finally {
    process.off("warning", note);
  }
  assertEquals(warnings, []);
});

Deno.test("within() waits for the promise if that comes first, and passes on why it was rejected", async () => {
  await within(Promise.resolve(), Infinity);
  await within(undefined, Infinity);
  const reason = new Error("no");
  assertEquals(await within(Promise.reject(reason), 60_000).catch((error) => error), reason);
});
