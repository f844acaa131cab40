/** What must infer, and what must not compile: checked when the tests are type-checked. */
import { assertEquals } from "@std/assert";
import {
  type ArgsOf,
  type BoundTask,
  InfoTask,
  type InputOf,
  type MapOptions,
  type MapOutcome,
  Model,
  type MultiProcess,
  type Outcome,
  type ProgressOf,
  type ResultOf,
  type TaskContext,
} from "../mod.ts";
import { fixture } from "./helpers.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
const is = <T extends true>(): T => true as T;

interface FunctionModule {
  runnable(this: TaskContext, text: string, times?: number): Promise<number>;
  callback(value: number): void;
}
interface DefaultModule {
  default: (n: bigint) => string;
}
class Demo extends Model {
  override runnable(a: Date): Map<string, Date> {
    return new Map([["a", a]]);
  }
}
// deno-lint-ignore require-yield
function* generator(n: number): Generator<string, boolean, void> {
  return n > 0;
}

Deno.test("the types of a task follow from its module, its default export, its class or its function", () => {
  is<Equal<ArgsOf<FunctionModule>, [text: string, times?: number | undefined]>>();
  is<Equal<ResultOf<FunctionModule>, number>>();
  is<Equal<ArgsOf<DefaultModule>, [n: bigint]>>();
  is<Equal<ResultOf<DefaultModule>, string>>();
  is<Equal<ArgsOf<typeof Demo>, [a: Date]>>();
  is<Equal<ResultOf<typeof Demo>, Map<string, Date>>>();
  is<Equal<ResultOf<typeof generator>, boolean>>();
  is<Equal<ResultOf<(() => Generator<number, number, void>) | (() => string)>, number | string>>();
  is<Equal<ArgsOf<unknown>, unknown[]>>();
  is<Equal<ResultOf<unknown>, unknown>>();
  is<Equal<ResultOf<typeof import("./fixtures/model.ts")>, { n: number; runs: number; taskId: number }>>();
});

Deno.test("wrong arguments do not compile", () => {
  const specifier = fixture("tasks.ts");
  new InfoTask<FunctionModule>(specifier, 1, "text");
  new InfoTask<FunctionModule>(specifier, 1, "text", 2);
  // @ts-expect-error -- an argument is missing
  new InfoTask<FunctionModule>(specifier, 1);
  // @ts-expect-error -- of the wrong type
  new InfoTask<FunctionModule>(specifier, 1, 2);
  // @ts-expect-error -- one too many
  new InfoTask<FunctionModule>(specifier, 1, "text", 2, 3);
  // @ts-expect-error -- a class's runnable takes a Date
  new InfoTask<typeof Demo>(specifier, 1, "today");
  // @ts-expect-error -- a default export's takes a bigint
  new InfoTask<DefaultModule>(specifier, 1, 1);
  // @ts-expect-error -- a module without anything to run takes nothing
  new InfoTask<{ x: number }>(specifier, 1, 1);
  assertEquals(new InfoTask(specifier, 1, "any", 2, "thing").args.length, 3);
});

Deno.test("push, run, map and callbacks infer the result", () => {
  const _never = (mp: MultiProcess, task: InfoTask<FunctionModule>) => {
    const pushed = mp.push(task, {
      callback: (value, outcome) => {
        is<Equal<typeof value, number>>();
        is<Equal<typeof outcome, Outcome<number>>>();
      },
    });
    is<Equal<typeof pushed, Promise<Outcome<number>>>>();
    const value = mp.run(task);
    is<Equal<typeof value, Promise<number>>>();
    const mapped = mp.map([1, 2], (n) => new InfoTask<DefaultModule>("./x.ts", 1, BigInt(n)), {
      callback: (value) => is<Equal<typeof value, string>>(),
    });
    is<Equal<typeof mapped, AsyncGenerator<MapOutcome<string, number>, void, undefined>>>();
    const _mapped = async () => {
      for await (const outcome of mp.map(["a", "b"], () => task)) {
        is<Equal<typeof outcome.input, string>>();
        if (outcome.status === "ok") is<Equal<typeof outcome.value, number>>();
        // @ts-expect-error -- an outcome has an error only when it is not ok
        else outcome.value;
      }
    };
    const values = mp.mapValues(["a"], () => task, {
      // The inputs alone say what an input is.
      transfer: (text) => (is<Equal<typeof text, string>>(), []),
    });
    is<Equal<typeof values, AsyncGenerator<number, void, undefined>>>();
    // @ts-expect-error -- for a map, a function of the input
    mp.map(["a"], () => task, { transfer: [] });
    const shared: MapOptions<number> = { ordered: false };
    mp.map(["a"], () => task, shared);
    const untyped = mp.run(new InfoTask("./x.ts", 1, 1));
    is<Equal<typeof untyped, Promise<unknown>>>();
    // @ts-expect-error -- the value is a number
    mp.push(task, { callback: (value: string) => value });
    // @ts-expect-error -- an outcome has a value only when it is ok
    pushed.then((outcome) => outcome.value);
    const perhaps: { signal: AbortSignal | undefined; priority: number | undefined } = {
      signal: undefined,
      priority: undefined,
    };
    mp.push(task, perhaps);
    mp.map([1], () => task, perhaps);
    // @ts-expect-error -- not a task
    mp.push({ specifier: "./x.ts", timeout: 1, args: [] });
    // @ts-expect-error -- no such option
    mp.push(task, { prio: 1 });
  };
});

