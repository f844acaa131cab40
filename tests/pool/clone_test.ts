/** What cannot be cloned is named, with where it is and what to send instead: as argument, result, progress and yield. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, transfer } from "../../mod.ts";
import { whatever } from "../fixtures/uncloneable.ts";
import { fixture, task, withPool } from "../helpers.ts";

const WHY: Record<string, string> = {
  function: "a function, which cannot be cloned; send data, and have the task import what it calls",
  method: "a function, which cannot be cloned; send data, and have the task import what it calls",
  symbol: "a symbol, which cannot be cloned; send a string",
  proxy: "a Proxy, which cannot be cloned; send { ...it }",
  arrayProxy: "a Proxy, which cannot be cloned; send [...it]",
  generator: "a generator, which cannot be cloned; send [...it]",
  moved: "a buffer that was moved before, and is empty now; send it before, or a copy",
  movedView: "a buffer that was moved before, and is empty now; send it before, or a copy",
  port: "a MessagePort, which cannot be cloned; a task tells by progress() what it has to tell",
  stream: "a ReadableStream, which cannot be cloned; send what it gives",
  weakRef: "a WeakRef, which cannot be cloned; send what it refers to",
};

const WHERE: Record<string, string> = {
  alone: "",
  property: ".a.b",
  item: "[1]",
  longList: "[1500]",
  key: ".keys()[0]",
  value: ".values()[0]",
  member: ".values()[0]",
  cause: ".cause",
};

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`every clone error names what, where, and what to send instead (${isolation})`, async () => {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      for (const [kind, why] of Object.entries(WHY)) {
        for (const [place, path] of Object.entries(WHERE)) {
          const argument = await mp.push(task("echo", 20_000, whatever(kind, place)));
          const of = (way: string) =>
            mp.push(new InfoTask(fixture("uncloneable.ts#" + way), 20_000, kind, place));
          const [given, reported, yielded] = await Promise.all([of("give"), of("report"), of("produce")]);
          const cases = [["argument 1", argument], ["result", given], ["progress", reported], [
            "the value yielded",
            yielded,
          ]] as const;
          for (const [what, outcome] of cases) {
            // A generator that a task returns is the task.
            if (what === "result" && kind === "generator" && place === "alone") continue;
            assert(outcome.status === "failed", `${what} ${kind} ${place}: ${outcome.status}`);
            assertEquals(
              [outcome.error.name, outcome.error.message],
              ["DataCloneError", `Cannot clone ${what}${path}: it is ${why}`],
              `${kind} ${place}`,
            );
          }
        }
      }
    });
  });
}

Deno.test("a SharedArrayBuffer goes to a thread, and is refused by name for a process", async () => {
  for (const isolation of ["thread", "process"] as const) {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      const outcome = await mp.push(task("size", 20_000, { length: 1, memory: new SharedArrayBuffer(8) }));
      if (isolation === "thread") return assertEquals(outcome.status, "ok");
      assert(outcome.status === "failed");
      const message =
        "Cannot clone argument 1.memory: it is a SharedArrayBuffer, which cannot be sent to or from a process; " +
        "send a copy of its bytes";
      assertEquals(outcome.error.message, message);
    });
  }
});

Deno.test("transfer() gives the value itself, whatever it is, so that a task can be called directly", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  for (
    const value of [
      bytes,
      { bytes },
      Object.freeze([bytes]),
      new Map([[1, bytes]]),
      null,
      undefined,
      7,
      "text",
    ]
  ) {
    assertEquals(transfer(value, [bytes.buffer]) === value, true);
  }
  assertEquals(bytes.buffer.detached, false);
});

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`transfer() moves, whatever a task has done to WeakMap, and from another copy of the package (${isolation})`, async () => {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      for (const way of ["plain", "nested", "frozen", "again", "copy", "patched", "plain"]) {
        const outcome = await mp.push(new InfoTask(fixture("transfers.ts"), 20_000, way));
        assert(outcome.status === "ok", `${way}: ${outcome.status === "ok" || outcome.error}`);
        const { value } = outcome as { value: { bytes?: Uint8Array } };
        assertEquals(value.bytes ?? value, new Uint8Array([1, 2, 3]), way);
        const detached = await mp.run(new InfoTask(fixture("transfers.ts#wasMoved"), 20_000));
        // A process has nothing to move to another: there it is a copy.
        if (isolation === "thread") assertEquals(detached, true, way);
      }
    });
  });
}
