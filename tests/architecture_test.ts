/**
 * The house: which room may import from which. `ROOMS` is the plan, and the checker below holds the code to it.
 *
 * An import of a type counts like any other: whoever reads a file must know what it names.
 */
import { assert, assertEquals } from "@std/assert";

/** Every room, from the top of the house to the bottom, and the rooms below that it may import from. */
const ROOMS = {
  // What users import.
  mod: ["pool", "nouns"],
  // `src/multi_process.ts`: the pool as users see it.
  pool: ["entry", "nouns"],
  // The thread that pushes tasks.
  entry: ["runtime", "wire", "nouns", "util", "host"],
  // What runs in a thread of the pool's own, or in a worker: `src/runtime/*_worker.ts`.
  threads: ["dispatcher", "nursery", "cells", "worker", "runtime", "wire", "util", "host"],
  // The thread that watches.
  dispatcher: ["scheduler", "runtime", "wire", "nouns", "util", "host"],
  // The thread that keeps cells: child processes with a dispatcher each.
  cells: ["scheduler", "runtime", "wire", "nouns", "util", "host"],
  // The thread that starts and ends workers.
  nursery: ["runtime", "wire", "util", "host"],
  // Decides. Pure: see FORBIDDEN.
  scheduler: ["wire"],
  // Beside code that nobody vouches for.
  worker: ["wire", "nouns", "util", "host"],
  // What differs between runtimes, and between threads and processes.
  runtime: ["wire", "nouns", "util", "host"],
  // What crosses between threads.
  wire: ["nouns", "util", "host"],
  // The other files of `src/`: one for each public noun.
  nouns: ["util", "host"],
  util: [],
  // Where this runs, `src/runtime/host.ts` and `kinds.ts`: at the bottom, since all of the house may ask.
  host: [],
  // Packages of their own on top of the public API. Nothing in the core imports them.
  bullmq: ["mod", "pool", "nouns", "entry", "scheduler", "runtime", "wire", "util", "host"],
  trace: ["mod", "pool", "nouns", "util"],
  otel: ["mod", "pool", "nouns", "util"],
  cli: ["mod", "pool", "nouns", "util", "host", "trace"],
} as const satisfies Record<string, readonly string[]>;

type Room = keyof typeof ROOMS;

/** What the scheduler may not name: a clock, a worker, a runtime. The time and all else are told to it. */
const FORBIDDEN = [
  "Date",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "Deno",
  "Worker",
  "self",
  "globalThis",
  "navigator",
  "process",
  "console",
];

/** What only `src/runtime/` may name, besides modules of Node. */
const RUNTIMES = ["Deno", "Worker", "navigator"];

/** What is imported only where it is needed, and never in a browser. */
const NOT_IN_BROWSERS = [
  "process",
  "process_worker",
  "cell",
  "cell_worker",
  "cell_dispatcher_worker",
  "cells_worker",
  "diverted_output",
].map((name) => `src/runtime/${name}.ts`);

/** A file of the package and what it imports, by paths from the top of the repository. */
type Graph = ReadonlyMap<string, readonly string[]>;

/** A file that starts what runs in a thread: named only where threads are started, and in an `import()` never run. */
const isThreadEntry = (file: string): boolean => /^src\/runtime\/\w+_worker\.ts$/.test(file);

/** The files of `src/runtime/` that lie at the bottom of the house. */
const HOST = ["src/runtime/host.ts", "src/runtime/kinds.ts"];

/** The one file that names the threads' files, for whatever follows the module graph. */
const NAMES_THREADS = "src/runtime/own_thread.ts";

/** Whether a room is part of the core, not of a package on top of it. */
function isCore(room: string): boolean {
  const order = Object.keys(ROOMS);
  return order.indexOf(room) <= order.indexOf("host");
}

/** The room that a file lies in; undefined for one that lies in none. */
function roomOf(file: string): Room | undefined {
  if (file === "mod.ts") return "mod";
  if (file === "src/multi_process.ts") return "pool";
  if (isThreadEntry(file)) return "threads";
  if (HOST.includes(file)) return "host";
  const [src, folder, ...rest] = file.split("/");
  if (src !== "src" || folder === undefined) return undefined;
  if (rest.length === 0) return "nouns";
  return folder !== "mod" && folder in ROOMS ? folder as Room : undefined;
}

