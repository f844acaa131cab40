import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InfoTask, type MultiProcess, type Outcome, PoolStateError } from "../../mod.ts";
import { fixture, held, until, withPool } from "../helpers.ts";

const task = (name: string, timeout: number, ...args: unknown[]) =>
  new InfoTask(fixture(`tasks.ts#${name}`), timeout, ...args);
const echo = (n: unknown) => task("echo", 5_000, n);

async function values(outcomes: AsyncIterable<Outcome>): Promise<unknown[]> {
  const result: unknown[] = [];
  for await (const outcome of outcomes) result.push(outcome.status === "ok" ? outcome.value : outcome.status);
  return result;
}

/** Nothing waits, nothing runs. */
async function quiet(mp: MultiProcess): Promise<void> {
  await until(
    async () => {
      const { queued, running } = await mp.stats();
      return queued + running === 0;
    },
    20_000,
    "nothing is left behind",
  );
}

Deno.test("MultiProcess.map() yields outcomes in the order of the inputs", async () => {
  await withPool(2, async (mp) => {
    const inputs = Array.from({ length: 40 }, (_, i) => i);
    const outcomes = mp.map(inputs, (n) => task("sleep", 5_000, n % 4 === 0 ? 10 : 0, n));
    assertEquals(await values(outcomes), inputs);
  });
});

Deno.test("MultiProcess.map() yields outcomes as they complete with ordered: false", async () => {
  await withPool(2, async (mp) => {
    const long = held();
    const seen: number[] = [];
    const outcomes = mp.map([0, 1, 2, 3], (n) => n === 0 ? long.task : echo(n), { ordered: false });
    for await (const { index } of outcomes) if (seen.push(index) === 3) long.release();
    assertEquals([seen.at(-1), seen.toSorted()], [0, [0, 1, 2, 3]]);
  });
});

Deno.test("MultiProcess.map() never has more than the bound in flight, also of an infinite async source", async () => {
  await withPool(2, async (mp) => {
    let pulled = 0;
    let yielded = 0;
    async function* source() {
      for (;;) {
        await Promise.resolve();
        assert(pulled - yielded < 3, "too many in flight");
        yield pulled++;
      }
    }
    for await (const outcome of mp.map(source(), echo, { concurrency: 3 })) {
      assertEquals(outcome.status === "ok" && outcome.value, yielded);
      if (++yielded === 200) break;
    }
    await quiet(mp);
  });
});

Deno.test("MultiProcess.map() goes on after an item that fails, and tells which", async () => {
  await withPool(2, async (mp) => {
    const seen: [unknown, unknown][] = [];
    for await (
      const { status, task: { args } } of mp.map([1, 0, 2], (n) => n ? echo(n) : task("fail", 5_000, "x"))
    ) {
      seen.push([status, args[0]]);
    }
    assertEquals(seen, [["ok", 1], ["failed", "x"], ["ok", 2]]);
  });
});

Deno.test("MultiProcess.map() cancels what is in flight and closes the source when the loop is left", async () => {
  await withPool(2, async (mp) => {
    let closed = false;
    function* source() {
      try {
        yield 0;
        for (;;) yield 60_000;
      } finally {
        closed = true;
      }
    }
    for await (const { status } of mp.map(source(), (ms) => task("sleep", 60_000, ms))) {
      assertEquals(status, "ok");
      break;
    }
    assertEquals(closed, true);
    await quiet(mp);
    assert((await mp.stats()).outcomes.cancelled > 0);
  });
});

Deno.test("MultiProcess.map() throws what the source or toTask throws, and leaves nothing behind", async () => {
  await withPool(2, async (mp) => {
    function* source() {
      yield 1;
      yield 2;
      throw new RangeError("the source");
    }
    await assertRejects(
      () => values(mp.map(source(), () => task("never", 60_000))),
      RangeError,
      "the source",
    );
    const toTask = (n: number) => {
      if (n === 2) throw new RangeError("toTask");
      return task("never", 60_000);
    };
    await assertRejects(() => values(mp.map([1, 2], toTask)), RangeError, "toTask");
    await quiet(mp);
  });
});

