/** What a module changes while it is loaded × thread and process: meant for its own tasks, and for no others. */
import { assert, assertEquals } from "@std/assert";
import { InfoTask, MultiProcess } from "../../mod.ts";
import * as cheat from "../fixtures/cheat.ts";
import { isAtLeast } from "../../src/runtime/version.ts";
import { fixture, inline, sample, until, withPool } from "../helpers.ts";
import { plain, pushPlain } from "./plain_tasks.ts";

/** How a tool wraps a class, and a function. */
const subclass = (path: string) => `${path} = ((real) => class extends real {})(${path});`;
const wrap = (path: string) => {
  const at = path.lastIndexOf(".");
  const [object, name] = [path.slice(0, at), path.slice(at + 1)];
  return `{
    const real = ${object}.${name}, { apply } = Reflect;
    Object.defineProperty(${object}, "${name}", {
      value: function () { return apply(real, this, arguments); }, configurable: true, writable: true,
    });
  }`;
};
const CLASSES = "Promise Map Set WeakMap Error TypeError DOMException ArrayBuffer Uint8Array MessagePort"
  .split(" ");
const FUNCTIONS = [
  "Object.keys",
  "Object.defineProperty",
  "Function.prototype.call",
  "Function.prototype.apply",
  "Array.isArray",
  "Array.prototype.push",
  "Map.prototype.get",
  "Map.prototype.set",
  "Promise.prototype.then",
  "Reflect.apply",
  "Atomics.load",
  "MessagePort.prototype.postMessage",
  "globalThis.setTimeout",
  "globalThis.clearTimeout",
  "globalThis.queueMicrotask",
  "globalThis.structuredClone",
];

/** What becomes of the globals while the module is loaded, by what does so. */
const CHANGES: Record<string, string> = {
  ...Object.fromEntries(CLASSES.map((name) => [`a subclass for ${name}`, subclass(`globalThis.${name}`)])),
  ...Object.fromEntries(FUNCTIONS.map((path) => [`a wrapped ${path}`, wrap(path)])),
  "names for all objects": `Object.prototype.get = Object.prototype.error = function () {};`,
  "names for all arrays": `Array.prototype.last = function () { return this[this.length - 1]; };`,
  "a frozen realm": `for (const each of [Object, Array, Function, Promise, Map, Error]) {
    Object.freeze(each);
    Object.freeze(each.prototype);
  }`,
  "no timers": `globalThis.setTimeout = () => 0; globalThis.queueMicrotask = () => {};`,
  "Error.prepareStackTrace": `Error.prepareStackTrace = (error) => "changed " + error.message;`,
};

/** The same kind of result and failure as any module's. */
const TASK = `export default async (fails, value) => {
  await Promise.resolve();
  if (fails) throw new RangeError("as asked");
  return [value, [1, 2].map((each) => each + 1)];
};`;

const KINDS = ["thread", "process"] as const;

