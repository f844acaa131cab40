import { TextLineStream } from "@std/streams/text-line-stream";
import type { Source } from "./command_line.ts";

/** One input. */
export interface Input {
  /** From 1 on. */
  readonly seq: number;
  /** As it came. */
  readonly text: string;
  /** What the task is given: the text, or what it is as JSON. */
  readonly value: unknown;
}

/** How inputs are read. */
export interface InputOptions {
  readonly source: Source;
  readonly ndjson: boolean;
  /** Whether an input is left out. */
  skip(seq: number): boolean;
  /** An input that is no JSON. */
  refused(input: Input, error: Error): void;
  /** No more inputs are wanted. */
  readonly signal: AbortSignal;
}

/** The inputs, one by one as they are asked for: there may be no end to them. */
export async function* readInputs(options: InputOptions): AsyncGenerator<Input, void, undefined> {
  const { ndjson, skip, refused, signal } = options;
  let seq = 0;
  for await (const text of untilAborted(linesOf(options.source), signal)) {
    if (ndjson && text.trim() === "") continue;
    seq++;
    if (skip(seq)) continue;
    if (!ndjson) {
      yield { seq, text, value: text };
      continue;
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      refused({ seq, text, value: undefined }, error as Error);
      continue;
    }
    yield { seq, text, value };
  }
}

/** How many there are, where that is known. */
export function countOf(source: Source): number | undefined {
  return source.kind === "values" ? source.values.length : undefined;
}

async function* linesOf(source: Source): AsyncGenerator<string, void, undefined> {
  switch (source.kind) {
    case "values":
      yield* source.values;
      return;
    case "stdin":
      yield* lines(Deno.stdin.readable);
      return;
    case "files":
      for (const path of source.paths) yield* lines((await Deno.open(path)).readable);
      return;
    default:
      source satisfies never;
  }
}

function lines(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<string> {
  return bytes.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
}

/** Ends at once when the signal aborts, also while the next line is awaited. */
async function* untilAborted(
  lines: AsyncGenerator<string, void, undefined>,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  // Not a race with one promise for all lines, which would keep a reaction for each of them.
  let end: (() => void) | undefined;
  const abort = () => end?.();
  signal.addEventListener("abort", abort, { once: true });
  try {
    while (!signal.aborted) {
      const step = await new Promise<IteratorResult<string, void>>((resolve, reject) => {
        end = () => resolve({ done: true, value: undefined });
        lines.next().then(resolve, reject);
      });
      if (step.done) return;
      yield step.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
