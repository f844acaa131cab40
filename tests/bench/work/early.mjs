/**
 * A worker of a page that awaits something before it listens has lost what was posted to it by then: here it is kept.
 * Imported before anything is awaited.
 *
 * @module
 */
const inPage = globalThis.process === undefined;
const early = [];
const keep = (event) => {
  event.stopImmediatePropagation();
  early.push(event);
};
if (inPage) addEventListener("message", keep);

/** Hands on what has come so far, now that somebody listens. */
export function handOn() {
  if (!inPage) return;
  removeEventListener("message", keep);
  for (const { data, ports } of early) {
    dispatchEvent(new MessageEvent("message", { data, ports: [...ports] }));
  }
}
