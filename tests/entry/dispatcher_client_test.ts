import { assertEquals, assertRejects } from "@std/assert";
import process from "node:process";
import { connectDispatcher } from "../../src/entry/connect.ts";
import type { DispatcherClient, DispatcherEvents } from "../../src/entry/dispatcher_client.ts";
import { isBridgeOfUse } from "../../src/runtime/bridge.ts";
import { readPoolOptions } from "../../src/entry/read_options.ts";
import type { OutcomeData } from "../../src/wire/protocol.ts";
import { InfoTask, MultiProcess } from "../../mod.ts";
import { inline, newThreads, threads, until } from "../helpers.ts";

/** Runs the test with a dispatcher and the outcomes as they come, and ends it whatever happens. */
async function withDispatcher(
  isolation: "thread" | "process",
  test: (client: DispatcherClient, outcome: () => Promise<OutcomeData>) => Promise<void>,
): Promise<void> {
  const outcomes: OutcomeData[] = [];
  let came = Promise.withResolvers<void>();
  const take = (outcome: OutcomeData) => {
    outcomes.push(outcome);
    came.resolve();
    return undefined;
  };
  const events: DispatcherEvents = {
    value: (id, worker, attempts, callbacks, waitedMs, ranMs, value) =>
      take({ id, status: "ok", worker, attempts, callbacks, waitedMs, ranMs, value }),
    outcome: take,
    message: () => {},
    died: (error) => {
      throw error;
    },
    adopt: () => 0,
  };
  const client = connectDispatcher(readPoolOptions({ size: 1, isolation }))(events) as DispatcherClient;
  try {
    await test(client, async () => {
      while (outcomes.length === 0) {
        await came.promise;
        came = Promise.withResolvers();
      }
      return outcomes.shift()!;
    });
  } finally {
    await client.end();
  }
}

const facts = inline(
  "export async function runnable(wait) { if (wait) await new Promise(() => {}); return [this.taskId, this.attempt]; }",
);

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`DispatcherClient.push() tells a task of another pool its id and attempt there (${isolation})`, async () => {
    await withDispatcher(isolation, async (client, outcome) => {
      client.push(1, new InfoTask(facts, 20_000, false), undefined, undefined, {
        id: 7_000_000_001,
        attempts: 2,
      });
      const { id, status, value, attempts } = await outcome();
      assertEquals({ id, status, value, attempts }, {
        id: 1,
        status: "ok",
        value: [7_000_000_001, 3],
        attempts: 3,
      });
    });
  });

  Deno.test(`DispatcherClient.push() makes a task of another pool one that can be cancelled (${isolation})`, async () => {
    await withDispatcher(isolation, async (client, outcome) => {
      client.push(1, new InfoTask(facts, 20_000, true), undefined, undefined, { id: 5, attempts: 0 });
      client.post({ type: "cancel", ids: [1] });
      assertEquals((await outcome()).status, "cancelled");
    });
  });
}

/** Calls with workers of this class for those that are started meanwhile. */
async function withWorker(
  of: { Worker: unknown },
  Worker: unknown,
  call: () => Promise<void>,
): Promise<void> {
  const usual = of.Worker;
  of.Worker = Worker;
  try {
    await call();
  } finally {
    of.Worker = usual;
  }
}

const FAULTS = {
  dispatcher: globalThis,
  bridge: process.getBuiltinModule("node:worker_threads"),
  nursery: globalThis,
};

for (const [part, of] of Object.entries(FAULTS)) {
  Deno.test({
    name: `a pool whose ${part} cannot be started leaves none of its threads running`,
    ignore: Deno.build.os !== "linux" || (part === "bridge" && !isBridgeOfUse()),
    async fn() {
      const before = threads();
      const Faulty = class extends (of.Worker as typeof Worker) {
        constructor(url: URL, options: WorkerOptions) {
          if (part === "bridge" || options.name?.endsWith(part)) throw new Error("No more threads");
          super(url, options);
        }
      };
      const mp = new MultiProcess({ size: 1, isolation: "thread" });
      await withWorker(of, Faulty, async () => {
        await assertRejects(() => mp.start(), Error, "No more threads");
      });
      const { crashed } = await mp.stop();
      assertEquals(crashed, 0);
      await until(() => newThreads(before).length === 0, 20_000, "all threads have ended");
    },
  });
}
