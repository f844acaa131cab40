/**
 * The server of `server.ts` under load: 2 000 requests, of which every tenth hangs, 32 at once. Prints how they were
 * answered.
 *
 * ```sh
 * deno task example:server:load [REQUESTS [LIMIT_MS]]
 * ```
 *
 * The limit of a task counts from the start of its run. In a pool whose limit counts the waiting too, the good requests
 * behind those that hang pass their limit in the queue: most of them are lost.
 *
 * @module
 */
import { startServer } from "./server.ts";

const REQUESTS = Number(Deno.args[0] ?? 2_000);
const AT_ONCE = 32;

const server = await startServer(0, Deno.args[1] === undefined ? undefined : Number(Deno.args[1]));
const startedAt = performance.now();
const answers = { good: new Map<number, number>(), hung: new Map<number, number>() };
const waits: number[] = [];
let next = 0;

/** Asks, hears the answer, and asks again, as long as there are requests left. */
async function client(): Promise<void> {
  while (next < REQUESTS) {
    const hangs = next++ % 10 === 5;
    const askedAt = performance.now();
    const response = await fetch(
      `http://127.0.0.1:${server.port}/run/${hangs ? "hang" : "shout?input=hello"}`,
    );
    await response.body?.cancel();
    const { status } = response;
    const kind = hangs ? answers.hung : answers.good;
    kind.set(status, (kind.get(status) ?? 0) + 1);
    if (!hangs) waits.push(performance.now() - askedAt);
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, client));
const seconds = (performance.now() - startedAt) / 1_000;
await server.stop();

waits.sort((a, b) => a - b);
const at = (share: number) => `${waits[Math.floor(share * (waits.length - 1))]!.toFixed()} ms`;
console.log(`${REQUESTS} requests in ${seconds.toFixed(1)} s`);
console.log(`good: ${list(answers.good)}; half within ${at(0.5)}, 99 % within ${at(0.99)}`);
console.log(`hung: ${list(answers.hung)}`);

function list(answers: Map<number, number>): string {
  return [...answers].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`).join(", ");
}
