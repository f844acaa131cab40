import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

/** Whether `script` of util-linux is there, which gives a command a terminal. */
async function hasScript(): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("script", {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "on a terminal, a pool of threads asks for no other permission than to read",
  ignore: Deno.build.os !== "linux" || !await hasScript(),
  async fn() {
    const end = fromFileUrl(new URL("./fixtures/end.ts", import.meta.url));
    const command = `'${Deno.execPath()}' run --allow-read '${end}' quiet thread`;
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", command, "/dev/null"],
      stdin: "null",
      stdout: "piped",
      env: { NO_COLOR: "1" },
      // Nobody would answer.
      signal: AbortSignal.timeout(60_000),
    }).output();
    // A question would wait for an answer, or be refused for want of one, and would be printed in any case.
    assertEquals({ code, stdout: new TextDecoder().decode(stdout) }, { code: 0, stdout: "" });
  },
});
