/**
 * Runs snippets that nobody vouches for: each in a process that may do nothing, within a second and 64 MiB.
 *
 * ```sh
 * deno task example:untrusted
 * ```
 *
 * @module
 */
import { InfoTask, MultiProcess } from "@cm/multiprocess";

/** What somebody has sent. */
const SNIPPETS: Record<string, string> = {
  "adds numbers": "return [1, 2, 3].reduce((a, b) => a + b)",
  "never ends": "for (;;);",
  "never ends, and catches what it can": "for (;;) try { Deno.statSync('/nowhere') } catch {}",
  "reads a file": "return Deno.readTextFileSync('/etc/passwd')",
  "asks a server": "return await (await fetch('http://127.0.0.1:8080/')).text()",
  "looks at the environment": "return Deno.env.toObject()",
  "starts a program": "return new Deno.Command('id').outputSync()",
  "exits": "Deno.exit(7)",
  "fills the memory": "const all = []; for (;;) all.push(new Uint8Array(2 ** 20).fill(1))",
  "throws": "throw new Error('thrown')",
};

const mp = new MultiProcess({ size: 2, isolation: "process", permissions: "none", memoryLimit: 64 });
await mp.start();

await Promise.all(
  Object.entries(SNIPPETS).map(async ([what, body]) => {
    const module = `data:text/javascript,${encodeURIComponent(`export default async () => { ${body} }`)}`;
    const outcome = await mp.push(new InfoTask(module, 1_000));
    const told = outcome.status === "ok" ? String(outcome.value) : outcome.error.message;
    const color = outcome.status === "ok" ? "green" : "red";
    console.log(
      `%c${outcome.status.padEnd(9)}%c  ${what.padEnd(35)}  ${shorten(told)}`,
      `color: ${color}`,
      "",
    );
  }),
);
await mp.stop();

/** One line, without the name of the task: that is the snippet itself. */
function shorten(text: string): string {
  return text.replace(/^Task \d+ \(.*?\) /, "").replaceAll(/\s+/g, " ").slice(0, 70);
}