/** Why a file may not import another; undefined if it may. */
function objection(from: string, to: string): string | undefined {
  const [room, target] = [roomOf(from), roomOf(to)];
  if (room === undefined) return `${from} lies in no room`;
  if (target === undefined) return `${from} imports ${to}, which lies in no room`;
  if (target === "threads" && from !== NAMES_THREADS) return `${from} imports the entry file ${to}`;
  if (from === NAMES_THREADS && target === "threads") return undefined;
  if (room === target) return undefined;
  const allowed: readonly string[] = ROOMS[room];
  return allowed.includes(target) ? undefined : `${from} (${room}) imports ${to} (${target})`;
}

/** All imports that go against the plan. */
function objections(graph: Graph): string[] {
  return [...graph].flatMap(([from, imports]) => imports.map((to) => objection(from, to)))
    .filter((why) => why !== undefined);
}

/** The first circle of files that import each other, first file again at the end; undefined if there is none. */
function circle(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    if (done.has(file)) return undefined;
    const at = path.indexOf(file);
    if (at >= 0) return [...path.slice(at), file];
    path.push(file);
    for (const to of graph.get(file) ?? []) {
      // The `import()` that never runs; what it names imports the rest of the house.
      if (file === NAMES_THREADS && isThreadEntry(to)) continue;
      const found = visit(to);
      if (found !== undefined) return found;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const found = visit(file);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A source without its comments, so that they may say what they like. Strings stay: they may hold an import. */
function code(source: string): string {
  return source.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\/\*[^]*?\*\/|\/\/[^\n]*/g,
    (_, text) => text ?? " ",
  );
}

/** What a source imports or exports from, as it is written there. */
function importsOf(source: string): string[] {
  const from = /\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g;
  return [...code(source).matchAll(from)].map(([, a, b]) => a ?? b!);
}

/** The file that a specifier means; undefined for a package. */
function resolved(specifier: string, from: string): string | undefined {
  return specifier.startsWith(".") ? new URL(specifier, `file:///${from}`).pathname.slice(1) : undefined;
}

/** What a source of the scheduler names and may not: as a word of its own, neither in a text nor after a dot. */
function impurities(source: string): string[] {
  const words = code(source)
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, "")
    .replace(/`(?:[^`\\]|\\.)*`/g, (text) => (text.match(/\$\{[^}]*\}/g) ?? []).join(" "));
  const named = FORBIDDEN.filter((word) => new RegExp(`(?<![.#\\w])${word}\\b(?!\\??:)`).test(words));
  return [...named, ...importsOf(source).filter((specifier) => specifier.startsWith("node:"))];
}

/** The statements that name `Deno` when a source is loaded, without having asked where they run. */
function unguarded(source: string): string[] {
  // As it is formatted, a statement of the top level begins without an indent, and so do its closing brackets.
  const statements = code(source).split(/\n(?=[^\s})\]])/).map((each) => each.trim());
  return statements.filter((statement) => {
    // Types are gone by then, and functions and methods run later.
    if (
      /^(export )?(default )?(async function|function|abstract class|class|interface|type|import)\b/.test(
        statement,
      )
    ) {
      return false;
    }
    const words = statement.replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
    const at = words.search(/(?<![.\w])Deno(?=[.[);])/);
    return at >= 0 && !/\bhost\b|\btypeof Deno\b|=>|\bfunction\b/.test(words.slice(0, at));
  });
}

const ROOT = new URL("../", import.meta.url);

/** The sources of the package. */
function sources(): Map<string, string> {
  const found = new Map([["mod.ts", Deno.readTextFileSync(new URL("mod.ts", ROOT))]]);
  const folders = ["src"];
  for (const folder of folders) {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
      const path = `${folder}/${name}`;
      if (isDirectory) folders.push(path);
      else if (/\.[mc]?[jt]sx?$/.test(name)) found.set(path, Deno.readTextFileSync(new URL(path, ROOT)));
    }
  }
  return found;
}

/** What the files of the package import of each other. */
function graphOf(files: Map<string, string>): Graph {
  return new Map(
    [...files].map(([file, source]) => [
      file,
      importsOf(source).map((specifier) => resolved(specifier, file)).filter((to) => to !== undefined),
    ]),
  );
}

Deno.test("every import goes down the house, and no file is in a circle", () => {
  const graph = graphOf(sources());
  assert(graph.size > 60, `only ${graph.size} files found`);
  assertEquals(objections(graph), []);
  assertEquals(circle(graph), undefined);
  for (const [from, imports] of graph) {
    for (const to of imports) assert(graph.has(to), `${from} imports ${to}`);
  }
});

Deno.test("only src/runtime/ names a runtime", () => {
  for (const [file, source] of sources()) {
    const room = roomOf(file);
    if (room === undefined || !isCore(room) || file.startsWith("src/runtime/")) continue;
    const found = impurities(source).filter((word) => RUNTIMES.includes(word) || word.startsWith("node:"));
    assertEquals(found, [], file);
  }
});

