/** Tasks for the portable check, each an export: JavaScript, without an import that one runtime lacks. */
// A browser has none of these.
const builtin = globalThis.process?.getBuiltinModule?.bind(globalThis.process);
const hooks = builtin === undefined ? [] : [builtin("node:async_hooks"), await import("node:async_hooks")];
const threads = builtin?.("node:worker_threads");
const process = builtin?.("node:process");
const storage = builtin === undefined ? undefined : new hooks[0].AsyncLocalStorage();

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

// What returns.
export const add = (a, b) => a + b;
export const echo = (value) => value;
export const delay = async (ms, value) => {
  await sleep(ms);
  return value;
};
export const size = (buffer) => buffer.byteLength;
export const moved = (bytes) => new Uint8Array(bytes);
export const priority = () => builtin("node:os").getPriority(0);
export const args = () => process.argv.slice(2);
export const variable = (name) => process.env[name];
export const attempts = function () {
  if (this.attempt < 3) throw new Error(`attempt ${this.attempt}`);
  return this.attempt;
};
export const progress = function () {
  for (let i = 1; i <= 3; i++) this.progress(i);
  return "done";
};
export const generator = function* () {
  yield* [1, 2, 3];
  return "end";
};
export const asyncGenerator = async function* () {
  for (let i = 1; i <= 3; i++) {
    await sleep(1);
    yield i;
  }
};
/** What is large and is loaded when it is first mentioned. */
export const loaded = () => process.moduleLoadList.filter((name) => /undici|webcrypto/.test(name));
/** What an `AsyncLocalStorage` holds: at once, and after each wait. */
export const stored = (value) =>
  storage.run(value, async () => {
    const seen = [storage.getStore()];
    await null;
    seen.push(storage.getStore());
    await sleep(1);
    return [...seen, storage.getStore()];
  });
export const cleans = function () {
  return new Promise((resolve) => this.signal.addEventListener("abort", () => resolve("cleaned up")));
};

// What hangs.
export const loop = () => {
  for (;;);
};
export const caught = () => {
  for (;;) {
    try {
      for (;;);
    } catch {
      // Goes on.
    } finally {
      for (;;);
    }
  }
};
export const wait = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
export const regex = () => /^(a+)+$/.test("a".repeat(60) + "b");
export const wasm = () => {
  // deno-fmt-ignore
  const bytes = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 3, 64, 12, 0,
    11, 11,
  ]);
  new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.f();
};
export const microtasks = async () => {
  for (;;) await null;
};
export const pending = () => new Promise(() => {});
export const interval = () => new Promise(() => setInterval(() => {}, 1));

// What ends its worker.
export const exit = (code) => process.exit(code);
export const exitThenLoop = () => {
  try {
    process.exit(4);
  } finally {
    for (;;);
  }
};
export const closes = () => {
  globalThis.close();
  return new Promise(() => {});
};
export const throwsLater = () => {
  setTimeout(() => {
    throw new RangeError("later");
  });
  return new Promise(() => {});
};
export const rejects = () => {
  void Promise.reject(new TypeError("nobody"));
  return new Promise(() => {});
};
export const strays = () => {
  setTimeout(() => {
    throw new Error("stray");
  }, 20);
};

export const fill = () => {
  const kept = [];
  for (;;) kept.push(new Array(1_000).fill(kept.length));
};

// What fails.
class OwnError extends Error {
  name = "OwnError";
  code = 7;
}
export const fail = () => {
  throw new OwnError("as asked", { cause: new Error("deep") });
};
export const failText = () => {
  throw "a text";
};
export const returnsFunction = () => () => {};

// What meddles with the program: what of it was done.
export const meddle = () => {
  const calls = { chdir: ["/"], abort: [], umask: [0] };
  return Object.entries(calls).filter(([name, args]) => {
    try {
      process[name](...args);
      return true;
    } catch {
      return false;
    }
  });
};

// What cheats.
export const cheat = () => {
  const found = [];
  const look = (value, where) => {
    if (value instanceof threads.MessagePort) found.push(where);
  };
  const lookEverywhere = (when) => {
    for (const each of hooks) look(each.executionAsyncResource(), `executionAsyncResource ${when}`);
    for (const handle of process?._getActiveHandles?.() ?? []) look(handle, `_getActiveHandles ${when}`);
  };
  const { MessagePort } = globalThis;
  const { workerData } = threads ?? {};
  const targetOf = Object.getOwnPropertyDescriptor(Event.prototype, "target").get;
  if (workerData !== undefined && workerData !== null && typeof workerData === "object") {
    for (const [key, value] of Object.entries(workerData)) look(value, `workerData.${key}`);
  }
  try {
    look(process.binding("async_wrap").execution_async_resources?.[0], "binding");
  } catch {
    // Not a way.
  }
  lookEverywhere("in the task");
  const dispatch = Symbol.for("nodejs.internal.kHybridDispatch");
  for (const object of [MessagePort.prototype, EventTarget.prototype]) {
    const original = object[dispatch];
    if (original === undefined) continue;
    object[dispatch] = function (...args) {
      look(this, "kHybridDispatch");
      return original.apply(this, args);
    };
  }
  for (const prototype of [Event.prototype, MessageEvent.prototype]) {
    for (const [name, { get, configurable }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (get === undefined || !configurable) continue;
      const looking = function () {
        look(this, `the this of ${name}`);
        look(targetOf.call(this), `the target, by ${name}`);
        return get.call(this);
      };
      Object.defineProperty(prototype, name, { get: looking, configurable: true });
    }
  }
  hooks[0]?.createHook({ before: () => lookEverywhere("in a hook") }).enable();
  globalThis.foundPorts = found;
};
export const cheated = () => globalThis.foundPorts;
