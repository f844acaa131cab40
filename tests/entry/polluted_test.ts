/** What somebody hung on `Object.prototype` is nobody's option: only own properties are read, wherever one is. */
import { assertEquals, assertThrows } from "@std/assert";
import {
  InfoTask,
  type MapOptions,
  MultiProcess,
  type MultiProcessOptions,
  TaskLoadError,
} from "../../mod.ts";
import type { PushOptions, RetryOptions } from "../../mod.ts";
import { readMapOptions, readPoolOptions, readPushOptions } from "../../src/entry/read_options.ts";
import { childPermissions } from "../../src/runtime/permissions.ts";
import { fixture } from "../helpers.ts";

const echo = (n: unknown) => new InfoTask(fixture("tasks.ts#echo"), 5_000, n);

/** Runs something while all objects seem to have these properties. */
function polluted<T>(properties: object, run: () => T): T {
  const keys = Object.keys(properties);
  for (const key of keys) {
    const value = (properties as Record<string, unknown>)[key];
    // Not to be written over either: who makes options by assigning them must not trip.
    Object.defineProperty(Object.prototype, key, { value, configurable: true, writable: false });
  }
  try {
    return run();
  } finally {
    for (const key of keys) delete (Object.prototype as unknown as Record<string, unknown>)[key];
  }
}

/** Every option, with a value that it may have and that is not its default. */
const POOL: Required<MultiProcessOptions> = {
  size: 7,
  minSize: 0,
  idleTimeout: 7,
  spares: 7,
  maxSpares: 7,
  isolation: "process",
  bridge: false,
  maxQueue: 0,
  maxTasksPerWorker: 1,
  maxMemoryBeforeRecycle: 7,
  retry: { maxAttempts: 7 },
  initializer: "data:text/javascript,throw 7",
  env: "none",
  argv: ["7"],
  output: "ignore",
  cwd: "/",
  v8Flags: ["--expose-gc"],
  loadTimeout: 7,
  memoryLimit: 7,
  permissions: "none",
  callbackTimeout: 7,
  disposeTimeout: 7,
  onCallbackError: () => {},
  name: "seven",
  killGrace: 7,
  cancelGrace: 7,
  timeoutGrace: 7,
  maxZombies: 7,
  maxRestarts: 7,
  nice: 7,
};
const RETRY: Required<RetryOptions> = {
  maxAttempts: 7,
  minTimeout: 7,
  maxTimeout: 7,
  multiplier: 7,
  jitter: 0.7,
  on: ["timed-out"],
};
const PUSH: Required<PushOptions> = {
  callback: () => {},
  errorCallback: () => {},
  signal: AbortSignal.abort(),
  priority: 7,
  retry: RETRY,
  softTimeout: 7,
  cancelGrace: 7,
  timeoutGrace: 7,
  transfer: [new ArrayBuffer(7)],
  onProgress: () => {},
  label: "seven",
};
const MAP: Required<MapOptions> = { ...PUSH, ordered: false, concurrency: 7, transfer: () => [] };

/** What an object says of itself when it is asked for a property, as the pool asks. */
const seen = <T extends object>(options: T, keys: object) =>
  Object.keys(keys).map((key) => [key, (options as Record<string, unknown>)[key]]);

Deno.test("no option is taken from Object.prototype, whoever reads it", async (test) => {
  const cases: [what: string, pollution: object, read: () => object][] = [
    ["of a pool, with none", POOL, () => readPoolOptions(undefined)],
    ["of a pool, with its size", POOL, () => readPoolOptions(2)],
    ["of a pool, with others", POOL, () => readPoolOptions({ maxZombies: 3, retry: {} })],
    ["of a push", PUSH, () => readPushOptions({})],
    ["of a push, with another", PUSH, () => readPushOptions({ priority: 3 })],
    ["of a push that is retried", { ...PUSH, ...RETRY }, () => readPushOptions({ retry: {} })],
    ["of a retry", RETRY, () => readPushOptions({ retry: { maxAttempts: 2 } }).retry!],
    ["of a map", MAP, () => readMapOptions({})],
    ["of a map, with another", MAP, () => readMapOptions({ ordered: true })],
    [
      "of permissions",
      { read: true, write: true, net: true, env: true, run: true, ffi: true, sys: true },
      () => ({
        __proto__: null,
        read: childPermissions(readPoolOptions({ permissions: { net: ["127.0.0.1:1"] } }).permissions).flags,
      }),
    ],
  ];
  for (const [what, pollution, read] of cases) {
    await test.step(what, async (test) => {
      const clean = seen(read(), pollution);
      // One by one, and all at once.
      for (const [key, value] of Object.entries(pollution)) {
        await test.step(
          key,
          () => polluted({ [key]: value }, () => assertEquals(seen(read(), pollution), clean)),
        );
      }
      polluted(pollution, () => assertEquals(seen(read(), pollution), clean));
    });
  }
});

Deno.test("an unknown option on Object.prototype is not refused, an own one is", () => {
  polluted({ unknown: 1 }, () => readPoolOptions({ size: 1 }));
  assertThrows(() => readPoolOptions({ unknown: 1 }), TypeError, 'unknown option "unknown"');
});

Deno.test("an error has no task and no cause that it was not given", () => {
  polluted({ task: 7, cause: 7 }, () => {
    const error = new TaskLoadError("Cannot load");
    assertEquals([error.task, Object.hasOwn(error, "cause")], [undefined, false]);
  });
});

Deno.test("MultiProcess runs tasks as ever while Object.prototype is full of options", async () => {
  const called: unknown[] = [];
  const hooks = { callback: called.push, errorCallback: called.push, onProgress: called.push };
  const retry = { maxAttempts: 3, on: ["failed"] };
  const everything = {
    ...POOL,
    ...hooks,
    onCallbackError: called.push,
    retry,
    priority: -7,
    softTimeout: 1,
    transfer: [],
    ordered: false,
  };
  const mp = polluted({ ...everything, concurrency: 1 }, () => new MultiProcess({ size: 1, spares: 0 }));
  polluted(everything, () => void mp.start());
  const outcomes = polluted(everything, () => [
    mp.push(echo(1)),
    mp.push(echo(2), {}),
    mp.push(echo(3), { priority: 1 }),
    mp.push(new InfoTask(fixture("tasks.ts#fail"), 5_000, "no"), {}),
  ]);
  const facts = (await Promise.all(outcomes)).map(({ status, attempts }) => [status, attempts]);
  assertEquals(facts, [["ok", 1], ["ok", 1], ["ok", 1], ["failed", 1]]);
  const { callbackErrors, failed, ok } = await mp.stop();
  assertEquals([callbackErrors, failed, ok, called], [0, 1, 3, []]);
});
