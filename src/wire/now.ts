// Taken when this is loaded: in a worker a task may patch them.
const { timeOrigin } = performance;
const read = performance.now.bind(performance);

/** Milliseconds since 1970, steady and finer than `Date.now()`; the same on all threads, unless the clock was set between their starts. */
export const now = (): number => timeOrigin + read();
