/** A program that has a pool, and is to end by itself: `program.ts URL ISOLATION END`. */
import process from "node:process";
import { runInNewContext } from "node:vm";
import type * as Package from "../../mod.ts";

const [url, isolation, end] = process.argv.slice(2) as [string, "thread" | "process", string];
const own = { URL, AbortController, buffer: (bytes: number) => new Uint8Array(bytes).buffer };
if (end === "foreign") {
  // As in a test that runs in jsdom: its globals are of another realm than what the runtime hands out.
  globalThis.ArrayBuffer = runInNewContext("ArrayBuffer");
  globalThis.URL = class URL extends own.URL {};
  globalThis.AbortSignal = class AbortSignal extends EventTarget {} as typeof AbortSignal;
}
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
} else if (end === "foreign") {
  const square = "data:text/javascript,export const runnable = (n) => n * n";
  console.log("line", await mp.run(new InfoTask(new own.URL(square), 30_000, 7)));
  const size = "data:text/javascript,export const runnable = (buffer) => buffer.byteLength";
  const buffer = own.buffer(9);
  console.log("line", await mp.run(new InfoTask(size, 30_000, buffer), { transfer: [buffer] }));
  const controller = new own.AbortController();
  const cancelled = mp.push(new InfoTask(loops, Infinity), { signal: controller.signal });
  controller.abort();
  console.log("line", (await cancelled).status);
  await mp.stop();
} else {
  mp.push(new InfoTask(loops, Infinity));
  mp.push(new InfoTask(loops, Infinity));
  while ((await mp.stats()).running < 2) await new Promise((wake) => setTimeout(wake, 10));
  if (end === "exit") process.exit(3);
  await mp.terminate();
}
