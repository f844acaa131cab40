/**
 * The three stages of `pipeline.ts`, all in one module: a task names its own, `pipeline_tasks.ts#parse`.
 *
 * @module
 */

/** What a text is like. */
export interface Measures {
  words: number;
  distinct: number;
  longest: string;
}

/** What all texts are like. */
export interface Summary {
  words: number;
  /** The index of the text with the most words for its length. */
  richest: number;
  longest: string;
}

/** The words that `map_task.ts` counts, too. */
const WORD = /[\p{L}\p{M}\p{N}_]{1,100}/gu;

/** Stage 1: reads a file, and gives its words, or null if it is not text. */
export async function parse(path: string): Promise<string[] | null> {
  const bytes = await Deno.readFile(path);
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).toLowerCase().match(WORD) ?? [];
  } catch {
    // Not UTF-8.
    return null;
  }
}

/** Stage 2: measures the words of one text. */
export function measure(words: string[]): Measures {
  const longest = words.reduce((a, b) => a.length >= b.length ? a : b, "");
  return { words: words.length, distinct: new Set(words).size, longest };
}

/** Stage 3: sums up the measures of all texts. */
export function summarize(texts: Measures[]): Summary {
  // Long texts repeat themselves: about as the root of their length.
  const richness = texts.map(({ words, distinct }) => words === 0 ? 0 : distinct / Math.sqrt(words));
  return {
    words: texts.reduce((sum, { words }) => sum + words, 0),
    richest: richness.indexOf(Math.max(...richness)),
    longest: texts.map(({ longest }) => longest).reduce((a, b) => a.length >= b.length ? a : b, ""),
  };
}
