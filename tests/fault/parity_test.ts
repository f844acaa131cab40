/** A task sees the same in a process as in a thread, however the program was started. */
import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { sample } from "../helpers.ts";

const ROOT = new URL("../../", import.meta.url);
const at = (path: string) => new URL(path, ROOT).href;

/** What the package needs, for a program that has no registry. */
const PACKAGE = {
  "@cm/multiprocess": at("mod.ts"),
  ...Object.fromEntries(
    ["async", "data-structures", "path"].map((name) => [`@std/${name}`, at(`.offline/std/${name}/mod.ts`)]),
  ),
};

const MAIN = `import { InfoTask, MultiProcess } from "@cm/multiprocess";
Deno.env.set("SET_BY_PROGRAM", "yes");
Deno.env.delete("GIVEN");
const seen = {};
for (const isolation of ["thread", "process"]) {
  const mp = new MultiProcess({ size: 1, spares: 0, isolation });
  mp.start();
  const outcome = await mp.push(new InfoTask(import.meta.resolve("./task.ts"), 60_000));
  seen[isolation] = outcome.status === "ok" ? outcome.value : outcome.error.message + " " + outcome.error.cause;
  await mp.stop();
}
console.log(JSON.stringify(seen));
`;

/** A task that tells what it sees. */
const task = (imports: string, value: string) =>
  `${imports}
export default () => ({ args: Deno.args, cwd: Deno.cwd(), env: [Deno.env.get("SET_BY_PROGRAM"), Deno.env.get("GIVEN")],
  value: ${value} });`;

interface Case {
  name: string;
  flags?: string[];
  files?: Record<string, string>;
  imports?: string;
  value: string;
  expected: unknown;
}

const json = JSON.stringify;
const DENO_JSON = { "deno.json": json({ imports: { ...PACKAGE, inner: "./inner.ts" } }) };
const INNER = { "inner.ts": "export const inner = 7;" };
const IMPORT_INNER = `import { inner } from "inner";`;
const DEPENDENCIES = { dep: "1.0.0", "deno-std": "1.4.0" };
const DEPENDENCY = {
  "node_modules/dep/package.json": json({ name: "dep", version: "1.0.0", main: "index.js" }),
  "node_modules/dep/index.js": "exports.dep = 8;",
};

const CASES: Case[] = [
  { name: "nothing", files: DENO_JSON, value: "1", expected: 1 },
  {
    name: "imports of deno.json",
    files: { ...DENO_JSON, ...INNER },
    imports: IMPORT_INNER,
    value: "inner",
    expected: 7,
  },
  {
    name: "--config",
    flags: ["--config", "other.json"],
    files: { ...INNER, "deno.json": "{}", "other.json": DENO_JSON["deno.json"] },
    imports: IMPORT_INNER,
    value: "inner",
    expected: 7,
  },
  {
    name: "--import-map",
    flags: ["--import-map", "map.json"],
    files: { ...INNER, "map.json": DENO_JSON["deno.json"] },
    imports: IMPORT_INNER,
    value: "inner",
    expected: 7,
  },
  {
    name: "--no-config",
    flags: ["--no-config", "--import-map=map.json"],
    files: { ...INNER, "deno.json": "not JSON", "map.json": DENO_JSON["deno.json"] },
    imports: IMPORT_INNER,
    value: "inner",
    expected: 7,
  },
  {
    name: "deno.json, package.json and node_modules",
    files: {
      ...DENO_JSON,
      ...DEPENDENCY,
      ...INNER,
      "package.json": json({
        type: "module",
        dependencies: DEPENDENCIES,
        imports: { "#own": "./inner.ts" },
      }),
    },
    imports: `import { dep } from "dep"; import { inner } from "#own";`,
    value: "dep + inner",
    expected: 15,
  },
  {
    name: "package.json and node_modules, no deno.json",
    flags: ["--import-map=map.json"],
    files: {
      ...DEPENDENCY,
      ...INNER,
      "map.json": json({ imports: PACKAGE }),
      "package.json": json({
        type: "module",
        dependencies: DEPENDENCIES,
        imports: { "#own": "./inner.ts" },
      }),
    },
    imports: `import { dep } from "dep"; import { inner } from "#own";`,
    value: "dep + inner",
    expected: 15,
  },
  {
    name: "--node-modules-dir=manual",
    flags: ["--node-modules-dir=manual"],
    files: { ...DENO_JSON, ...DEPENDENCY, "package.json": json({ dependencies: DEPENDENCIES }) },
    imports: `import { dep } from "dep";`,
    value: "dep",
    expected: 8,
  },
  {
    name: "--unstable-kv",
    flags: ["--unstable-kv"],
    files: DENO_JSON,
    value: "typeof Deno.openKv",
    expected: "function",
  },
  {
    name: "--v8-flags",
    flags: ["--v8-flags=--expose-gc"],
    files: DENO_JSON,
    value: "typeof gc",
    expected: "function",
  },
  {
    name: "--location",
    flags: ["--location=http://a.invalid/"],
    files: DENO_JSON,
    value: "globalThis.location?.protocol",
    expected: undefined,
  },
  {
    name: "--preload",
    flags: ["--preload=before.ts"],
    files: { ...DENO_JSON, "before.ts": "globalThis.before = 1;" },
    value: "globalThis.before ?? 0",
    expected: undefined,
  },
  {
    name: "packages of npm",
    files: DENO_JSON,
    imports: `import pg from "npm:pg@^8.23"; import { Redis } from "npm:ioredis@^6";
import { Queue } from "npm:bullmq@^6.7"; import { trace } from "npm:@opentelemetry/api@^1.9";`,
    value: "[typeof pg.Client, typeof Redis, typeof Queue, typeof trace].join()",
    expected: "function,function,function,object",
  },
  {
    name: "--conditions",
    flags: ["--conditions=mine"],
    files: {
      ...DENO_JSON,
      "package.json": json({ dependencies: DEPENDENCIES }),
      "node_modules/dep/package.json": json({
        name: "dep",
        version: "1.0.0",
        exports: { mine: "./mine.js", default: "./index.js" },
      }),
      "node_modules/dep/mine.js": "exports.dep = 9;",
      "node_modules/dep/index.js": "exports.dep = 8;",
    },
    imports: `import { dep } from "dep";`,
    value: "dep",
    expected: 9,
  },
];