Deno.test("MultiProcess.map() throws the reason of its signal, and leaves nothing behind", async () => {
  await withPool(2, async (mp) => {
    const controller = new AbortController();
    const outcomes = mp.map([1, 2, 3], () => task("never", 60_000), { signal: controller.signal });
    const refused = assertRejects(() => values(outcomes), RangeError, "enough");
    await until(async () => (await mp.stats()).running === 2, 20_000, "two tasks run");
    controller.abort(new RangeError("enough"));
    await refused;
    await quiet(mp);
    const aborted = mp.map([1], echo, { signal: AbortSignal.abort(new RangeError("before")) });
    await assertRejects(() => values(aborted), RangeError, "before");
  });
});

Deno.test("MultiProcess.map() cancels what is in flight when its signal aborts, also while nobody takes outcomes", async () => {
  await withPool(2, async (mp) => {
    const controller = new AbortController();
    const outcomes = mp.map([0, 60_000, 60_000], (ms) => task("sleep", 120_000, ms, ms), {
      signal: controller.signal,
    });
    assertEquals((await outcomes.next()).value?.status, "ok");
    await until(async () => (await mp.stats()).running === 2, 20_000, "both run");
    controller.abort(new Error("enough"));
    await quiet(mp);
    await assertRejects(() => outcomes.next(), Error, "enough");
  });
});

Deno.test("MultiProcess.map() takes no room that was given to others", async () => {
  await withPool({ size: 1, spares: 0, maxQueue: 5 }, async (mp) => {
    let over = false;
    const mapping = (async () => {
      for await (const _ of mp.map(naturals(), echo, { concurrency: 20 })) if (over) break;
    })();
    for (let n = 0; n < 500; n++) {
      await mp.room();
      mp.push(echo(n));
    }
    over = true;
    await mapping;
  });
});

function* naturals() {
  for (let n = 0;; n++) yield n;
}

Deno.test("MultiProcess.map() waits for room", async () => {
  await withPool({ size: 1, maxQueue: 1 }, async (mp) => {
    const inputs = Array.from({ length: 20 }, (_, i) => i);
    assertEquals(await values(mp.map(inputs, echo, { concurrency: 10 })), inputs);
  });
});

Deno.test("MultiProcess.map() makes and pushes no task any more when the loop was left", async () => {
  await withPool({ size: 1, maxQueue: 1 }, async (mp) => {
    const late = Promise.withResolvers<IteratorResult<number>>();
    const steps = [Promise.resolve({ done: false, value: 0 } as const), late.promise];
    const source = { [Symbol.asyncIterator]: () => ({ next: () => steps.shift()! }) };
    const made: number[] = [];
    for await (const _ of mp.map(source, (n) => (made.push(n), echo(n)))) break;
    late.resolve({ done: false, value: 1 });
    // One that waits for room when the loop is left.
    for await (const _ of mp.map([1, 2, 3, 4], echo, { concurrency: 4 })) break;
    await mp.room();
    await quiet(mp);
    assertEquals(made, [0]);
    const { pushed, ok, cancelled } = await mp.stop();
    assertEquals(pushed, ok + cancelled);
    assert(pushed <= 5, `${pushed} pushed`);
  });
});

Deno.test("MultiProcess.map() takes a string, and steps that are no Promise but can be awaited", async () => {
  await withPool(1, async (mp) => {
    assertEquals(await values(mp.map("ab", echo)), ["a", "b"]);
    let n = 0;
    const next = () => {
      const step = n++ < 2 ? { done: false, value: n } : { done: true, value: undefined };
      return { then: (resolve: (step: unknown) => void) => resolve(step) };
    };
    const source = { [Symbol.asyncIterator]: () => ({ next }) } as unknown as AsyncIterable<number>;
    assertEquals(await values(mp.map(source, echo)), [1, 2]);
    const bad = { [Symbol.iterator]: () => ({ next: () => 7 }) } as unknown as Iterable<number>;
    await assertRejects(() => values(mp.map(bad, echo)), TypeError, "next() gave no object");
  });
});

Deno.test("MultiProcess.map() closes its source as a loop does", async () => {
  await withPool(1, async (mp) => {
    const closed: string[] = [];
    const source = (name: string, fails: boolean): Iterable<number> => ({
      [Symbol.iterator]: () => ({
        next: () => {
          if (fails) throw new RangeError("in next");
          return { done: false, value: 1 };
        },
        return: () => {
          closed.push(name);
          throw new RangeError("in return");
        },
      }),
    });
    await assertRejects(() => values(mp.map(source("next", true), echo)), RangeError, "in next");
    const toTask = () => {
      throw new RangeError("in toTask");
    };
    await assertRejects(() => values(mp.map(source("toTask", false), toTask)), RangeError, "in toTask");
    const left = async () => {
      for await (const _ of mp.map(source("left", false), echo)) break;
    };
    await assertRejects(left, RangeError, "in return");
    assertEquals(closed, ["toTask", "left"]);
  });
});

