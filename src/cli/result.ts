import type { Outcome, WorkerCrashError } from "../../mod.ts";
import type { Ended } from "./command_task.ts";
import type { Input } from "./inputs.ts";

/** What came of an input: one line of the output. */
export interface Result {
  readonly seq: number;
  readonly input: unknown;
  readonly status: Outcome["status"];
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
  readonly attempts: number;
  readonly ms: number;
}

/** The result of a task. */
export function resultOf(input: Input, outcome: Outcome): Result {
  const { status, attempts } = outcome;
  const facts = { seq: input.seq, input: input.value, status };
  const times = { attempts, ms: Math.round(1_000 * outcome.ranMs) / 1_000 };
  if (outcome.status === "ok") return { ...facts, value: outcome.value ?? null, ...times };
  const { name, message } = outcome.error;
  return { ...facts, error: { name, message }, ...times };
}

/** The result of an input that is no JSON. */
export function refusedResult({ seq, text }: Input, { name, message }: Error): Result {
  return { seq, input: text, status: "failed", error: { name, message }, attempts: 0, ms: 0 };
}

/** With what a command printed as text, whether it ended well or not. */
export function commandResult(input: Input, outcome: Outcome): Result {
  const result = resultOf(input, outcome);
  const ended = endedOf(outcome);
  if (ended === undefined) return result;
  const decoder = new TextDecoder();
  const value = {
    exitCode: ended.exitCode,
    stdout: decoder.decode(ended.stdout),
    stderr: decoder.decode(ended.stderr),
  };
  return { ...result, value };
}

/** What a command has left; undefined where it did not end. */
export function endedOf(outcome: Outcome): Ended | undefined {
  const from = outcome.status === "ok" ? outcome.value : outcome.error;
  return typeof from === "object" && from !== null && "exitCode" in from && "stdout" in from
    ? from as unknown as Ended
    : undefined;
}

/** The exit value and the signal for the log, as GNU parallel has them. */
export function exitOf(outcome: Outcome): { exitValue: number; signal: number } {
  switch (outcome.status) {
    case "ok":
      return { exitValue: 0, signal: 0 };
    case "failed":
      return { exitValue: endedOf(outcome)?.exitCode ?? 1, signal: 0 };
    case "crashed":
      return { exitValue: (outcome.error as WorkerCrashError).exitCode ?? -1, signal: 0 };
    case "timed-out":
    case "cancelled":
      return { exitValue: -1, signal: 9 };
  }
}

/** One line of JSON. What JSON does not know is told as what comes nearest: a Map as its entries, bytes as numbers. */
export function toLine(result: unknown): string {
  return JSON.stringify(result, (_, value) => {
    if (typeof value === "bigint") return String(value);
    if (value instanceof Map || value instanceof Set) return [...value];
    if (value instanceof Error) return { name: value.name, message: value.message };
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return [...value as Uint8Array];
    return value;
  });
}
