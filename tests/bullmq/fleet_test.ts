import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { InfoTask, type Outcome, PoolStateError, WorkerCrashError } from "../../mod.ts";
import { Fleet, serve } from "../../src/bullmq/mod.ts";
import { outcomesOf } from "../../src/bullmq/wire.ts";
import { Load, until } from "../helpers.ts";
import { HOSTILE } from "./hostile.ts";
import { LOCK, Notes, ROOT, task, TOLD } from "./machines.ts";
import { freePort, hasRedis, RedisServer, useRedis } from "./redis.ts";
import { Place } from "./stores.ts";

const redis = useRedis();

/** A test with a queue of its own in the Redis of this file. */
function test(name: string, fn: (place: Place) => Promise<void>): void {
  Deno.test({ name, ignore: !hasRedis, fn: () => fn(new Place("redis", redis().port)) });
}

/** Does something with the queue itself, as somebody would who can write to Redis. */
async function withQueue<T>(name: string, use: (queue: Queue) => Promise<T>): Promise<T> {
  const client = new Redis(redis().url, { maxRetriesPerRequest: null } as never);
  const queue = new Queue(name, { connection: client as never });
  try {
    return await use(queue);
  } finally {
    await queue.close();
    client.disconnect();
  }
}

const statusOf = ({ status }: Outcome) => status;

// What the door says

Deno.test("Fleet.start() rejects when no Redis answers in time, and tasks pushed before are crashed", async () => {
  const errors: string[] = [];
  const connection = `redis://127.0.0.1:${freePort()}`;
  const onError = ({ message }: Error) => errors.push(message);
  const fleet = new Fleet({ queue: "q", name: "p", root: ROOT, connection, connectTimeout: 600, onError });
  const started = assertRejects(() => fleet.start(), Error, "No answer from 127.0.0.1:");
  const outcome = await fleet.push(new InfoTask(task("add"), 1_000, 1, 2));
  assertStringIncludes((await started).message, "within 600 ms (connectTimeout)");
  assert(outcome.status === "crashed" && outcome.error instanceof WorkerCrashError);
  assertStringIncludes(outcome.error.message, "No answer from");
  await fleet.stop();
  assertEquals(errors.length, 1);
  assertStringIncludes(errors[0]!, "Cannot reach 127.0.0.1:");
});

Deno.test("serve() rejects when no Redis answers in time", async () => {
  const connection = `redis://127.0.0.1:${freePort()}`;
  await assertRejects(
    () => serve({ queue: "q", root: ROOT, connection, connectTimeout: 500, pool: 1, onError: () => {} }),
    Error,
    "No answer from 127.0.0.1:",
  );
});

Deno.test({
  name: "Fleet.start() and serve() reject when Redis refuses the password, or an ACL does",
  ignore: !hasRedis,
  fn: async () => {
    await using server = await RedisServer.start("--requirepass", "right");
    const auth = ["--user", "default", "-a", "right"];
    await server.ask(
      ...auth,
      "ACL",
      "SETUSER",
      "reader",
      "on",
      ">pw",
      "~*",
      "+ping",
      "+info",
      "+client",
      "+hello",
    );
    const { port } = server;
    for (
      const connection of [
        `redis://127.0.0.1:${port}`,
        `redis://:wrong@127.0.0.1:${port}`,
        { host: "127.0.0.1", port, username: "nobody", password: "right" },
        `redis://reader:pw@127.0.0.1:${port}`,
      ]
    ) {
      const options = { queue: "q", root: ROOT, connection, onError: () => {} };
      await assertRejects(() => serve({ ...options, pool: 1 }), Error, "refuses: ");
      const fleet = new Fleet({ ...options, name: "p" });
      const error = await assertRejects(() => fleet.start(), Error, "refuses: ");
      assertEquals(error.message.includes("wrong"), false);
      await fleet.stop();
    }
    // The rights that the documentation names are enough.
    const rights = "resetkeys ~bull:* -@all +@read +@write +@scripting +@connection +@transaction +info";
    await server.ask(...auth, "ACL", "SETUSER", "tasks", "on", ">pw", ...rights.split(" "));
    const place = new Place("redis", port);
    const connection = `redis://tasks:pw@127.0.0.1:${port}`;
    await using _machine = await place.serve({ connection });
    await using fleet = place.fleet({ connection });
    await fleet.start();
    assertEquals(await fleet.run(new InfoTask(task("add"), 20_000, 1, 2)), 3);
    assertEquals(await fleet.machines(), 1);
  },
});

