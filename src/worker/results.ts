import { copyLargeValue } from "../wire/copies.ts";
import { describeError } from "../wire/error_data.ts";
import { innerErrors } from "../wire/inner_errors.ts";
import { type ErrorData, type ResultData, RESULTS } from "../wire/protocol.ts";
import { RecordWriter, ResultRecord } from "../wire/records.ts";
import { bytesToSeal, seal } from "../wire/sealed.ts";
import { transferOf } from "../transfer.ts";
import type { Seat } from "./seat.ts";

/** What is told of every run. */
type Facts = Pick<ResultData, "seq" | "startedAt" | "endedAt"> & {
  /** Which callbacks its module has: see `callbackBits`. */
  callbacks: number;
};

/**
 * How a worker tells its results: small plain ones in memory that outlives it, of which the dispatcher hears when that
 * is worth a message, all others in messages of their own.
 */
export class Results {
  readonly #seat: Seat;
  readonly #writer = new RecordWriter();
  /** There are some in memory that the dispatcher may not have read. */
  #untold = false;

  constructor(seat: Seat) {
    this.#seat = seat;
  }

  /**
   * A task has returned.
   *
   * @param posted It must not overtake what was told in messages, and so is told in one.
   */
  succeed(facts: Facts, value: unknown, posted: boolean): void {
    try {
      const moved = transferOf(value);
      if (moved === undefined && !posted && this.#keep(facts, value)) return;
      const { isolation } = this.#seat;
      const inner = innerErrors(value, "result", isolation);
      let buffers = moved ?? [];
      if (isolation === "thread") {
        const copied = moved === undefined ? copyLargeValue(value) : undefined;
        if (copied !== undefined) {
          value = copied.value;
          buffers = [copied.buffer];
        }
        if (bytesToSeal(buffers) > 0) {
          return seal(value, buffers, (sealed) => this.#post({ ...facts, inner, sealed }, [sealed]));
        }
      }
      this.#post({ ...facts, inner, value }, buffers);
    } catch (error) {
      this.fail(facts, error);
    }
  }

  /** A task has thrown. */
  fail(facts: Facts, error: unknown): void {
    this.#post({ ...facts, error: describeError(error) });
  }

  /** A task's module could not be loaded, or has no such task. */
  failToLoad(seq: number, at: number, message: string, cause?: ErrorData): void {
    const load = { message, ...(cause !== undefined && { cause }) };
    this.#post({ seq, callbacks: undefined, startedAt: at, endedAt: at, load });
  }

  /** Tells the dispatcher that there are results in memory. While tasks are waiting here it looks by itself. */
  tell(): void {
    if (!this.#untold) return;
    this.#untold = false;
    if (this.#seat.unread) this.#seat.post(RESULTS);
  }

  /** Writes a small plain value where it outlives this worker; false if it is none, or there is no room. */
  #keep({ seq, callbacks, startedAt, endedAt }: Facts, value: unknown): boolean {
    const writer = this.#writer;
    const at = writer.begin(ResultRecord.header);
    ResultRecord.put(writer.words, at, seq, callbacks, startedAt, endedAt);
    if (!writer.value(value)) return false;
    writer.end();
    const written = this.#seat.write(writer.words, writer.words[at]!);
    writer.reset();
    if (!written) return false;
    this.#untold = true;
    if (this.#seat.crowded) this.tell();
    return true;
  }

  #post(result: ResultData, transfer: Transferable[] = []): void {
    this.#seat.post({ type: "result", result }, transfer);
  }
}
