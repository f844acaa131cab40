import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Fleet, type FleetOptions, serve, type ServeOptions } from "../../src/bullmq/mod.ts";
import { readFleetOptions, readServeOptions } from "../../src/bullmq/read_options.ts";
import { createPostgresBackend } from "bullmq";

const root = import.meta.resolve("../fixtures/fleet/");
const GOOD: FleetOptions = { queue: "q", name: "web-1", root, connection: "redis://127.0.0.1:1" };
const MACHINE: ServeOptions = { queue: "q", root, connection: "redis://127.0.0.1:1" };

type ErrorClass = new (message?: string) => Error;

const SHARED: [key: string, value: unknown, Class: ErrorClass, message: string][] = [
  ["queue", undefined, TypeError, `"queue" is required`],
  ["queue", 1, TypeError, `"queue" must be a string, received 1`],
  ["queue", "a:b", RangeError, `"queue" must be 1 to 100 letters`],
  ["queue", "", RangeError, `"queue" must be 1 to 100 letters`],
  ["root", undefined, TypeError, `"root" is required`],
  ["root", 1, TypeError, `"root" must be a string or a URL`],
  ["root", import.meta.resolve("./no_such/"), RangeError, "does not exist"],
  ["root", import.meta.url, RangeError, "is no folder"],
  ["root", "https://example.com/tasks", RangeError, `must end with "/"`],
  ["root", "data:text/javascript,1", RangeError, "a path or the URL of a folder"],
  ["connection", undefined, TypeError, `"connection" is required`],
  ["connection", 6379, TypeError, "a URL, options for ioredis, or { store, backend }"],
  ["connection", "localhost:6379", TypeError, "a URL such as"],
  ["connection", "http://user:secret@localhost", TypeError, "a URL such as"],
  ["connection", { store: {}, backend: 1 }, TypeError, `"backend" must be a function`],
  ["connection", { defineCommand() {} }, TypeError, "not a client"],
  ["modules", "a", TypeError, `"modules" must be an array`],
  ["modules", [1], TypeError, `"modules": each must be a string or a URL`],
  ["modules", ["lodash"], TypeError, "import.meta.resolve"],
  ["connectTimeout", -1, RangeError, `"connectTimeout" must be at least 0`],
  ["onError", "log", TypeError, `"onError" must be a function`],
  ["maxBytes", 0, RangeError, `"maxBytes" must be an integer of at least 1`],
  ["conection", "x", TypeError, `unknown option "conection"`],
];

const FLEET: typeof SHARED = [
  ["name", undefined, TypeError, `"name" is required`],
  ["name", "web 1", RangeError, `"name" must be 1 to 100 letters`],
  ["checkInterval", 0, RangeError, `"checkInterval" must be a finite number above 0`],
  ["maxQueue", -1, RangeError, `"maxQueue" must be an integer of at least 0`],
  ["retry", { on: ["ok"] }, RangeError, `"on": each must be one of`],
  ["size", 4, TypeError, `unknown option "size"`],
];

const SERVE: typeof SHARED = [
  ["name", 1, TypeError, `"name" must be a string`],
  ["pool", "many", TypeError, `"pool" must be a size or the options of a pool`],
  ["pool", 0, RangeError, "must be an integer of at least 1"],
  ["pool", { size: 2, maxQueue: 3 }, TypeError, `"maxQueue" is for the producer to say`],
  ["pool", { sise: 2 }, TypeError, `unknown option "sise"`],
  ["prefetch", -1, RangeError, `"prefetch" must be an integer of at least 0`],
  ["lockDuration", 10, RangeError, `"lockDuration" must be an integer of at least 100`],
  ["maxCrashes", 0, RangeError, `"maxCrashes" must be an integer of at least 1`],
  ["grace", -1, RangeError, `"grace" must be at least 0`],
  ["keep", -1, RangeError, `"keep" must be an integer of at least 0`],
  ["maxQueue", 1, TypeError, `unknown option "maxQueue"`],
];

Deno.test("new Fleet() refuses what is wrong with an option, by its name", () => {
  for (const [key, value, Class, message] of [...SHARED, ...FLEET]) {
    assertThrows(() => new Fleet({ ...GOOD, [key]: value }), Class, message);
  }
});

Deno.test("serve() refuses what is wrong with an option, by its name", async () => {
  for (const [key, value, Class, message] of [...SHARED, ...SERVE]) {
    await assertRejects(() => serve({ ...MACHINE, [key]: value }), Class, message);
  }
});

Deno.test("new Fleet() tells nobody the password in a URL", () => {
  const error = assertThrows(
    () => new Fleet({ ...GOOD, connection: "http://user:secret@localhost" }),
    TypeError,
  );
  assertEquals(error.message.includes("secret"), false);
});

Deno.test("new Fleet() refuses names that PostgreSQL would truncate", () => {
  const connection = { store: {}, backend: createPostgresBackend };
  assertThrows(
    () => new Fleet({ ...GOOD, connection, queue: "q".repeat(20), name: "n".repeat(20) }),
    RangeError,
    `"queue" and "name" together must have at most 34 letters`,
  );
});

Deno.test("new Fleet() and serve() take a folder as a path or a URL, with or without a slash at its end", () => {
  const url = (given: string | URL) => readFleetOptions({ ...GOOD, root: given }).modules.urlOf("tasks.ts");
  const expected = new URL("tasks.ts", root).href;
  for (
    const given of [root, root.slice(0, -1), new URL(root), fromFileUrl(root), fromFileUrl(root).slice(0, -1)]
  ) {
    assertEquals(url(given), expected);
  }
});

Deno.test("new Fleet() and serve() fill in the defaults", () => {
  const { maxBytes, checkInterval, connectTimeout, entry } = readFleetOptions(GOOD);
  assertEquals({ maxBytes, checkInterval, connectTimeout }, {
    maxBytes: 2 ** 20,
    checkInterval: 30_000,
    connectTimeout: 10_000,
  });
  assertEquals([entry.size, entry.concurrency, entry.maxQueue, entry.name], [0, 64, Infinity, "web-1"]);
  const machine = readServeOptions(MACHINE);
  assertEquals(
    [
      machine.prefetch,
      machine.lockDuration,
      machine.maxCrashes,
      machine.grace,
      machine.keep,
      machine.maxBytes,
    ],
    [0, 15_000, 3, 10_000, 100, 2 ** 20],
  );
  assertEquals([machine.pool.size, machine.pool.name], [navigator.hardwareConcurrency, machine.name]);
  assertEquals(
    readServeOptions({ ...MACHINE, pool: { size: 3, isolation: "process" } }).pool.isolation,
    "process",
  );
});
