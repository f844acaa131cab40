import type { Entry, Joblog } from "./joblog.ts";
import { writeError } from "./write_error.ts";

/** So much is written at once, at most, in characters. */
const FULL = 1 << 16;

type Part = { to: "stdout" | "stderr"; data: string | Uint8Array };

/**
 * What results print, and the log: gathered for a turn of the event loop, since a write for each short line would take
 * longer than most tasks. A row of the log is written when what its result prints has been.
 */
export class Output {
  readonly #log: Joblog | undefined;
  readonly #beforeWriting: () => void;
  readonly #closed: () => void;
  readonly #encoder = new TextEncoder();
  #parts: Part[] = [];
  #rows: Entry[] = [];
  #size = 0;
  #writing: Promise<void> = Promise.resolve();
  #scheduled = false;
  #ended = false;

  /**
   * @param beforeWriting Called before something is written that may go to the terminal.
   * @param closed Called when nobody reads stdout any more.
   */
  constructor(log: Joblog | undefined, beforeWriting: () => void, closed: () => void) {
    this.#log = log;
    this.#beforeWriting = beforeWriting;
    this.#closed = closed;
  }

  print(data: string | Uint8Array): void {
    this.#add({ to: "stdout", data });
  }

  complain(data: string | Uint8Array): void {
    this.#add({ to: "stderr", data });
  }

  /** A row of the log, for what has been printed so far. */
  row(entry: Entry): void {
    this.#rows.push(entry);
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    if (this.#size >= FULL) await this.flush();
  }

  /** Resolves when all has been written. */
  flush(): Promise<void> {
    return this.#writing = this.#writing.then(() => this.#write());
  }

  #add(part: Part): void {
    if (part.data.length === 0) return;
    this.#parts.push(part);
    this.#size += part.data.length;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => {
      this.#scheduled = false;
      void this.flush();
    });
  }

  async #write(): Promise<void> {
    const [parts, rows] = [this.#parts, this.#rows];
    if (parts.length > 0) this.#beforeWriting();
    this.#parts = [];
    this.#rows = [];
    this.#size = 0;
    for (const { to, data } of joined(parts)) {
      if (to === "stderr") writeError(data);
      else if (!await this.#writeOut(typeof data === "string" ? this.#encoder.encode(data) : data)) return;
    }
    this.#log?.add(rows);
  }

  async #writeOut(bytes: Uint8Array): Promise<boolean> {
    if (this.#ended) return false;
    try {
      for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
      return true;
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      this.#ended = true;
      this.#closed();
      return false;
    }
  }
}

/** Texts that follow one another for the same stream are one. */
function joined(parts: Part[]): Part[] {
  const result: Part[] = [];
  let texts: string[] = [];
  const gather = (to: Part["to"]) => {
    if (texts.length > 0) result.push({ to, data: texts.join("") });
    texts = [];
  };
  for (const [i, { to, data }] of parts.entries()) {
    if (typeof data === "string") texts.push(data);
    else result.push({ to, data });
    const next = parts[i + 1];
    if (next?.to !== to || typeof next.data !== "string") gather(to);
  }
  return result;
}
