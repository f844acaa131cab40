/** What the specifiers of inline functions begin with, and no others: a line of comment. */
export const INLINE = "data:text/javascript,%2F%2Finline%0A";

/** The same as Bun is given it: see `importable` in `host.ts`. */
export const INLINE_BASE64 = `data:text/javascript;base64,${btoa("//inline\n")}`;

/** Whether it is the specifier of an inline function. */
export function isInline(specifier: string): boolean {
  return specifier.startsWith(INLINE);
}

/** The end of a specifier: enough to know the module by. Of an inline function, its name, also without a fragment. */
export function shortSpecifier(specifier: string): string {
  if (isInline(specifier)) {
    const hash = specifier.indexOf("#");
    if (hash >= 0) return decodeURIComponent(specifier.slice(hash + 1));
    const code = decodeURIComponent(specifier.slice(INLINE.length));
    return /^export const (\S+)/.exec(code)?.[1] ?? "an inline function";
  }
  return specifier.startsWith("data:")
    ? specifier.length > 40 ? `${specifier.slice(0, 40)}…` : specifier
    : specifier.slice(specifier.lastIndexOf("/") + 1);
}