for (const isolation of KINDS) {
  Deno.test(`a module that changes the globals while it is loaded (${isolation}) costs no worker`, async (test) => {
    for (const [name, change] of sample(Object.entries(CHANGES))) {
      await test.step(name, async () => {
        await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
          const module = inline(change + TASK);
          for (let i = 0; i < 10; i++) {
            assertEquals(await mp.run(new InfoTask(module, 20_000, false, i)), [i, [2, 3]]);
          }
          const failed = await mp.push(new InfoTask(module, 20_000, true));
          assert(failed.status === "failed");
          assertEquals(failed.error.message, "as asked");
          assertEquals((await mp.stats()).spawned, 1);
        });
      });
    }
  });

  Deno.test(`what a module changes while it is loaded (${isolation}) reaches no task of another`, async (test) => {
    const mp = new MultiProcess({ size: 2, spares: 1, isolation, maxRestarts: 100 });
    try {
      await mp.start();
      for (const [name, change] of sample(Object.entries(CHANGES))) {
        await test.step(name, async () => {
          const task = new InfoTask(inline(change + TASK), 20_000, false, name);
          const before = mp.run(task);
          const assertPlain = pushPlain(mp, false);
          const after = mp.run(task);
          await assertPlain();
          assertEquals([await before, await after], [[name, [2, 3]], [name, [2, 3]]]);
        });
      }
    } finally {
      await mp.terminate();
    }
  });

  Deno.test(`modules take turns (${isolation}) on no more workers than the pool is to have`, async () => {
    await withPool({ size: 1, spares: 1, isolation }, async (mp) => {
      const change = wrap("Promise.prototype.then");
      const wraps = `data:text/javascript,${
        encodeURIComponent(change + TASK.replace("default", "const one ="))
      }
        export const two = one;`;
      for (let i = 0; i < 10; i++) {
        // Together, so that one may be handed out behind the other.
        const values = [`${wraps}#one`, fixture("tasks.ts#echo"), `${wraps}#two`, fixture("tasks.ts#echoAll")]
          .map(
            (specifier) => mp.run(new InfoTask(specifier, 20_000, false, i)),
          );
        assertEquals(await Promise.all(values), [[i, [2, 3]], false, [i, [2, 3]], [false, i]]);
      }
      assertEquals((await mp.stats()).spawned, 2);
    });
  });

  Deno.test(`what a file and its dependencies change while they are loaded (${isolation}) is there for all of it`, async () => {
    const shared = await Deno.makeTempFile({ suffix: ".js" });
    await Deno.writeTextFile(
      shared,
      `globalThis.structuredClone = () => "wrapped";
      Error.prepareStackTrace = () => "hooked";`,
    );
    const file = (name: string) =>
      `data:text/javascript,import ${JSON.stringify(`file://${shared}`)}; /* ${name} */
      export const one = () => [structuredClone(1), new Error("x").stack];
      export const two = () => one();`;
    try {
      await withPool({ size: 1, spares: 1, isolation }, async (mp) => {
        for (let i = 0; i < 3; i++) {
          for (const specifier of ["a#one", "b#one", "a#two", "b#two"]) {
            const [name, exported] = specifier.split("#");
            const task = new InfoTask(`${file(name!)}#${exported}`, 20_000);
            assertEquals(await mp.run(task), ["wrapped", "hooked"], specifier);
          }
        }
        assertEquals((await mp.stats()).spawned, 2);
      });
    } finally {
      await Deno.remove(shared);
    }
  });

  Deno.test(`a module that cheats while it is loaded (${isolation}) spoils no outcome but its own`, async (test) => {
    const mp = new MultiProcess({ size: 1, spares: 1, isolation, maxRestarts: 100 });
    const waits = /Waits$|Hangs$|Later$|^reaches$|^locks$|^holdsLock$/;
    try {
      await mp.start();
      for (const name of sample(Object.keys(cheat).filter((each) => !waits.test(each)))) {
        await test.step(name, async () => {
          const module = inline(`import { ${name} as cheat } from "${fixture("cheat.ts")}";
            try { cheat(); } catch {}
            export default () => 7;`);
          // Whatever comes of them, they come to their end.
          const evil = [1, 2].map(() => mp.push(new InfoTask(module, 500)));
          await pushPlain(mp, false)();
          await Promise.all(evil);
        });
      }
    } finally {
      await mp.terminate();
    }
  });

  Deno.test(`what a task changes (${isolation}) costs its worker, also beside what its module changed`, async () => {
    await withPool({ size: 1, spares: 0, isolation, maxRestarts: 100 }, async (mp) => {
      const module = inline(`${wrap("Array.prototype.push")}
        export default (spoil) => {
          if (spoil) Array.prototype.push = () => "spoilt";
          return [].push("one");
        };`);
      for (const spoils of [false, true, false, false]) {
        assertEquals(await mp.run(new InfoTask(module, 20_000, spoils)), spoils ? "spoilt" : 1);
      }
      assertEquals((await mp.stats()).spawned, 2);
    });
  });

  Deno.test(`what an initializer changes (${isolation}) is meant for all tasks`, async () => {
    const { "names for all objects": names, "a frozen realm": frozen } = CHANGES;
    const initializer = inline(`${wrap("Promise.prototype.then")} ${names}
      globalThis.queueMicrotask = ((real) => (each) => real(each))(queueMicrotask);
      Error.prepareStackTrace = (error) => "initial " + error.message;
      ${frozen}
      export const initialize = () => {};`);
    await withPool({ size: 1, spares: 0, isolation, initializer }, async (mp) => {
      for (let i = 0; i < 3; i++) {
        assertEquals(await mp.run(new InfoTask(inline(`${TASK} // ${i}`), 20_000, false, i)), [i, [2, 3]]);
        const failed = await mp.push(plain("fail", 20_000, "as asked"));
        assert(failed.status === "failed");
        assertEquals(failed.error.stack, "initial as asked");
      }
      assertEquals((await mp.stats()).spawned, 1);
    });
  });

  Deno.test(`Error.prepareStackTrace is each module's own, whenever it is set (${isolation})`, async () => {
    await withPool({ size: 1, spares: 0, isolation }, async (mp) => {
      const late = inline(`export default (mark) => {
        if (mark) Error.prepareStackTrace = () => mark;
        return new Error("x").stack;
      };`);
      for (
        const [mark, stack] of [["", "Error: x\n"], ["one", "one"], ["", "one"], ["two", "two"], ["", "two"]]
      ) {
        const given = await mp.run(new InfoTask(late, 20_000, mark)) as string;
        assert(given.startsWith(stack!), given);
        const failed = await mp.push(plain("fail", 20_000, "as asked"));
        assert(failed.status === "failed");
        assert(failed.error.stack?.startsWith("TypeError: as asked\n    at "), failed.error.stack);
      }
      assertEquals((await mp.stats()).spawned, 1);
    });
  });
}

