/** The tasks that `kills.ts` stops. */
import { builtinModules } from "node:module";

/** No library, but the worst case: every built-in of Deno is loaded, in any order, while the interrupt comes. */
export const BUILTINS = "builtins";

/** What a task does with its library, over and over, until it is stopped. */
export const LIBRARIES: Record<string, { specifier: string; use: string }> = {
  acorn: {
    specifier: "npm:acorn@8",
    use: `lib.parse("{ const a = b => c; }".repeat(500), { ecmaVersion: 2022 })`,
  },
  babel: {
    specifier: "npm:@babel/core@7",
    use:
      `await (lib.default ?? lib).transformAsync("{ const a = b => c?.d; }".repeat(50), { configFile: false })`,
  },
  cheerio: { specifier: "npm:cheerio@1", use: `lib.load("<p>a</p>".repeat(500))("p").text()` },
  handlebars: {
    specifier: "npm:handlebars@4",
    use: `lib.default.compile("{{#each a}}{{this}}{{/each}}" + Math.random())({ a: [1, 2, 3] })`,
  },
  highlight: {
    specifier: "npm:highlight.js@11",
    use: `lib.default.highlightAuto("const a = b => c; // d\\n".repeat(20))`,
  },
  jsdom: { specifier: "npm:jsdom@24", use: `new lib.JSDOM("<p>a</p>".repeat(50)).window.close()` },
  lightningcss: {
    specifier: "npm:lightningcss@1",
    use: `lib.transform({ filename: "a.css", code: new TextEncoder().encode("a{color:red}".repeat(100)) })`,
  },
  marked: { specifier: "npm:marked@14", use: `lib.parse("# a\\n\\n- *b*\\n".repeat(200))` },
  pdfjs: {
    specifier: "npm:pdfjs-dist@4/legacy/build/pdf.mjs",
    use:
      `await lib.getDocument({ data: new TextEncoder().encode("%PDF-1.4 " + Math.random()) }).promise.catch(() => {})`,
  },
  postcss: { specifier: "npm:postcss@8", use: `lib.default.parse("a{color:red}".repeat(500)).toString()` },
  prettier: {
    specifier: "npm:prettier@3",
    use: `await lib.format("const a=b=>c;".repeat(50), { parser: "babel" })`,
  },
  sass: { specifier: "npm:sass@1", use: `lib.compileString("$a: 1px; p { b { c: $a } }".repeat(50))` },
  swc: { specifier: "npm:@swc/core@1", use: `lib.transformSync("{ const a = b => c; }".repeat(50), {})` },
  terser: { specifier: "npm:terser@5", use: `await lib.minify("function a(b) { return b + 1 }".repeat(50))` },
  typescript: {
    specifier: "npm:typescript@5",
    use: `lib.default.transpileModule("{ const a: number = b; }".repeat(50), {})`,
  },
};
/** Crash the program for reasons of their own, also without a pool: only tried where they are named. */
export const NATIVE = ["lightningcss", "swc"];

/** What `--table` runs. */
export const TABLE = [
  "typescript",
  BUILTINS,
  "pdfjs",
  "highlight",
  "babel",
  "sass",
  "jsdom",
  "cheerio",
  "handlebars",
  "prettier",
  "terser",
];
/** Imported while the module is loaded, or within the limit of the task. */
export const WAYS = ["static", "dynamic"] as const;

// All in one turn of the event loop: else the worker ends when it is asked to.
const BUILTINS_SOURCE = `${
  builtinModules.map((name) => `import ${JSON.stringify(name.startsWith("node:") ? name : `node:${name}`)};`)
    .join("\n")
}
export function runnable() {
  for (;;);
}`;

export function taskSource(library: string, way: typeof WAYS[number]): string {
  if (library === BUILTINS) return BUILTINS_SOURCE;
  const { specifier, use } = LIBRARIES[library]!;
  const name = JSON.stringify(specifier);
  const [head, first] = way === "static"
    ? [`import * as lib from ${name};`, ""]
    : ["", `const lib = await import(${name});`];
  // A turn of the event loop between, so that some are stopped by being asked and some by force.
  return `${head}
export async function runnable(pause) {
  ${first}
  for (;;) {
    ${use};
    if (Math.random() < pause) await new Promise((next) => setTimeout(next));
  }
}`;
}