Deno.test("MultiProcess.map() refuses misuse at once", async () => {
  await withPool(1, async (mp) => {
    assertThrows(() => mp.map(7 as never, echo), TypeError, "must be iterable");
    assertThrows(() => mp.map([1], 7 as never), TypeError, "toTask must be a function");
    assertThrows(() => mp.map([1], echo, { concurrency: 0 }), RangeError, '"concurrency"');
    assertThrows(() => mp.map([1], echo, { order: true } as never), TypeError, 'unknown option "order"');
    assertThrows(
      () => mp.map([1], echo, { transfer: [] } as never),
      TypeError,
      '"transfer" must be a function',
    );
    await mp.stop();
    assertThrows(() => mp.map([1], echo), PoolStateError, "Cannot map: the pool is stopped");
  });
});

Deno.test("MultiProcess.room() keeps a producer of many inputs in constant memory", async () => {
  await withPool({ size: 2, maxQueue: 500 }, async (mp) => {
    const produce = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await mp.room();
        mp.push(echo(i));
      }
    };
    await produce(20_000);
    const before = Deno.memoryUsage().heapUsed;
    await produce(100_000);
    const grown = (Deno.memoryUsage().heapUsed - before) / 2 ** 20;
    assert(grown < 60, `${grown} MiB more`);
  });
});

