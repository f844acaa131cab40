import { assertEquals } from "@std/assert";
import { isAtLeast } from "../../src/runtime/version.ts";

Deno.test("isAtLeast() compares versions number by number", () => {
  const versions = ["2.6.6", "2.9.3", "2.9.4", "2.9.4+abc", "2.10.0", "3.0.0", "2.9.5-rc.1"];
  assertEquals(versions.filter((version) => isAtLeast([2, 9, 4], version)), versions.slice(2));
  assertEquals(versions.filter((version) => isAtLeast([2, 7], version)), versions.slice(1));
});