Deno.test({
  name: "Fleet.push() waits for a Redis that comes later",
  ignore: !hasRedis,
  fn: async () => {
    await using server = await RedisServer.start();
    await server.stop();
    const errors: Error[] = [];
    const place = new Place("redis", server.port);
    const fleet = place.fleet({ onError: (error) => errors.push(error), connectTimeout: 60_000 });
    const started = fleet.start();
    const pushed = fleet.push(new InfoTask(task("add"), 20_000, 1, 2));
    await until(() => errors.length > 0, 20_000, "told of the outage");
    await server.start();
    await started;
    const machine = await place.serve();
    assertEquals(statusOf(await pushed), "ok");
    await fleet.stop();
    await machine.stop();
    assertEquals(errors.length, 1);
  },
});

test("Fleet.start() rejects a name that a living producer has, and takes it when that one has gone", async (place) => {
  const first = place.fleet({ name: "web" });
  await first.start();
  const second = place.fleet({ name: "web" });
  const since = performance.now();
  await assertRejects(() => second.start(), Error, `has the name "web"`);
  assert(performance.now() - since < 8_000);
  await second.stop();
  // Whoever refused to share the name is not harmed.
  await using _machine = await place.serve();
  assertEquals(await first.run(new InfoTask(task("add"), 20_000, 1, 2)), 3);
  const third = place.fleet({ name: "web" });
  const started = third.start();
  await first.stop();
  await started;
  await third.stop();
});

test("Fleet.start() gives a name to one of those that start at once", async (place) => {
  const fleets = Array.from({ length: 4 }, () => place.fleet({ name: "web" }));
  const started = await Promise.allSettled(fleets.map((fleet) => fleet.start()));
  assertEquals(started.filter(({ status }) => status === "fulfilled").length, 1);
  await Promise.all(fleets.map((fleet) => fleet.stop()));
});

test("Fleet.push() and serve() fail what takes more than maxBytes", async (place) => {
  await using _machine = await place.serve({ maxBytes: 1_000 });
  await using fleet = place.fleet({ maxBytes: 1_000 });
  await fleet.start();
  const error = await assertRejects(
    () => fleet.run(new InfoTask(task("same"), 20_000, "x".repeat(1_000))),
    RangeError,
    "its arguments take 1004 bytes, of 1000 (maxBytes)",
  );
  assert("task" in error);
  await assertRejects(
    () => fleet.run(new InfoTask(task("large"), 20_000, 2_000)),
    RangeError,
    "of 1000 (maxBytes)",
  );
  assertEquals(await fleet.run(new InfoTask(task("same"), 20_000, "y".repeat(500))), "y".repeat(500));
});

test("Fleet.push() fails a module that no machine may run, and machines run what they list", async (place) => {
  const outside = import.meta.resolve("../fixtures/fleet_outside.ts");
  await using _machine = await place.serve({ modules: [outside] });
  const fleet = place.fleet();
  await fleet.start();
  await assertRejects(
    () => fleet.run(new InfoTask(outside, 20_000)),
    TypeError,
    "No machine can run the module",
  );
  await fleet.stop();
  const listing = place.fleet({ modules: [outside] });
  await listing.start();
  assertEquals(await listing.run(new InfoTask(outside, 20_000)), "outside");
  await listing.stop();
});

// Who writes to Redis

