import { assertEquals } from "@std/assert";
import { connectDispatcher } from "../../src/entry/connect.ts";
import type { DispatcherClient, DispatcherEvents } from "../../src/entry/dispatcher_client.ts";
import { readPoolOptions } from "../../src/entry/read_options.ts";
import type { OutcomeData } from "../../src/wire/protocol.ts";
import { InfoTask } from "../../mod.ts";
import { inline } from "../helpers.ts";

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
