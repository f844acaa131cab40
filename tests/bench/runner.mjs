/**
 * One run of one bench with one pool, in a process of its own, on Deno or Node: `runner.mjs POOL MEASUREMENT PARAMS`.
 * Prints one line of JSON: figures, or why there are none.
 *
 * @module
 */
import process from "node:process";

const [poolFile, measurement, params] = process.argv.slice(2);

let answer;
try {
  const { pool } = await import(`./pools/${poolFile}`);
  const { measure } = await import(`./measurements/${measurement}.mjs`);
  answer = { figures: await measure(pool, JSON.parse(params)) };
} catch (error) {
  answer = { error: `${error?.name ?? "Error"}: ${error?.message ?? error}` };
}
console.log(JSON.stringify(answer));
// Not every pool ends when it is told to.
process.exit(0);
