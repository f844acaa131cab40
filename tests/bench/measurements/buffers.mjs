import { percentile, WARM_UP_MS } from "./run_all.mjs";

/** (e) A buffer there and back, copied or moved, one after the other: milliseconds for a round trip. */
export async function measure(pool, { sizes, size }) {
  await pool.start(size, "short");
  const begun = performance.now();
  while (performance.now() - begun < WARM_UP_MS) await pool.run("copy", new ArrayBuffer(16));
  const figures = {};
  for (const { key, bytes, times } of sizes) {
    let buffer = new ArrayBuffer(bytes);
    new Uint8Array(buffer).fill(7);
    for (const name of ["copy", "move"]) {
      const took = [];
      for (let i = 0; i < times + 3; i++) {
        const since = performance.now();
        const result = await pool.run(name, buffer, name === "move" ? [buffer] : undefined);
        // The first few are for the allocator.
        if (i >= 3) took.push(performance.now() - since);
        if (result.byteLength !== bytes) throw new Error(`${result.byteLength} of ${bytes} bytes came back`);
        if (name === "move") buffer = result;
      }
      figures[name + key] = percentile(took, 0.5);
    }
  }
  return figures;
}
