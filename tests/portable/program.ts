/** A program that has a pool, and is to end by itself: `program.ts URL ISOLATION END`. */
import process from "node:process";
import type * as Package from "../../mod.ts";

const [url, isolation, end] = process.argv.slice(2) as [string, "thread" | "process", string];
const { InfoTask, MultiProcess }: typeof Package = await import(url);
const prints =
  "data:text/javascript,export const runnable = (n) => { for (let i = 0; i < 100; i++) console.log('line', n, i) }";
const loops = new URL("./tasks.js#loop", import.meta.url);

const disposes = "data:text/javascript,export const dispose = () => console.log('disposed')";
const mp = new MultiProcess({
  size: 2,
  isolation,
  ...(end === "forgotten" && { initializer: { module: disposes } }),
});
await mp.start();
if (end === "stop") {
  // Before the others: on Node a worker passes on between two tasks what the first has printed, and one that hangs right
  // after another keeps it from that.
  mp.push(new InfoTask(loops, 100));
  for (let n = 0; n < 5; n++) mp.push(new InfoTask(prints, 30_000, n));
  await mp.stop();
} else if (end === "forgotten") {
  // Nothing but the pool keeps the process while it waits for any of these.
  await mp.stats();
  await Promise.all(Array.from({ length: 5 }, (_, n) => mp.run(new InfoTask(prints, 30_000, n))));
  await mp.renew();
  await mp.run(new InfoTask(prints.replace("i < 100", "i < 0"), 30_000));
  console.log("answered");
} else {
  mp.push(new InfoTask(loops, Infinity));
  mp.push(new InfoTask(loops, Infinity));
  while ((await mp.stats()).running < 2) await new Promise((wake) => setTimeout(wake, 10));
  if (end === "exit") process.exit(3);
  await mp.terminate();
}
