/** Smaller buffers are copied as quickly as they are looked for. */
const LEAST_BYTES = 1 << 14;

/**
 * The large buffers among the values or directly inside them. A message that was received is nobody else's, so who
 * passes it on can move them instead of copying them once more.
 */
export function largeBuffers(values: readonly unknown[]): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  for (const value of values) {
    if (typeof value !== "object" || value === null) continue;
    if (add(found, value)) continue;
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && !(Array.isArray(value) && value.length < 1_000)) continue;
    for (const inner of Object.values(value)) {
      if (typeof inner === "object" && inner !== null) add(found, inner);
    }
  }
  return [...found];
}

/** True if the value is a buffer or a view of one. */
function add(found: Set<ArrayBuffer>, value: object): boolean {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  if (buffer instanceof ArrayBuffer) {
    if (buffer.byteLength >= LEAST_BYTES) found.add(buffer);
    return true;
  }
  return ArrayBuffer.isView(value);
}