test("serve() refuses hostile names, foreign versions and damaged jobs, and goes on", async (place) => {
  await using _machine = await place.serve();
  const fleet = place.fleet({ name: "web" });
  await fleet.start();
  const good = { v: 1, to: "other", module: "tasks.ts#add", timeout: 20_000, args: { json: [1, 2] } };
  const jobs: [id: string, data: unknown][] = [
    ...HOSTILE.map((module, i): [string, unknown] => [`hostile-${i + 1}`, { ...good, module }]),
    ["damaged-1", { ...good, v: 99 }],
    ["damaged-2", { ...good, args: { v8: "AAAA" } }],
    ["damaged-3", { ...good, args: { json: 3 } }],
    ["damaged-4", { ...good, timeout: -1 }],
    ["damaged-5", { ...good, retry: "often" }],
    ["damaged-6", { ...good, args: undefined }],
    ["good-1", good],
  ];
  const unanswerable: [id: string, data: unknown][] = [
    ["nobody-1", { ...good, to: "../x:y" }],
    ["nobody-2", {}],
    ["nobody-3", null],
    ["nobody-4", [1]],
  ];
  await withQueue(place.queue, async (queue) => {
    for (const [jobId, data] of [...unanswerable, ...jobs]) {
      await queue.add("x", data, { jobId, attempts: 1 });
    }
    await until(
      async () => await queue.getFailedCount() + await queue.getCompletedCount() === jobs.length + 4,
      60_000,
      "all",
    );
    assertEquals((await queue.getCompleted()).map(({ id }) => id), ["good-1"]);
  });
  await withQueue(outcomesOf(place.queue, "other"), async (queue) => {
    const outcomes = await queue.getJobs(["waiting"]);
    assertEquals(outcomes.length, jobs.length);
    for (const { id, name } of outcomes) assertEquals(name, id === "good-1" ? "ok" : "failed", id);
    await queue.obliterate();
  });
  assertEquals(await fleet.run(new InfoTask(task("add"), 20_000, 1, 2)), 3);
  await fleet.stop();
});

test("Fleet imports nothing but its own modules for outcomes of an earlier life", async (place) => {
  const errors: string[] = [];
  const outcome = { json: { status: "ok", attempts: 1, waitedMs: 0, ranMs: 0, callbacks: 3, value: 1 } };
  const good = {
    v: 1,
    outcome,
    reported: 0,
    machine: "m",
    task: { module: "x", timeout: 1, args: { json: [] } },
  };
  await withQueue(outcomesOf(place.queue, "web"), async (queue) => {
    for (const [i, module] of HOSTILE.entries()) {
      await queue.add("ok", { ...good, task: { ...good.task, module } }, { jobId: `earlier-${i + 1}` });
    }
    await queue.add("ok", { ...good, v: 2 }, { jobId: "earlier-98" });
    await queue.add("ok", null, { jobId: "earlier-99" });
  });
  const fleet = place.fleet({ name: "web", onError: ({ message }) => errors.push(message) });
  await fleet.start();
  await withQueue(outcomesOf(place.queue, "web"), async (queue) => {
    const left = async () => await queue.getWaitingCount() + await queue.getActiveCount();
    await until(async () => await left() === 0, 20_000, "all taken");
  });
  const { pushed, callbackErrors } = await fleet.stop();
  assertEquals([pushed, callbackErrors], [0, 0]);
  assert(errors.length > 0 && errors.every((message) => message.startsWith("An outcome ")));
});

// Restarts

test("Fleet.detach() leaves its tasks to the next producer of the name, with the module's callbacks", async (place) => {
  using notes = new Notes();
  const first = place.fleet({ name: "web" });
  await first.start();
  for (let id = 1; id <= 3; id++) void first.push(new InfoTask(TOLD, 20_000, notes.file, id, 0, id === 3));
  await first.flush();
  void first.push(new InfoTask(TOLD, 20_000, notes.file, 4));
  await first.detach();
  await assertRejects(() => first.start(), PoolStateError, "detached");
  assertEquals(notes.lines(), []);
  await using _machine = await place.serve();
  const second = place.fleet({ name: "web" });
  await second.start();
  await until(() => notes.lines().length === 4, 20_000, "all told");
  const summary = await second.stop();
  assertEquals([summary.pushed, summary.ok, summary.failed], [4, 3, 1]);
  const told = notes.lines().map((line) => line.split(" ").slice(0, 3).join(" ")).sort();
  assertEquals(told, ["told 1 ok", "told 2 ok", "told 3 failed", "told 4 ok"]);
});