/** A source that tells when it is told to end, and what it has given so far. */
function telling<T>(steps: T[], then: "hangs" | "ends") {
  const told = Promise.withResolvers<void>();
  let given = 0;
  const source: AsyncIterable<T> = {
    [Symbol.asyncIterator]: () => ({
      next(): Promise<IteratorResult<T>> {
        if (given < steps.length) return Promise.resolve({ done: false, value: steps[given++]! });
        if (then === "hangs") return new Promise(() => {});
        return Promise.resolve({ done: true, value: undefined });
      },
      return(): Promise<IteratorResult<T>> {
        told.resolve();
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  return { source, told: told.promise, given: () => given };
}

const AWAITED: Record<string, { steps: number[]; hung: number }> = {
  "a task that does not end": { steps: [0, 0], hung: 2 },
  "a source that gives nothing": { steps: [], hung: 0 },
  "a source that gives no more, and a task": { steps: [0], hung: 1 },
};

type Leave = (outcomes: AsyncGenerator<unknown, void, undefined>) => Promise<unknown>;

const LEAVES: Record<string, Leave> = {
  "return()": (outcomes) => outcomes.return(),
  "throw()": (outcomes) => assertRejects(() => outcomes.throw(new RangeError("mine")), RangeError, "mine"),
  "await using": (outcomes) => Promise.resolve(outcomes[Symbol.asyncDispose]()),
};

for (const [awaited, { steps, hung }] of Object.entries(AWAITED)) {
  for (const [way, leave] of Object.entries(LEAVES)) {
    Deno.test(`MultiProcess.map() is left at once by ${way} while it waits for ${awaited}`, async () => {
      await withPool({ size: 2, spares: 0 }, async (mp) => {
        const { source, told } = telling(steps, "hangs");
        const outcomes = mp.map(source, () => task("never", 600_000), { concurrency: 3 });
        const asked = [outcomes.next(), outcomes.next()];
        await until(async () => (await mp.stats()).running === hung, 60_000, "what is awaited is under way");
        await leave(outcomes);
        await told;
        assertEquals(await Promise.all(asked), [{ done: true, value: undefined }, {
          done: true,
          value: undefined,
        }]);
        assertEquals(await outcomes.next(), { done: true, value: undefined });
        await quiet(mp);
        assertEquals((await mp.stats()).outcomes.cancelled, hung);
      });
    });
  }

  Deno.test(`ReadableStream.from(mp.map()) ends with its reader while it waits for ${awaited}`, async () => {
    await withPool({ size: 2, spares: 0 }, async (mp) => {
      const { source, told } = telling(steps, "hangs");
      const stream = ReadableStream.from(mp.map(source, () => task("never", 600_000), { concurrency: 3 }));
      const reader = stream.getReader();
      const read = reader.read();
      await until(async () => (await mp.stats()).running === hung, 60_000, "what is awaited is under way");
      await reader.cancel("gone");
      await told;
      assertEquals((await read).done, true);
      await quiet(mp);
    });
  });
}

Deno.test("MultiProcess.map() that waits for room is left at once", async () => {
  await withPool({ size: 1, spares: 0, maxQueue: 0 }, async (mp) => {
    const { source, told, given } = telling([0, 0, 0], "ends");
    const outcomes = mp.map(source, () => task("never", 600_000), { concurrency: 3 });
    const asked = outcomes.next();
    await until(async () => given() === 2 && (await mp.stats()).running === 1, 60_000, "one runs, one waits");
    await outcomes.return();
    await told;
    assertEquals(await asked, { done: true, value: undefined });
    await quiet(mp);
    assertEquals((await mp.stop()).pushed, 1);
  });
});

Deno.test("MultiProcess.map() never begins when it is left before it was asked for anything", async () => {
  await withPool(1, async (mp) => {
    let opened = false;
    const source = { [Symbol.iterator]: () => (opened = true, [1][Symbol.iterator]()) };
    const outcomes = mp.map(source, echo);
    await outcomes.return();
    assertEquals([await outcomes.next(), opened], [{ done: true, value: undefined }, false]);
  });
});

Deno.test("MultiProcess.map() answers many who ask at once, in their order", async () => {
  await withPool(2, async (mp) => {
    const outcomes = mp.map([1, 2, 3], echo);
    const steps = await Promise.all([1, 2, 3, 4, 5].map(() => outcomes.next()));
    assertEquals(steps.map(({ done, value }) => done ? "done" : value.input), [1, 2, 3, "done", "done"]);
    const failing = mp.map([1], (): InfoTask => {
      throw new RangeError("toTask");
    });
    const [first, second] = await Promise.allSettled([failing.next(), failing.next()]);
    assertEquals(first!.status, "rejected");
    assertEquals(second, { status: "fulfilled", value: { done: true, value: undefined } });
  });
});

Deno.test("MultiProcess.map() gives what an outcome's input was, and which", async () => {
  await withPool(2, async (mp) => {
    const inputs = ["a", "b", "c", "d"];
    for (const ordered of [true, false]) {
      const seen: [string, number, unknown][] = [];
      const toTask = (text: string) => text === "b" ? task("fail", 5_000, text) : echo(text);
      for await (const outcome of mp.map(inputs, toTask, { ordered })) {
        const { input, index, status } = outcome;
        seen.push([input, index, status === "ok" ? outcome.value : status]);
      }
      seen.sort(([, a], [, b]) => a - b);
      assertEquals(seen, [["a", 0, "a"], ["b", 1, "failed"], ["c", 2, "c"], ["d", 3, "d"]]);
    }
  });
});

Deno.test("MultiProcess.map() moves the buffers that transfer names for each input", async () => {
  await withPool(1, async (mp) => {
    const inputs = [1, 2, 3].map((n) => new Uint8Array(n));
    const options = { transfer: (bytes: Uint8Array<ArrayBuffer>) => [bytes.buffer] };
    const sizes = mp.mapValues(inputs, (bytes) => task("size", 5_000, bytes), options);
    assertEquals(await Array.fromAsync(sizes), [1, 2, 3]);
    assertEquals(inputs.map(({ buffer }) => buffer.detached), [true, true, true]);
    const failing = mp.map([1], echo, {
      transfer: () => {
        throw new RangeError("in transfer");
      },
    });
    await assertRejects(() => failing.next(), RangeError, "in transfer");
  });
});

Deno.test("MultiProcess.mapValues() gives values, and throws at the first outcome that is none", async () => {
  await withPool(2, async (mp) => {
    assertEquals(await Array.fromAsync(mp.mapValues([1, 2, 3], echo)), [1, 2, 3]);
    const given: unknown[] = [];
    let closed = false;
    function* source() {
      try {
        for (let n = 0;; n++) yield n;
      } finally {
        closed = true;
      }
    }
    const toTask = (n: number) =>
      n < 2 ? echo(n) : n === 2 ? task("fail", 5_000, "no") : task("never", 600_000);
    await assertRejects(
      async () => {
        for await (const value of mp.mapValues(source(), toTask)) given.push(value);
      },
      TypeError,
      "no",
    );
    assertEquals([given, closed], [[0, 1], true]);
    await quiet(mp);
  });
});
