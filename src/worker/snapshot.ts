import { ByteBuffer, decode, encode, MAX_BYTES } from "../wire/codec.ts";

// Taken when this is loaded: a task may patch them.
const apply = Reflect.apply;
const slice = ArrayBuffer.prototype.slice;
const clone = structuredClone;

const memory = new ArrayBuffer(MAX_BYTES);
const scratch = new ByteBuffer(memory);

/** A value as it is now, whatever becomes of it: as bytes where it is small and plain, which is quick. */
export class Snapshot {
  readonly #bytes: ArrayBuffer | undefined;
  readonly #clone: unknown;

  /** @throws {DOMException} `DataCloneError`, if it cannot be cloned. */
  constructor(value: unknown) {
    scratch.at = 0;
    // Whole words, as `ByteBuffer` has them.
    if (encode(scratch, value)) this.#bytes = apply(slice, memory, [0, scratch.at + 3 & ~3]);
    else this.#clone = clone(value);
  }

  get value(): unknown {
    return this.#bytes === undefined ? this.#clone : decode(new ByteBuffer(this.#bytes));
  }
}
