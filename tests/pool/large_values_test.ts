/** Large values travel sealed, so that no thread in between reads them: nothing else about them is to change. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, type MultiProcessOptions } from "../../mod.ts";
import { fixture, withPool } from "../helpers.ts";

const MIB = 2 ** 20;
const LIMIT = 30_000;

const task = (name: string, ...args: unknown[]) => new InfoTask(fixture(`large.ts#${name}`), LIMIT, ...args);

/** Bytes that are not all the same. */
function bytes(length: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  for (let i = 0; i < length; i += 4_093) all[i] = i;
  return all;
}

const KINDS: MultiProcessOptions[] = [
  { size: 1, isolation: "thread" },
  { size: 1, isolation: "process" },
  // Another attempt needs the arguments again.
  { size: 1, isolation: "thread", retry: { maxAttempts: 2, minTimeout: 1 } },
];

for (const options of KINDS) {
  const { isolation, retry } = options;
  Deno.test(`large values arrive as they were (${isolation}${retry ? ", tried again" : ""})`, async () => {
    await withPool(options, async (mp) => {
      for (const length of [1_000, 300_000, MIB, 5 * MIB]) {
        const sent = bytes(length);
        // Copied there and back: what was sent can be used again.
        assertEquals(await mp.run(task("echo", sent)), sent, `${length} bytes copied`);
        assertEquals(sent.byteLength, length);
        assertEquals(await mp.run(task("echo", sent.buffer)), sent.buffer);
        assertEquals(await mp.run(task("second", 1, sent)), sent);
        // A large result of small arguments, and the other way around.
        assertEquals((await mp.run(task("make", length)) as Uint8Array).length, length);
        assertEquals(await mp.run(task("length", sent)), length);
        // Within an object.
        assertEquals(await mp.run(task("echo", { deep: [sent] })), { deep: [sent] });
        const moved = bytes(length);
        const back = await mp.run(task("move", moved), { transfer: [moved.buffer] });
        assertEquals(back, sent, `${length} bytes moved`);
        assertEquals(moved.byteLength, 0, "what was moved is no longer here");
      }
    });
  });
}

Deno.test("a large value that cannot be sent fails its task, and moves nothing", async () => {
  await withPool({ size: 1, isolation: "thread" }, async (mp) => {
    const large = bytes(5 * MIB);
    const outcome = await mp.push(task("echo", large, () => {}), { transfer: [large.buffer] });
    assert(outcome.status === "failed");
    assertEquals((outcome.error as Error).name, "DataCloneError");
    assertEquals(large.byteLength, 5 * MIB);
    assertEquals((await mp.push(task("cannotBeSent", 5 * MIB))).status, "failed");
    assertEquals(await mp.run(task("length", large)), 5 * MIB);
  });
});

Deno.test("large values of tasks that are cancelled, hang or crash leave nothing behind", async () => {
  // The sanitizer for resources sees ports that are left open.
  await withPool({ size: 1, spares: 1, isolation: "thread" }, async (mp) => {
    const controller = new AbortController();
    const held = mp.push(new InfoTask(fixture("tasks.ts#sleep"), LIMIT, 300));
    const cancelled = [1, 2, 3].map(() =>
      mp.push(task("echo", bytes(5 * MIB)), { signal: controller.signal })
    );
    controller.abort();
    for (const outcome of cancelled) assertEquals((await outcome).status, "cancelled");
    await held;
    const hung = await mp.push(new InfoTask(fixture("large.ts#hang"), 50, bytes(5 * MIB)));
    assertEquals(hung.status, "timed-out");
    const late = await mp.push(new InfoTask(fixture("large.ts#late"), 50, 5 * MIB));
    assertEquals(late.status, "timed-out");
    assertEquals(
      (await mp.push(new InfoTask(fixture("tasks.ts#exit"), LIMIT, bytes(MIB)))).status,
      "crashed",
    );
    assertEquals(await mp.run(task("length", bytes(MIB))), MIB);
  });
});

Deno.test("a task cannot read the large values of others by patching channels and ports", async () => {
  await withPool({ size: 1, spares: 0, isolation: "thread" }, async (mp) => {
    assertEquals(await mp.run(task("patch")), undefined);
    const sent = bytes(5 * MIB);
    const back = await mp.run(task("move", sent), { transfer: [sent.buffer] }) as Uint8Array;
    assertEquals(back.length, 5 * MIB);
    assertEquals(await mp.run(task("overheard")), 0);
  });
});
