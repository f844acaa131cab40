import { assertEquals } from "@std/assert";
import { mayHaveFiles } from "../../src/runtime/module_graph.ts";

Deno.test("mayHaveFiles() tells modules in whose graph there may be local files", () => {
  for (
    const [specifier, expected] of [
      ["file:///a.ts", true],
      ["https://example.com/a.ts", false],
      ["npm:a@1", false],
      ["data:text/javascript,export default () => 1", false],
      ["data:text/javascript,import%20%22file:///a.ts%22", true],
      ["data:text/javascript,i%6Dport('file:///a.ts')", true],
      ["data:text/javascript,export * from 'file:///a.ts'", true],
      [`data:text/javascript;base64,${btoa("import 'file:///a.ts'")}`, true],
      [`data:text/javascript;base64,${btoa("export default 1")}`, false],
      // What cannot be read is not vouched for.
      ["data:text/javascript,%", true],
      ["data:text/javascript;base64,*", true],
    ] as const
  ) {
    assertEquals(mayHaveFiles(specifier), expected, specifier);
  }
});
