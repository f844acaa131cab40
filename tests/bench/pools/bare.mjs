let dispatcher;
let answer;

/**
 * No pool: the threads that ours has, with nothing in them. What the runtime takes to start them, and to carry a
 * message to a worker and back, no pool of this shape can be faster than.
 *
 * @type {import("./pool.ts").Pool}
 */
export const pool = {
  bare: true,

  async start(size) {
    dispatcher = new Worker(new URL("../work/bare_dispatcher.mjs", import.meta.url), { type: "module" });
    dispatcher.postMessage({ size });
    await new Promise((resolve) => dispatcher.onmessage = resolve);
    dispatcher.onmessage = ({ data }) => answer(data.value);
  },

  run(name, value, transfer = []) {
    return new Promise((resolve) => {
      answer = resolve;
      if (value !== undefined) return dispatcher.postMessage({ type: "value", name, value }, transfer);
      const buffer = new ArrayBuffer(64);
      dispatcher.postMessage({ type: "batch", buffer, length: 16 }, [buffer]);
    });
  },

  stop() {
    dispatcher.terminate();
    return Promise.resolve();
  },
};
