/**
 * The task of `map.ts`: counts the words of one file, piece by piece, however large it is.
 *
 * @module
 */

/** Also a piece of a longer word, so that a file without spaces takes no more memory than others. */
const WORD = /[\p{L}\p{M}\p{N}_]{1,100}/gu;

/** Gives how often each word occurs, or null if the file is not text. */
export async function runnable(path: string): Promise<Map<string, number> | null> {
  const words = new Map<string, number>();
  const count = (word: string) => words.set(word, (words.get(word) ?? 0) + 1);
  const file = await Deno.open(path);
  const pieces = file.readable.pipeThrough(new TextDecoderStream("utf-8", { fatal: true }));
  let rest = "";
  try {
    for await (const piece of pieces) {
      if (piece.includes("\0")) return null;
      const text = rest + piece.toLowerCase();
      const found: string[] = text.match(WORD) ?? [];
      // The last word may go on in the next piece.
      rest = found.length > 0 && text.endsWith(found.at(-1)!) ? found.pop()! : "";
      found.forEach(count);
    }
  } catch (error) {
    // Not UTF-8.
    if (error instanceof TypeError) return null;
    throw error;
  }
  if (rest !== "") count(rest);
  return words;
}
