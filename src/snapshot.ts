import { ByteBuffer, decode, encode, MAX_BYTES } from "./codec.ts";

// Taken when this is loaded: a task may patch it.
const clone = structuredClone;

/** A value as it was when it was taken, whatever becomes of it: as bytes where it is small and plain, which is quick. */
export class Snapshot {
  readonly #buffer = new ByteBuffer(MAX_BYTES);
  #encoded = false;
  #clone: unknown;

  /** @throws {DOMException} `DataCloneError`, if it cannot be cloned. */
  take(value: unknown): void {
    this.#buffer.at = 0;
    this.#encoded = encode(this.#buffer, value);
    this.#clone = this.#encoded ? undefined : clone(value);
  }

  /** The value taken last. */
  get value(): unknown {
    if (!this.#encoded) return this.#clone;
    this.#buffer.at = 0;
    return decode(this.#buffer);
  }
}
