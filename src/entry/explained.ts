/**
 * What the runtime says of an error, for who wrote the task: what to do about it, where that is known, without the
 * colours of a terminal, and without the source of an inline function in place of its name.
 *
 * @module
 */
import type { ErrorData } from "../wire/protocol.ts";
import { INLINE, INLINE_BASE64, isInline, shortSpecifier } from "../util/specifier.ts";

/** The module of an inline function, whole or as the runtime shortens it, and the line. */
const INLINE_URL = new RegExp(`(?:${INLINE}[^\\s:"]*|/?${INLINE_BASE64}[\\w+/=]*)(?::(\\d+))?`, "g");

/** Deno colours what it says of an import that fails, whoever reads it. */
const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, "g");

/** What a task has thrown, or nobody has caught. */
export function explained(error: ErrorData, specifier: string): ErrorData {
  if (!isInline(specifier)) return error;
  const name = `inline:${shortSpecifier(specifier)}`;
  return rewritten(
    error,
    (text) =>
      // Its first line is the comment that tells it from other modules.
      text.replace(INLINE_URL, (_, line) => line === undefined ? name : `${name}:${line - 1}`),
    inlineHint,
  );
}

/** Why a module could not be loaded. */
export function explainedLoad(error: ErrorData): ErrorData {
  return rewritten(error, (text) => text.replace(COLOUR, ""), loadHint);
}

function rewritten(
  error: ErrorData,
  rewrite: (text: string) => string,
  hintOf: (error: ErrorData) => string,
): ErrorData {
  // What the runtime says may be followed by lines that say where.
  const message = rewrite(error.message).replace(/\n|$/, (end) => hintOf(error) + end);
  const stack = error.stack === undefined
    ? undefined
    : rewrite(error.stack.replace(error.message, () => message));
  const again = (inner: ErrorData) => rewritten(inner, rewrite, hintOf);
  return {
    ...error,
    message,
    stack,
    properties: error.properties.map(([key, value, isError]) =>
      isError ? [key, again(value as ErrorData), true] : [key, value, false]
    ),
    ...(error.errors !== undefined && { errors: error.errors.map(again) }),
  };
}

function inlineHint({ class: name, message }: ErrorData): string {
  // It is there where the function was written.
  if (name === "ReferenceError" && / is not defined$/.test(message)) {
    return ": an inline function sees nothing that it closes over; " +
      "give it that as an argument, or import it in the function";
  }
  return message.includes(`from "${INLINE}`) || message.includes(`from /${INLINE_BASE64}`)
    ? ": an inline function is in no folder; give it the import.meta.resolve(…) of the module as an argument"
    : "";
}

function loadHint({ class: name, message }: ErrorData): string {
  return name === "ReferenceError" &&
      /^(exports|module|require|__filename|__dirname) is not defined$/.test(message)
    ? '; CommonJS is to be named ".cjs", or to have "type": "commonjs" in its package.json'
    : "";
}
