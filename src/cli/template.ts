import { basename, dirname, extname } from "@std/path";
import type { Command } from "./command_task.ts";
import type { Input } from "./inputs.ts";

const PLACE = /\{(?:\/\.|\/\/|[./#])?\}/g;

/**
 * The command for an input. `{}` is the input, `{.}` without its extension, `{/}` its file name, `{//}` its folder,
 * `{/.}` its file name without extension, `{#}` its number; without any of these the input is the last argument.
 *
 * One argument is a line for the shell, in which the input is quoted; several are a program and its arguments, which no
 * shell sees.
 */
export function fillIn(template: readonly string[], input: Input): Command {
  const places = template.some((arg) => arg.match(PLACE) !== null);
  if (template.length > 1) {
    const args = places ? template : [...template, "{}"];
    return args.map((arg) => arg.replaceAll(PLACE, (place) => valueOf(place, input)));
  }
  const line = places ? template[0]! : `${template[0]} {}`;
  return line.replaceAll(PLACE, (place) => quote(valueOf(place, input)));
}

function valueOf(place: string, { seq, text }: Input): string {
  switch (place) {
    case "{#}":
      return String(seq);
    case "{.}":
      return text.slice(0, text.length - extname(text).length);
    case "{/}":
      return basename(text);
    case "{//}":
      return dirname(text);
    case "{/.}":
      return basename(text, extname(text));
    default:
      return text;
  }
}

/** A word that the shell takes as it is. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
