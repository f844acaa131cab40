import { parseArgs as std } from "npm:deno-std@1.4.0/cli/parse_args.js";

/** Options for {@linkcode parseArgs}, as far as they are used here. */
export interface ParseOptions {
  /** Flags without a value. */
  boolean?: readonly string[];
  /** Flags whose value is text. */
  string?: readonly string[];
  /** Flags that may be given several times. */
  collect?: readonly string[];
  /** Other names. */
  alias?: Record<string, string>;
  /** Flags that may be negated by `--no-`. */
  negatable?: readonly string[];
  /** Called with each argument that is none of these. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** The flags among the arguments; `_` has the others. */
export const parseArgs: (
  args: readonly string[],
  options?: ParseOptions,
) => Record<string, unknown> & { _: (string | number)[] } = std;
