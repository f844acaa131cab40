import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { InfoTask } from "../../mod.ts";
import { until } from "../helpers.ts";
import { Notes, ROOT, Script, startMachine, task } from "./machines.ts";
import { hasRedis, useRedis } from "./redis.ts";
import { Place } from "./stores.ts";

const redis = useRedis();
const MAIN = import.meta.resolve("../../src/bullmq/main.ts");

const REFUSED: [args: string[], message: string][] = [
  [[], "serve: --queue is required; see --help"],
  [["--queue", "q"], "serve: --root is required; see --help"],
  [["--queue", "q", "--root", ROOT, "--sise", "3"], "serve: Unknown argument --sise; see --help"],
  [["--queue", "q", "--root", ROOT, "more"], "serve: Unknown argument more; see --help"],
  [["--queue", "q", "--root", ROOT, "--size", "many"], `serve: --size must be a number, received "many"`],
  [["--queue", "q", "--root", ROOT, "--size", "0"], "must be an integer of at least 1"],
  [["--queue", "q", "--root", "/no/such/folder"], "does not exist"],
  [["--queue", "q", "--root", ROOT, "--redis", "localhost"], "must be a URL"],
];

Deno.test("serve, on the command line, says what is wrong in one line, with status 2", async () => {
  for (const [args, message] of REFUSED) {
    await using script = new Script(MAIN, args);
    const { code } = await script.end();
    assertEquals([code, script.lines, script.errors.length], [2, [], 1], script.errors.join("\n"));
    assertStringIncludes(script.errors[0]!, message);
  }
});

Deno.test("serve --help lists all flags", async () => {
  await using script = new Script(MAIN, ["--help"]);
  assertEquals((await script.end()).code, 0);
  const help = script.lines.join("\n");
  const source = await Deno.readTextFile(fromFileUrl(MAIN));
  for (const [, flag] of source.matchAll(/flags(?:\.(\w+)|\["([\w-]+)"\])/g)) {
    if (flag !== undefined) assertStringIncludes(help, `--${flag}`);
  }
});

Deno.test({
  name: "serve, on the command line, runs tasks, and on SIGTERM finishes them and ends with status 0",
  ignore: !hasRedis,
  fn: async () => {
    using notes = new Notes();
    const place = new Place("redis", redis().port);
    await using machine = await startMachine(redis().url, place.queue, "--size", "1", "--name", "m1");
    assertEquals(machine.lines, [`m1: serving ${place.queue}, 1 tasks at once`]);
    await using fleet = place.fleet();
    await fleet.start();
    assertEquals(await fleet.run(new InfoTask(task("add"), 20_000, 1, 2)), 3);
    const pushed = fleet.push(new InfoTask(task("mark"), 20_000, notes.file, 1, 500));
    await until(() => notes.lines().length === 1, 20_000, "it runs");
    machine.kill("SIGTERM");
    assertEquals((await pushed).status, "ok");
    assertEquals((await machine.end()).code, 0);
    assertEquals(machine.lines.slice(1), [
      "m1: SIGTERM: finishing 1 tasks",
      "m1: ended: 2 ok, 0 failed, 0 timed out, 0 crashed, 0 cancelled, 0 given back",
    ]);
    assertEquals(machine.errors, []);
  },
});

Deno.test("@cm/multiprocess loads nothing of BullMQ", async () => {
  const graph = async (specifier: string) => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", fromFileUrl(import.meta.resolve(specifier))],
      stderr: "null",
    }).output();
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: { specifier: string }[] };
    return modules.map(({ specifier }) => specifier).join("\n");
  };
  assertEquals(/bullmq|ioredis/.test(await graph("../../mod.ts")), false);
  assert(/npm:.*bullmq/.test(await graph("../../src/bullmq/mod.ts")));
});
