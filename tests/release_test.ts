import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

const CONSUMER = `
import { InfoTask, MultiProcess } from "./mod.ts";
const task = (source) => new InfoTask("data:text/javascript," + encodeURIComponent(source), 10_000);
for (const isolation of ["thread", "process"]) {
  const mp = new MultiProcess({ size: 2, isolation });
  mp.start();
  console.log(await mp.run(task("export const runnable = () => 42")));
  console.log((await mp.push(task("export const runnable = () => Deno.exit(3)"))).status);
  const hang = new InfoTask("data:text/javascript,export const runnable = () => { for (;;); }", 100);
  console.log((await mp.push(hang)).status);
  await mp.stop();
}
`;

async function run(command: string, args: string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  assertEquals(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}

Deno.test({
  name: "the package works with its threads and children bundled, as it is released",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      for (const name of ["mod.ts", "src", ".offline", "deno.json", "deno.lock"]) {
        await run("cp", ["-r", join(ROOT, name), folder], ROOT);
      }
      await run("bash", [join(ROOT, ".ci/bundle"), folder], ROOT);
      const bundled = await Deno.readTextFile(join(folder, "src/runtime/thread_worker.ts"));
      assertStringIncludes(bundled, "TaskRunner");
      assertEquals(bundled.match(/^import .* from "\..*$/gm), null);
      await Deno.writeTextFile(join(folder, "main.js"), CONSUMER);
      const output = await run(Deno.execPath(), ["run", "-A", "--no-prompt", "main.js"], folder);
      assertEquals(output, "42\ncrashed\ntimed-out\n".repeat(2));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
