/**
 * The log of what is done, with the columns of GNU parallel, so that its users and their scripts find their way.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { SeqSet } from "./seq_set.ts";

const COLUMNS = ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"];

/** The name of this machine there. */
const HERE = ":";

/** What is told of an input that is done. */
export interface Entry {
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly ranMs: number;
  /** 0 for one that went well; -1 for one that was stopped. */
  readonly exitValue: number;
  readonly signal: number;
  /** What was run, for whoever reads the log. */
  readonly command: string;
}

/** What a log that was written before has. */
export interface Done {
  /** The inputs to be left out. */
  readonly seqs: SeqSet;
  readonly failed: number;
}

/** Which inputs a log has; those that failed only where they are not to be tried again. */
export async function readJoblog(path: string, tryFailedAgain: boolean): Promise<Done> {
  const seqs = new SeqSet();
  let failed = 0;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { seqs, failed };
    throw error;
  }
  // Several rows of one input: the last one counts. Those that failed are few.
  const failures = new SeqSet();
  const lines = file.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) {
    const fields = line.split("\t");
    const seq = Number(fields[0]);
    // A head line, or one that was being written when the program was killed.
    if (fields.length < COLUMNS.length || !Number.isSafeInteger(seq) || seq < 1) continue;
    const ok = fields[6] === "0" && fields[7] === "0";
    if (ok) {
      failures.delete(seq);
      seqs.add(seq);
    } else if (!seqs.has(seq)) {
      failures.add(seq);
    }
  }
  if (tryFailedAgain) return { seqs, failed };
  for (const seq of failures) {
    seqs.add(seq);
    failed++;
  }
  return { seqs, failed };
}

/** Writes the log. */
export class Joblog {
  readonly #file: Deno.FsFile;
  readonly #encoder = new TextEncoder();

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** @param append Goes on with a log that is there. */
  static async open(path: string, append: boolean): Promise<Joblog> {
    const file = await Deno.open(path, { create: true, read: true, write: true, truncate: !append });
    const log = new Joblog(file);
    const size = await file.seek(0, Deno.SeekMode.End);
    if (size === 0) log.#write(COLUMNS.join("\t"));
    else await log.#endLine(size);
    return log;
  }

  add(entries: readonly Entry[]): void {
    if (entries.length > 0) this.#write(entries.map(rowOf).join("\n"));
  }

  close(): void {
    this.#file.close();
  }

  /** The last line may be torn, where the program was killed while it wrote it. */
  async #endLine(size: number): Promise<void> {
    const last = new Uint8Array(1);
    await this.#file.seek(size - 1, Deno.SeekMode.Start);
    await this.#file.read(last);
    await this.#file.seek(0, Deno.SeekMode.End);
    if (last[0] !== 10) this.#file.writeSync(this.#encoder.encode("\n"));
  }

  /** At once: what is in the log is done, whatever happens next. */
  #write(line: string): void {
    const bytes = this.#encoder.encode(`${line}\n`);
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
  }
}

function rowOf({ seq, startedAt, ranMs, exitValue, signal, command }: Entry): string {
  const [start, seconds] = [(startedAt / 1_000).toFixed(3), (ranMs / 1_000).toFixed(3).padStart(10)];
  return [seq, HERE, start, seconds, 0, 0, exitValue, signal, command.replaceAll(/[\t\r\n]/g, " ")].join(
    "\t",
  );
}
