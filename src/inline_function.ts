/**
 * A function as a module of its own, whose source is in its specifier.
 *
 * @module
 */
import { show } from "./util/show.ts";
import { INLINE } from "./util/specifier.ts";

/** A function has one specifier, so that a worker loads it once. */
const specifiers = new WeakMap<object, string>();

const sourceOf = Function.prototype.toString;

/** Parses and does not run: a function's code is only looked at. In it `await` is no name, as in a module. */
const AsyncFunction = (async () => {}).constructor as new (code: string) => unknown;

/**
 * The specifier of a module whose only export is the function.
 *
 * @throws {TypeError} If its source alone does not make it: it is native or bound, a class or a method.
 */
export function inlineSpecifier(runnable: unknown): string {
  if (typeof runnable !== "function") throw refused(`received ${show(runnable)}`);
  let specifier = specifiers.get(runnable);
  if (specifier === undefined) specifiers.set(runnable, specifier = makeSpecifier(runnable));
  return specifier;
}

/** What to do with a function that is given in place of a task or of a module; nothing to say of anything else. */
export function inlineHint(value: unknown): string {
  return typeof value === "function" ? "; InfoTask.inline() makes a task of one" : "";
}

function makeSpecifier(runnable: { name: string }): string {
  const source = Reflect.apply(sourceOf, runnable, []);
  const name = String(runnable.name) || "inline";
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw refused(`${name} is native or bound, and has no source; wrap it: (...args) => …`);
  }
  if (/^class\b/.test(source)) throw refused(`${name} is a class; export it from a module`);
  const problem = problemOf(`(${source}\n)`);
  if (problem !== undefined) {
    throw refused(
      `${name} is a method, or makes sense in its module only (${problem}); export it from a module, or wrap it`,
    );
  }
  // By the name of the variable that holds it, so that it may call itself.
  const named = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) &&
    problemOf(`const ${name} = 0`) === undefined;
  const code = named
    ? `export const ${name} = (${source}\n);`
    : `const inline = (${source}\n);\nexport { inline as ${JSON.stringify(name)} };`;
  return `${INLINE}${encodeURIComponent(code)}#${encodeURIComponent(name)}`;
}

/** What keeps code from being that of a module; undefined where nothing does, or nobody may parse. */
function problemOf(code: string): string | undefined {
  try {
    new AsyncFunction(`"use strict"; ${code}`);
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
  }
  return undefined;
}

function refused(why: string): TypeError {
  return new TypeError(
    `Cannot create a task: an inline function must be one that its source alone makes; ${why}`,
  );
}
