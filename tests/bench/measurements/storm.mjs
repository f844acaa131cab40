import { end, leftRunning, noteFile, now, readNote } from "./hangs.mjs";

/**
 * Tasks that hang, all at once: workers are being stopped and started all the time. How late the outcomes are, in
 * milliseconds.
 */
export async function measure(pool, { hangs, limit, size, folder }) {
  const late = [];
  await pool.start(size, "long");
  await pool.run("noop");
  let without = 0;
  await Promise.all(Array.from({ length: hangs }, async (_, i) => {
    const file = noteFile(folder, i);
    await pool.runWithin(limit, "hang", file).catch(() => {});
    const at = now();
    const note = readNote(file);
    if (note === undefined) without++;
    else late.push(at - limit - note.at);
  }));
  return { late, without, left: await leftRunning(), processes: await end(pool) };
}
