import type { PoolEvent } from "../../mod.ts";
import { pageOf } from "./page.ts";
import { Picture } from "./picture.ts";

/** Segments in all lanes of a page: more than a screen can show, and a few megabytes. */
const MAX_SEGMENTS = 100_000;

/** Options for {@linkcode timeline}. */
export interface TimelineOptions {
  /** The name of the pool on the page. Default `"multiprocess"`. */
  name?: string | undefined;
}

/**
 * Makes a page of what happened in a pool: a lane for each worker with its runs, hangs and kills; the queue over time;
 * histograms of waiting and of running; the slowest tasks, and those that failed, with their messages.
 *
 * The page is one HTML file that needs no network. Of more than 100 000 runs, short ones that follow one another are
 * drawn as one, so neither memory nor the file grows beyond a few megabytes.
 *
 * @example Usage
 * ```ts
 * import { InfoTask, MultiProcess } from "@cm/multiprocess";
 * import { timeline } from "@cm/multiprocess/trace";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const mp = new MultiProcess(2);
 * const page = timeline(mp.events(), { name: "doubles" });
 * mp.start();
 * mp.push(new InfoTask("data:text/javascript,export default (n) => 2 * n", 1_000, 21));
 * await mp.stop();
 * assertStringIncludes(await page, "<title>doubles: time line</title>"); // Deno.writeTextFile("doubles.html", await page)
 * ```
 *
 * @param events What `mp.events()` gives, taken before the tasks are pushed.
 * @param options The name of the pool.
 * @returns Resolves with the page when the pool has ended.
 */
export async function timeline(
  events: AsyncIterable<PoolEvent>,
  options: TimelineOptions = {},
): Promise<string> {
  const name = options.name ?? "multiprocess";
  const picture = new Picture(name, { segments: MAX_SEGMENTS, window: Infinity });
  for await (const event of events) picture.add(event);
  return pageOf(name, picture.data());
}