/** Where the package of the stand-ins lies that take the place of a registry here. */
async function standIns(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout));
  for (const { name } of Deno.readDirSync(npmCache)) {
    const versions = join(npmCache, name, "deno-std");
    for (const { name: version } of Deno.readDirSync(versions)) {
      if (/^[0-9]/.test(version)) return join(versions, version);
    }
  }
  throw new Error("the stand-ins are not there");
}

async function run(
  directory: string,
  { flags = [], files = {}, imports = "", value }: Case,
): Promise<unknown> {
  const all = { "main.ts": MAIN, "task.ts": task(imports, value), ...files };
  for (const [name, text] of Object.entries(all)) {
    const path = join(directory, name);
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await Deno.writeTextFile(path, text);
  }
  // With a folder of its own for packages nothing is looked for in the cache.
  if ("package.json" in all) await Deno.symlink(await standIns(), join(directory, "node_modules/deno-std"));
  const paths = flags.map((flag) =>
    flag.replace(/((?:--[a-z-]+=)?)(\w+\.(?:json|ts))$/, `$1${directory}/$2`)
  );
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Not in the folder of the program.
    cwd: fromFileUrl(new URL("tests/", ROOT)),
    args: ["run", "-A", "--quiet", "--no-lock", ...paths, join(directory, "main.ts"), "one", "--two"],
    env: { NO_COLOR: "1", GIVEN: "yes" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  const text = decoder.decode(stdout);
  return text === "" ? decoder.decode(stderr) : JSON.parse(text);
}

Deno.test("a task sees the same in a process as in a thread, however the program was started", async (test) => {
  for (const each of sample(CASES)) {
    await test.step(each.name, async () => {
      const directory = await Deno.makeTempDir();
      try {
        const seen = await run(directory, each) as Record<
          string,
          { value: unknown; args: unknown; env: unknown }
        >;
        assertEquals(seen.process, seen.thread);
        if (each.expected !== undefined) assertEquals(seen.thread?.value, each.expected);
        assertEquals(seen.thread?.args, ["one", "--two"]);
        assertEquals(seen.thread?.env, ["yes", null]);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    });
  }
});

/** A pool of the package that runs its tasks in threads, or processes, whatever the program says. */
const shim = (isolation: string) =>
  `export * from ${json(at("mod.ts"))};
import { MultiProcess as Real } from ${json(at("mod.ts"))};
export class MultiProcess extends Real {
  constructor(options) {
    super({ ...(typeof options === "number" ? { size: options } : options), isolation: "${isolation}" });
  }
}`;

/** What an example prints that does not depend on time or chance. */
const shape = (text: string) =>
  text.trimEnd().split("\n").map((line) => line.replaceAll(/[\d.]+/g, "0").replaceAll(/ +/g, " ")).toSorted();

const EXAMPLES: [string, string[]][] = [
  ["cancel", ["1000000007"]],
  ["demo", []],
  ["hash", [fromFileUrl(new URL("examples/", ROOT))]],
  ["map", [fromFileUrl(new URL("examples/", ROOT))]],
  ["pipeline", [fromFileUrl(new URL("examples/", ROOT))]],
  ["progress", []],
  ["retry", []],
];

Deno.test("every example runs in threads and in processes", async (test) => {
  const { imports } = JSON.parse(
    (await Deno.readTextFile(new URL("deno.json", ROOT))).replaceAll(/^ *\/\/.*$/gm, ""),
  );
  for (const [name, args] of sample(EXAMPLES)) {
    await test.step(name, async () => {
      const directory = await Deno.makeTempDir();
      try {
        const printed: Record<string, string[]> = {};
        for (const isolation of ["thread", "process"]) {
          const config = join(directory, `${isolation}.json`);
          const module = join(directory, `${isolation}.js`);
          await Deno.writeTextFile(module, shim(isolation));
          await Deno.writeTextFile(
            config,
            json({ imports: { ...imports, ...PACKAGE, "@cm/multiprocess": module } }),
          );
          const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
            args: ["run", "-A", "--no-lock", "--config", config, at(`examples/${name}.ts`), ...args],
            env: { NO_COLOR: "1" },
          }).output();
          const decoder = new TextDecoder();
          assertEquals([code, decoder.decode(stderr)], [0, ""]);
          printed[isolation] = shape(decoder.decode(stdout));
        }
        // The others leave something to chance, or to how quick the machine is.
        if (["hash", "map", "pipeline"].includes(name)) assertEquals(printed.process, printed.thread);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    });
  }
});