/** What a sandbox takes away, and what prepares a thread to be stopped needs. Tells whether that is done. */
const TAKEN_AWAY = `
  const { hasOwn } = Object, stopPoint = Object.getOwnPropertyDescriptor.bind(null, Deno, "env");
  const broken = () => { throw new Error("broken"); };
  for (const name of ["Deno", "crypto", "console"]) delete globalThis[name];
  globalThis.Promise = class { constructor() { broken(); } };
  Object.keys = Array.prototype.filter = String.prototype.endsWith = RegExp.prototype.test = broken;
  Object.prototype.get = Object.prototype.set = () => {};
  export default () => hasOwn(stopPoint(), "get");`;

/** The environment too, of which the built-ins read what Node's options are. Tells likewise. */
const takenEnvironment = (how: string) => `
  const { readTextFileSync } = Deno;
  ${how};
  export default () => Deno.readTextFileSync !== readTextFileSync;`;

const SANDBOXES = {
  "takes globals away": TAKEN_AWAY,
  "deletes Deno.env": takenEnvironment("delete Deno.env"),
  "empties Deno.env": takenEnvironment("Deno.env = undefined"),
  "deletes Deno.env.get": takenEnvironment("delete Deno.env.get"),
  "has Deno.env.get throw": takenEnvironment("Deno.env.get = () => { throw new Error('broken'); }"),
};

for (const [what, source] of Object.entries(SANDBOXES)) {
  Deno.test({
    name: `a module that ${what} costs no worker that is still being prepared to be stopped`,
    ignore: !isAtLeast([2, 9, 4]),
    async fn() {
      // Its first worker is ready before that.
      await withPool({ size: 1, spares: 0, isolation: "thread", bridge: false }, async (mp) => {
        const task = new InfoTask(inline(source), 20_000);
        await until(async () => await mp.run(task) as boolean, 20_000, "it is prepared");
        const { spawned, idleDeaths } = await mp.stats();
        assertEquals({ spawned, idleDeaths }, { spawned: 1, idleDeaths: 0 });
      });
    },
  });
}
