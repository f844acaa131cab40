/**
 * One run of one bench with one pool, in a process of its own, on Deno, Node or Bun: `runner.mjs POOL MEASUREMENT PARAMS`;
 * or in a page of its own, which has these as JSON behind the `#` of its URL. Prints one line of JSON, or posts it to its
 * server: figures, or why there are none.
 *
 * @module
 */
const firstLine = performance.now();
const { process, location } = globalThis;
const [poolFile, measurement, params] = process?.argv.slice(2) ??
  JSON.parse(decodeURIComponent(location.hash.slice(1)));

let answer;
try {
  const { pool } = await import(`./pools/${poolFile}`);
  const { measure } = await import(`./measurements/${measurement}.mjs`);
  answer = { figures: await measure(pool, JSON.parse(params), firstLine) };
} catch (error) {
  answer = { error: `${error?.name ?? "Error"}: ${error?.message ?? error}` };
}
const text = JSON.stringify(answer);
if (process === undefined) {
  await fetch("/answer", { method: "POST", body: text });
} else {
  console.log(text);
  // Not every pool ends when it is told to.
  process.exit(0);
}