Deno.test("inline functions, bound tasks and progress infer their types", () => {
  const _never = async (mp: MultiProcess) => {
    const squared = InfoTask.inline((n) => n * n, 1_000, 7);
    is<Equal<typeof squared, InfoTask<(n: number) => number>>>();
    const value = mp.run(
      InfoTask.inline(async (text: string, times?: number) => await text.repeat(times ?? 1), 1, "a"),
    );
    is<Equal<typeof value, Promise<string>>>();
    InfoTask.inline(function (this: TaskContext) {
      return is<Equal<typeof this, TaskContext>>();
    }, 1);
    // @ts-expect-error -- an argument of the wrong type
    InfoTask.inline((n: number) => n, 1_000, "7");
    // @ts-expect-error -- an argument is missing
    InfoTask.inline((n: number) => n, 1_000);

    const repeat = mp.bind<FunctionModule>("./x.ts", {
      timeout: 1,
      callback: (n) => is<Equal<typeof n, number>>(),
    });
    is<Equal<typeof repeat, BoundTask<FunctionModule>>>();
    const called = repeat("a", 2);
    is<Equal<typeof called, Promise<number>>>();
    const pushed = repeat.with({ priority: 1 }).push("a");
    is<Equal<typeof pushed, Promise<Outcome<number>>>>();
    for await (
      const outcome of repeat.map(new Set(["a"]), {
        transfer: (text) => (is<Equal<typeof text, string>>(), []),
      })
    ) {
      is<Equal<typeof outcome, MapOutcome<number, string>>>();
    }
    const values = repeat.mapValues(["a"]);
    is<Equal<typeof values, AsyncGenerator<number, void, undefined>>>();
    const made = repeat.task("a");
    is<Equal<typeof made, InfoTask<FunctionModule>>>();
    // @ts-expect-error -- of the wrong type
    repeat(1);
    // @ts-expect-error -- inputs of the wrong type
    repeat.map([1]);
    // @ts-expect-error -- there is no default time limit
    mp.bind("./x.ts", {});
    // @ts-expect-error -- no such option
    mp.bind("./x.ts", { timeout: 1, prio: 1 });
    const untyped = await mp.bind("./x.ts", { timeout: 1 })(1, "two");
    is<Equal<typeof untyped, unknown>>();
    is<Equal<InputOf<unknown>, unknown>>();
    is<Equal<InputOf<(a?: Date) => void>, Date | undefined>>();
    is<Equal<InputOf<(a: Date, b: number) => void>, never>>();
    const power = mp.bind<(a: number, b: number) => number>("./x.ts", { timeout: 1 });
    // @ts-expect-error -- it needs two, which the message says with what to do
    power.map([1]);
    // @ts-expect-error -- likewise
    power.mapValues([1]);
    const said: Parameters<typeof power.map>[0] =
      "This task needs more than one argument: use mp.map(inputs, (input) => bound.task(input, …))";
    is<Equal<Parameters<typeof power.mapValues>[0], typeof said>>();
    const powers = mp.mapValues([1, 2], (n) => power.task(n, 2));
    is<Equal<typeof powers, AsyncGenerator<number, void, undefined>>>();

    mp.push(new InfoTask<typeof generator>("./x.ts", 1, 1), {
      onProgress: (value, task) => (is<Equal<typeof value, string>>(), is<Equal<typeof task, InfoTask>>()),
    });
    mp.map([1], (n) => new InfoTask<typeof generator>("./x.ts", 1, n), {
      onProgress: (value) => is<Equal<typeof value, string>>(),
    });
    mp.push(new InfoTask<DefaultModule>("./x.ts", 1, 1n), {
      onProgress: (value) => is<Equal<typeof value, unknown>>(),
    });
    is<Equal<ProgressOf<InfoTask<() => AsyncGenerator<Date, void, void>>>, Date>>();
  };
});
