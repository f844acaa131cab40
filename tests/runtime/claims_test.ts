/** What a worker was about to run, in a file that outlives its process. */
import { assert, assertEquals } from "@std/assert";
import { closeSync, openSync } from "node:fs";
import { type Claimed, readClaims } from "../../src/runtime/claims.ts";

const CLAIMS = new URL("../../src/runtime/claims.ts", import.meta.url).href;

/** Runs the source in a process whose standard input is the file, and reads that. */
async function claimed(source: string): Promise<Claimed> {
  const { spawn } = await import("node:child_process");
  const path = await Deno.makeTempFile();
  const file = openSync(path, "w+");
  await Deno.remove(path);
  const program = `data:text/javascript,${
    encodeURIComponent(`import { Claims } from "${CLAIMS}";
    const tasks = (from, count) => {
      let first;
      for (let task = from + count - 1; task >= from; task--) first = { task, attempt: 1, noted: false, next: first };
      return first;
    };
    ${source}`)
  }`;
  const child = spawn(Deno.execPath(), ["run", "--no-prompt", program], {
    stdio: [file, "inherit", "inherit"],
  });
  const code = await new Promise((resolve) => child.on("exit", resolve));
  try {
    assertEquals(code, 0);
    return readClaims(file);
  } finally {
    closeSync(file);
  }
}

Deno.test("a task is written down before it is begun, and none behind one that may take long", async () => {
  const seen = await claimed("new Claims(3).note(tasks(10, 5), 1_000);");
  assertEquals([...seen].filter(([id]) => id > 0), [[10, { attempt: 1, at: 1_000 }]]);
});

Deno.test("quick tasks are written down together, each once", async () => {
  const seen = await claimed(`const claims = new Claims(0);
    let at = 1_000;
    for (let task = tasks(1, 100); task; task = task.next) claims.note(task, at += 0.002);`);
  assertEquals(
    [...seen.keys()].filter((id) => id > 0).sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
});

Deno.test("of a worker that has run many the last are known", async () => {
  const seen = await claimed(`const claims = new Claims(1);
    for (let task = 1; task <= 10_000; task++) {
      claims.note({ task, attempt: 1, noted: false, next: undefined }, task);
    }`);
  for (let id = 10_000; id > 6_000; id--) assert(seen.has(id), `${id}`);
});

Deno.test("of a task that was begun more than once the last time is known, whichever worker it was", async () => {
  const seen = await claimed(`for (const [region, attempt] of [[0, 2], [1, 1], [2, 3]]) {
      new Claims(region).note({ task: 7, attempt, noted: false, next: undefined }, 100 * attempt);
    }`);
  assertEquals(seen.get(7), { attempt: 3, at: 300 });
});

Deno.test("a worker whose task has closed the file cannot write down any more, and knows before it begins", async () => {
  const seen = await claimed(`import { closeSync } from "node:fs";
    const claims = new Claims(0);
    const [first, second] = [tasks(1, 1), tasks(2, 1)];
    const before = claims.mayNote(first);
    claims.note(first, 1_000);
    closeSync(0);
    // What is written down may be begun.
    const after = [claims.mayNote(first), claims.mayNote(second)];
    if (before && after[0] && !after[1]) Deno.exit(0);
    throw new Error(\`\${before}, \${after}\`);`);
  assertEquals([...seen.keys()].filter((id) => id > 0), [1]);
});
