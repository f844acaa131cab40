/**
 * (f) From the start of the pool to the first outcome, in a process that has just begun. The package was imported
 * before.
 */
export async function measure(pool, { size }) {
  const since = performance.now();
  const started = pool.start(size, "short");
  const took = () => performance.now() - since;
  // The bare threads are no pool and have no queue: there the figure is that they are there.
  if (pool.bare) {
    await started;
    return { first: took() };
  }
  await pool.run("noop");
  return { first: took() };
}