Deno.test("no file that other runtimes load names Deno at its top level without asking where it is", () => {
  for (const [file, source] of sources()) {
    const room = roomOf(file);
    if (room !== undefined && isCore(room)) assertEquals(unguarded(source), [], file);
  }
});

Deno.test("what a browser loads imports no module of Node", () => {
  const files = sources();
  const graph = graphOf(files);
  const threads = ["dispatcher", "nursery", "thread"].map((name) => `src/runtime/${name}_worker.ts`);
  const reached = new Set(["mod.ts", ...threads]);
  for (const file of reached) {
    const source = files.get(file)!;
    const found = importsOf(source.replace(/^import type [^;]*;|import\("[^"]*"\)/gm, ""));
    assertEquals(found.filter((specifier) => specifier.startsWith("node:")), [], file);
    for (const to of graph.get(file)!) if (!NOT_IN_BROWSERS.includes(to)) reached.add(to);
  }
  assert(reached.size > 80, `only ${reached.size} files reached`);
});

Deno.test("the scheduler names no clock, no worker and no runtime", () => {
  for (const [file, source] of sources()) {
    if (roomOf(file) === "scheduler") assertEquals(impurities(source), [], file);
  }
});

Deno.test("every folder of src/ is a room, and those of the core say what they are for in at most twelve lines", () => {
  for (const { name, isDirectory } of Deno.readDirSync(new URL("src", ROOT))) {
    if (!isDirectory) continue;
    assert(name in ROOMS, `src/${name} is no room`);
    if (!isCore(name)) continue;
    const text = Deno.readTextFileSync(new URL(`src/${name}/README.md`, ROOT));
    assert(text.trimEnd().split("\n").length <= 12, `src/${name}/README.md is longer than twelve lines`);
  }
});

// The checker itself: each rule can fail.

Deno.test("the plan has no room that imports from above itself", () => {
  const order = Object.keys(ROOMS);
  for (const [room, allowed] of Object.entries<readonly string[]>(ROOMS)) {
    for (const other of allowed) {
      assert(other in ROOMS, `${room} may import ${other}, which is no room`);
      const isBelow = order.indexOf(other) > order.indexOf(room);
      assert(!isCore(room) || (isBelow && isCore(other)), `${room} may import ${other}`);
    }
  }
});

Deno.test("objection() allows what goes down, and refuses what does not", () => {
  const cases: [from: string, to: string, refused: boolean][] = [
    ["mod.ts", "src/multi_process.ts", false],
    ["mod.ts", "src/entry/pool.ts", true],
    ["src/multi_process.ts", "src/entry/pool.ts", false],
    ["src/entry/pool.ts", "src/multi_process.ts", true],
    ["src/entry/pool.ts", "src/entry/map.ts", false],
    ["src/entry/connect.ts", "src/runtime/isolation.ts", false],
    ["src/entry/pool.ts", "src/dispatcher/dispatcher.ts", true],
    ["src/entry/pool.ts", "src/scheduler/scheduler.ts", true],
    ["src/dispatcher/dispatcher.ts", "src/scheduler/scheduler.ts", false],
    ["src/dispatcher/dispatcher.ts", "src/entry/pool.ts", true],
    ["src/dispatcher/dispatcher.ts", "src/nursery/nursery.ts", true],
    ["src/nursery/nursery.ts", "src/runtime/thread.ts", false],
    ["src/nursery/nursery.ts", "src/worker/task_runner.ts", true],
    ["src/scheduler/scheduler.ts", "src/wire/protocol.ts", false],
    ["src/scheduler/scheduler.ts", "src/runtime/port.ts", true],
    ["src/scheduler/scheduler.ts", "src/util/within.ts", true],
    ["src/scheduler/scheduler.ts", "src/outcome.ts", true],
    ["src/worker/task_runner.ts", "src/wire/codec.ts", false],
    ["src/worker/task_runner.ts", "src/runtime/shared.ts", true],
    ["src/runtime/link.ts", "src/wire/protocol.ts", false],
    ["src/runtime/link.ts", "src/worker/task_runner.ts", true],
    ["src/runtime/thread_worker.ts", "src/worker/task_runner.ts", false],
    ["src/runtime/dispatcher_worker.ts", "src/dispatcher/dispatcher.ts", false],
    ["src/runtime/own_thread.ts", "src/runtime/thread_worker.ts", false],
    ["src/runtime/thread.ts", "src/runtime/thread_worker.ts", true],
    ["src/entry/connect.ts", "src/runtime/dispatcher_worker.ts", true],
    ["src/wire/task_module.ts", "src/context.ts", false],
    ["src/wire/codec.ts", "src/runtime/shared.ts", true],
    ["src/errors.ts", "src/info_task.ts", false],
    ["src/errors.ts", "src/wire/error_data.ts", true],
    ["src/util/within.ts", "src/errors.ts", true],
    ["src/bullmq/fleet.ts", "src/entry/pool.ts", false],
    ["src/bullmq/fleet.ts", "src/dispatcher/dispatcher.ts", true],
    ["src/trace/trace.ts", "mod.ts", false],
    ["src/trace/trace.ts", "src/entry/event_hub.ts", true],
    ["src/entry/event_hub.ts", "src/trace/trace.ts", true],
    ["src/entry/pool.ts", "mod.ts", true],
    ["src/attic/box.ts", "mod.ts", true],
    ["src/entry/pool.ts", "tests/helpers.ts", true],
  ];
  for (const [from, to, refused] of cases) {
    assertEquals(objection(from, to) !== undefined, refused, `${from} → ${to}`);
  }
});

Deno.test("circle() finds a circle however long, and none where there is none", () => {
  const graph = (edges: Record<string, string[]>) => new Map(Object.entries(edges));
  assertEquals(circle(graph({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] })), undefined);
  assertEquals(circle(graph({ a: ["a"] })), ["a", "a"]);
  assertEquals(circle(graph({ z: ["a"], a: ["b"], b: ["c"], c: ["a"] })), ["a", "b", "c", "a"]);
  const [thread, link] = ["src/runtime/thread_worker.ts", "src/runtime/link.ts"];
  assertEquals(circle(graph({ [NAMES_THREADS]: [thread], [thread]: [NAMES_THREADS] })), undefined);
  assertEquals(circle(graph({ [link]: [thread], [thread]: [link] })), [link, thread, link]);
});

Deno.test("importsOf() finds every way to import, and nothing in comments", () => {
  const source = `
    /** import { not } from "./comment.ts"; */
    import { a } from "./a.ts";
    import type { B } from './b.ts';
    import {
      c, // from "./not.ts"
    } from "./c.ts";
    import "./d.ts";
    export * from "./e.ts";
    export { type F } from "../f.ts";
    const later = import("./g.ts"), url = "https://example.com";
    import h from "node:util";`;
  const found = ["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts", "../f.ts", "./g.ts", "node:util"];
  assertEquals(importsOf(source), found);
  assertEquals(resolved("../f.ts", "src/entry/x.ts"), "src/f.ts");
  assertEquals(resolved("@std/path", "src/entry/x.ts"), undefined);
});

Deno.test("impurities() finds what the scheduler may not name, and lets texts and its own words be", () => {
  for (const word of FORBIDDEN) {
    for (
      const source of [`${word};`, `const a = f(${word}.b);`, `\`\${${word}}\``, `let b = { c: ${word} };`]
    ) {
      assertEquals(impurities(source), [word], source);
    }
  }
  assertEquals(impurities('import { types } from "node:util";'), ["node:util"]);
  const fine = [
    "// Not Date.now()",
    "/** Its Worker, or Deno's. */",
    "const worker = workers.get(1);",
    "this.#process(x).process(y);",
    "interface X { process: number; self?: string }",
    'fail("the process ended");',
    "fail(`the process ended after ${ms} ms`);",
    'import { BinaryHeap } from "@std/data-structures";',
  ];
  for (const source of fine) assertEquals(impurities(source), [], source);
});

Deno.test("unguarded() finds what would be an error elsewhere, and lets be what has asked or runs later", () => {
  const wrong = [
    "const { exit } = Deno;",
    "const exit = Deno.exit;",
    "const a = [\n  1,\n  Deno.stdout,\n];",
    "f(Deno.args);",
    "export const x = Deno.build.os;",
    'if (Deno["build"]) f();',
  ];
  for (const source of wrong) assertEquals(unguarded(`const b = 1;\n${source}\nb();`), [source], source);
  const right = [
    "// Deno.exit",
    "const exit = () => Deno.exit();",
    'const a = host === "deno" ? Deno.exit : undefined;',
    "function f() {\n  Deno.exit();\n}",
    "export class A {\n  b() {\n    Deno.exit();\n  }\n}",
    "type A = Deno.Env;",
    'import { x } from "./Deno.ts";',
    'const text = "Deno.exit";',
  ];
  for (const source of right) assertEquals(unguarded(`const b = 1;\n${source}\nb();`), [], source);
});
