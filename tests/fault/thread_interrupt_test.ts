/** What an interrupt ends: the pool also asks, and so nearly never needs one. Here there is nothing else. */
import { assertEquals } from "@std/assert";
import { createLink } from "../../src/runtime/link.ts";
import { startThread } from "../../src/runtime/thread.ts";
import { isAtLeast } from "../../src/runtime/version.ts";
import type { WorkerSetup } from "../../src/wire/protocol.ts";
import { fixture, sample } from "../helpers.ts";

const SETUP: WorkerSetup = {
  initializer: undefined,
  memoryLimit: undefined,
  output: "ignore",
  maxMemoryBeforeRecycle: undefined,
  env: undefined,
  argv: undefined,
  nice: 0,
};
/** How many are interrupted at once, of each kind. */
const THREADS = 4;
const ROUNDS = 2;
/** Kinds of `polls.ts`, and how many lost their interrupt: by chance, of ten. */
const KINDS = [
  // 4
  "stats",
  "readsByDefault",
  "locks",
  "base64",
  "texts",
  // 8
  "inspects",
  "randoms",
  "inspectsBetween",
  // None: here nothing is called that throws.
  "nothing",
];

/** Starts a thread that runs a task. It never ends by itself. */
async function loop(kind: string): Promise<{ kill(): unknown; gone: Promise<void> }> {
  const ready = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const { link, port } = createLink("thread", {
    message: (message) => typeof message === "object" && message.type === "ready" && ready.resolve(),
    gone: gone.resolve,
  });
  const handle = startThread({ isolation: "thread", setup: SETUP, hurried: false }, port, link.memory, {
    gone() {},
    undeliverable() {},
  });
  await ready.promise;
  const module = { module: 1, specifier: "polls.ts", url: fixture("polls.ts"), exported: kind };
  link.post({ type: "modules", modules: [module] });
  link.offer(0, 0);
  link.post({
    type: "run-one",
    seq: 0,
    task: 1,
    id: 1,
    attempt: 1,
    slot: 1,
    module: 1,
    args: [],
    inner: undefined,
  });
  while (link.look(0)?.loading !== false) await new Promise((resolve) => setTimeout(resolve));
  return { kill: () => handle.kill(), gone: gone.promise };
}

Deno.test({
  name: "an interrupt ends a thread at whatever moment it comes",
  ignore: Deno.build.os !== "linux" || !isAtLeast([2, 9, 4]),
  sanitizeResources: false,
  sanitizeOps: false,
  async fn(test) {
    for (const kind of sample(KINDS)) {
      await test.step(kind, async () => {
        for (let round = 0; round < ROUNDS; round++) {
          const threads = await Promise.all(Array.from({ length: THREADS }, () => loop(kind)));
          for (const { kill } of threads) void kill();
          let timer;
          const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), 30_000));
          const all = Promise.all(threads.map(({ gone }) => gone)).then(() => "gone" as const);
          assertEquals(await Promise.race([all, late]), "gone");
          clearTimeout(timer);
        }
      });
    }
  },
});
