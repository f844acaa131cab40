import { end, goneAfter, leftRunning, noteFile, now, readNote, rest, settledAt } from "./hangs.mjs";

/**
 * Tasks that hang, one at a time, each with a quick one queued behind it, on one worker: when the outcome is there,
 * when the quick one has answered, when the thread or process is gone. Each next one begins when the pool has
 * recovered. All in milliseconds.
 */
export async function measure(pool, { hangs, limit, bound, folder }) {
  const figures = { late: [], back: [], gone: [], unsettled: 0, unanswered: 0, lasting: 0 };
  await pool.start(1, "long");
  await pool.run("noop");
  for (let i = 0; i < hangs; i++) {
    await rest(pool, bound);
    const file = noteFile(folder, i);
    const from = now();
    const outcome = pool.runWithin(limit, "hang", file);
    const behind = settledAt(pool.run("noop"), limit + 2 * bound);
    const at = await settledAt(outcome, limit + bound);
    const note = readNote(file);
    if (at === undefined) {
      figures.unsettled++;
      break;
    }
    // It was over before it had begun, and says nothing about stopping.
    if (note === undefined) continue;
    figures.late.push(at - limit - (pool.limitFrom === "push" ? from : note.at));
    const [back, gone] = await Promise.all([behind, goneAfter(note, at, bound)]);
    if (gone === undefined) figures.lasting++;
    else figures.gone.push(gone);
    if (back === undefined) {
      figures.unanswered++;
      break;
    }
    figures.back.push(back - at);
  }
  return { ...figures, left: await leftRunning(), processes: await end(pool) };
}