test("Fleet.stop() leaves no key of this producer, and machines none but the queue's", async (place) => {
  await using _machine = await place.serve({ keep: 0 });
  const fleet = place.fleet({ name: "web" });
  await fleet.start();
  const onProgress = () => {};
  await fleet.push(new InfoTask(task("report"), 20_000, 3, 150), { onProgress });
  await fleet.stop();
  assertEquals(await redis().keys(`*${place.queue}.outcomes*`), []);
  assertEquals(await redis().keys(`*${place.queue}.progress*`), []);
  const rest = await redis().keys(`*${place.queue}*`);
  assertEquals(rest.filter((key) => !/:(events|meta|id|stalled-check|pc)$/.test(key)), []);
});

test("Fleet.machines() counts who serves the queue", async (place) => {
  await using fleet = place.fleet();
  assertEquals(await fleet.machines(), 0);
  await fleet.start();
  assertEquals(await fleet.machines(), 0);
  const machines = [await place.serve({ pool: 1 }), await place.serve({ pool: 1 })];
  assertEquals(await fleet.machines(), 2);
  for (const machine of machines) await machine.stop();
  await until(async () => await fleet.machines() === 0, 20_000, "both gone");
});

test("Server.stop() gives back what runs longer than its grace, and no attempt is counted for it", async (place) => {
  using notes = new Notes();
  const leaving = await place.serve({ pool: 1, name: "leaving" });
  await using fleet = place.fleet();
  await fleet.start();
  const retry = { maxAttempts: 2, minTimeout: 10, jitter: 0, on: ["timed-out"] as const };
  const pushed = fleet.push(new InfoTask(task("mark"), 2_000, notes.file, 1, 60_000), { retry });
  await until(() => notes.lines().length === 1, 20_000, "it runs");
  const since = performance.now();
  await leaving.stop(300);
  assert(performance.now() - since < 5_000);
  assertEquals(leaving.stats().givenBack, 1);
  await using _other = await place.serve({ pool: 1, name: "other" });
  const outcome = await pushed;
  // Given back once, and run twice on the other, each time to its limit.
  assertEquals([outcome.status, outcome.attempts, notes.lines().length], ["timed-out", 3, 3]);
});

// On time

test("Fleet gives a hang its outcome at its limit, and the machine goes on", async (place) => {
  for (const isolation of ["thread", "process"] as const) {
    await using _machine = await place.serve({ pool: { size: 1, isolation } });
    await using fleet = place.fleet();
    await fleet.start();
    await fleet.run(new InfoTask(task("add"), 20_000, 1, 2));
    const since = performance.now();
    const outcome = await fleet.push(new InfoTask(task("hang"), 300));
    assertEquals(outcome.status, "timed-out");
    // Idle it is 20 to 40 ms late; this machine is shared.
    assert(performance.now() - since < 2_300, `${performance.now() - since} ms`);
    assertEquals(await fleet.run(new InfoTask(task("add"), 20_000, 1, 2)), 3);
  }
});

test("Fleet tries again on an idle machine as soon as it is due", async (place) => {
  await using _one = await place.serve();
  await using _two = await place.serve();
  await using fleet = place.fleet();
  await fleet.start();
  await fleet.run(new InfoTask(task("add"), 20_000, 1, 2));
  const late: number[] = [];
  for (let i = 0; i < 5; i++) {
    await delay(300);
    const since = performance.now();
    const retry = { minTimeout: 50, jitter: 0, maxAttempts: 2 };
    assertEquals(await fleet.run(new InfoTask(task("failUntil"), 20_000, 2), { retry }), 2);
    late.push(performance.now() - since - 50);
  }
  late.sort((a, b) => a - b);
  // Of several the middle: this machine is shared. It was seconds where the wake-up was missed.
  assert(late[2]! < 1_000, `${late}`);
});

// Cancelling

test("A signal settles at once what waits, runs, hangs or is to be tried again, and none of it runs any more", async (place) => {
  using notes = new Notes();
  using load = new Load();
  await using fleet = place.fleet();
  await fleet.start();
  let id = 0;
  const cancelled = async (name: string, ms: number, ready: () => Promise<unknown>, fails = false) => {
    const controller = new AbortController();
    const retry = { maxAttempts: 3, minTimeout: 1_500, jitter: 0 };
    const target = fails
      ? new InfoTask(TOLD, 60_000, notes.file, ++id, 0, true)
      : new InfoTask(task(name), 60_000, notes.file, ++id, ms);
    const errorCallback = () => {};
    const pushed = fleet.push(target, { signal: controller.signal, retry, errorCallback });
    await ready();
    const since = performance.now();
    controller.abort();
    assertEquals(statusOf(await pushed), "cancelled");
    return performance.now() - since;
  };
  const times = [
    await cancelled("mark", 0, () => Promise.resolve()),
    await cancelled("mark", 0, () => fleet.flush()),
  ];
  assertEquals(notes.lines(), []);
  await using machine = await place.serve({ pool: 1 });
  const runs = (count: number) => () => until(() => notes.lines().length === count, 20_000, "it runs");
  times.push(await cancelled("mark", 60_000, runs(1)));
  times.push(await cancelled("markAndHang", 0, runs(2)));
  times.push(
    await cancelled("", 0, () => until(() => machine.stats().failed === 1, 20_000, "it failed"), true),
  );
  for (const ms of times) assert(ms < load.allows(1_000), `${times}`);
  const since = performance.now();
  assertEquals(await fleet.run(new InfoTask(task("add"), 20_000, 1, 2)), 3);
  assert(performance.now() - since < 5_000);
  // Longer than the back-off.
  await delay(2_000);
  assertEquals([notes.lines().length, machine.stats().failed, machine.stats().running], [2, 1, 0]);
});

test("Fleet.terminate() settles 5 000 queued tasks and leaves none in the queue", async (place) => {
  const fleet = place.fleet();
  await fleet.start();
  const pushed = Array.from({ length: 5_000 }, (_, i) => fleet.push(new InfoTask(task("add"), 1_000, i, 0)));
  await fleet.flush();
  assertEquals((await fleet.stats()).queued, 5_000);
  const since = performance.now();
  const { cancelled } = await fleet.terminate();
  // A second where nothing else runs here.
  assert(performance.now() - since < 4_000, `${performance.now() - since} ms`);
  assertEquals(cancelled, 5_000);
  assert((await Promise.all(pushed)).every(({ status }) => status === "cancelled"));
  await withQueue(place.queue, async (queue) => {
    const left = async () => Object.values(await queue.getJobCounts()).reduce((sum, count) => sum + count, 0);
    await until(async () => await left() === 0, 10_000, "none left");
  });
  // On a machine with much else to do that goes on behind it.
  await until(
    async () => !(await redis().ask("CLIENT", "LIST")).includes(" name=bull:"),
    10_000,
    "disconnected",
  );
});

test("A task that has just finished, and is cancelled, has one outcome", async (place) => {
  await using _machine = await place.serve();
  await using fleet = place.fleet();
  await fleet.start();
  await fleet.run(new InfoTask(task("add"), 20_000, 1, 2));
  for (let ms = 0; ms < 30; ms += 3) {
    let outcomes = 0;
    const note = () => outcomes++;
    const controller = new AbortController();
    const options = { signal: controller.signal, callback: note, errorCallback: note };
    const pushed = fleet.push(new InfoTask(task("add"), 20_000, 1, 2), options);
    setTimeout(() => controller.abort(), ms);
    assert(["ok", "cancelled"].includes((await pushed).status));
    await delay(20);
    assertEquals(outcomes, 1);
  }
});

test("A machine that lost a lock stops the task, and leaves its outcome to the other", async (place) => {
  using notes = new Notes();
  await using machine = await place.serve({ pool: 1, lockDuration: LOCK });
  await using fleet = place.fleet();
  await fleet.start();
  const pushed = fleet.push(new InfoTask(task("mark"), 60_000, notes.file, 1, 6_000));
  await until(() => notes.lines().length === 1, 20_000, "it runs");
  // As if another had taken it over.
  const [lock] = await redis().keys(`bull:${place.queue}:*:lock`);
  await redis().ask("SET", lock!, "another", "PX", "500");
  await until(() => machine.stats().givenBack === 1, 4 * LOCK, "given up");
  const outcome = await pushed;
  assertEquals([outcome.status, outcome.attempts, notes.lines().length], ["ok", 2, 2]);
});
