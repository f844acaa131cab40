/**
 * What travels through the queue, and what things are called there.
 *
 * What is read was written by others: nothing of it is taken for what it should be before it was looked at.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import v8 from "node:v8";
import { MAX_DELAY } from "../info_task.ts";
import { innerErrorsIn, restoreInnerErrors } from "../wire/inner_errors.ts";
import type { InnerErrors, OutcomeData, RetryData } from "../wire/protocol.ts";

/** Changes whenever what travels does. */
export const WIRE_VERSION = 1;

/** The longest name of a queue or a producer. */
export const MAX_NAME = 100;
/** What a queue, and a producer, may be called: BullMQ puts `:` between its own. */
export const NAME: RegExp = new RegExp(`^[\\w.-]{1,${MAX_NAME}}$`);

/** Values nested deeper, or with more objects in them, are not looked at for whether JSON would do. */
const MAX_OBJECTS = 10_000;

/**
 * A value: as JSON where JSON gives the same again, so that dashboards show it, else as V8 clones it, in base64. `text`
 * is JSON for a store that would not keep it as it is, such as the order of keys; `errors` is what V8's clones lose of
 * the errors in it.
 */
export type Packed = { json: unknown } | { text: string } | { v8: string; errors?: string };

/** A task, as the data of its job. */
export interface TaskWire {
  v: number;
  /** Whom its outcome goes to. */
  to: string;
  module: string;
  /** Null for none: JSON knows no Infinity. */
  timeout: number | null;
  args: Packed;
  softTimeout?: number;
  retry?: RetryData;
  /** Its progress is wanted. */
  progress?: true;
}

/** What a producer that has been restarted since needs to know of a task. */
export type TaskOfOutcome = Pick<TaskWire, "module" | "timeout" | "args">;

/** An outcome, as the data of its job in the queue of the producer. */
export interface OutcomeWire {
  v: number;
  outcome: Packed;
  /** How many values of its last attempt's progress were published before. */
  reported: number;
  task: TaskOfOutcome;
  machine: string;
}

/** An outcome as it is packed, with the progress that had not been published. */
export type OutcomeOnWire = Omit<OutcomeData, "id"> & { late?: unknown[] };

/** The queue of a producer's outcomes. */
export const outcomesOf = (queue: string, producer: string): string => `${queue}.outcomes.${producer}`;
/** The events that carry a producer's progress. */
export const progressOf = (queue: string, producer: string): string => `${queue}.progress.${producer}`;
/** The events that tell machines to stop tasks. */
export const cancelsOf = (queue: string): string => `${queue}.cancels`;

/** The id of a task's job: which life of a producer pushed it, and its number there. */
export const jobIdOf = (life: string, id: number): string => `${life}-${id}`;

/** Takes a job's id apart; the number is 0 for one that nobody here has given. */
export function readJobId(job: string): { life: string; id: number } {
  const at = job.lastIndexOf("-");
  const id = Number(job.slice(at + 1));
  return { life: job.slice(0, Math.max(at, 0)), id: Number.isSafeInteger(id) && id > 0 ? id : 0 };
}

/**
 * Packs a value as it is now.
 *
 * @param keepsJson Whether the store gives JSON back as it was.
 * @throws {DOMException} `DataCloneError`, if it cannot be cloned.
 */
export function pack(value: unknown, keepsJson: boolean): { packed: Packed; bytes: number } {
  if (isJson(value, new Set())) {
    const text = JSON.stringify(value);
    return { packed: keepsJson ? { json: JSON.parse(text) } : { text }, bytes: text.length };
  }
  const text = serialize(value).toString("base64");
  const inner = innerErrorsIn(value);
  if (inner === undefined) return { packed: { v8: text }, bytes: text.length };
  const errors = serialize(inner).toString("base64");
  return { packed: { v8: text, errors }, bytes: text.length + errors.length };
}

/** The value that was packed. */
export function unpack(packed: Packed): unknown {
  if ("v8" in packed) {
    const value = deserialize(packed.v8);
    if (packed.errors !== undefined) restoreInnerErrors([value], deserialize(packed.errors) as InnerErrors);
    return value;
  }
  return "text" in packed ? JSON.parse(packed.text) : packed.json;
}

function deserialize(text: string): unknown {
  return v8.deserialize(Buffer.from(text, "base64"));
}

function serialize(value: unknown): Buffer {
  try {
    return v8.serialize(value);
  } catch (error) {
    // Throws what the pool of one machine gives for it.
    structuredClone(value);
    throw error;
  }
}

/** Whether JSON would give the same again. */
function isJson(value: unknown, seen: Set<unknown>): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0);
    case "object": {
      if (value === null) return true;
      // What is referred to twice must be one thing again.
      if (seen.has(value) || seen.size >= MAX_OBJECTS) return false;
      seen.add(value);
      const prototype = Object.getPrototypeOf(value);
      if (Array.isArray(value)) {
        return prototype === Array.prototype && Object.keys(value).length === value.length &&
          value.every((item) => isJson(item, seen));
      }
      return prototype === Object.prototype && !("toJSON" in value) && !Object.hasOwn(value, "__proto__") &&
        Object.values(value).every((item) => isJson(item, seen));
    }
    default:
      return false;
  }
}

type Fields = Record<string, unknown>;

/** Whom the outcome of a job goes to, if that can be said of it at all. */
export function readTo(data: unknown): string | undefined {
  const to = (data as Fields | null | undefined)?.to;
  return typeof to === "string" && NAME.test(to) ? to : undefined;
}

/**
 * The task of a job.
 *
 * @throws {TypeError} If it is none that can be run here.
 */
export function readTask(data: unknown): TaskWire {
  const task = fields(data);
  version(task.v);
  const { to, softTimeout, retry, progress } = task;
  check(typeof to === "string" && NAME.test(to), "to");
  check(softTimeout === undefined || isDelay(softTimeout), "softTimeout");
  check(progress === undefined || progress === true, "progress");
  if (retry !== undefined) checkRetry(retry);
  return { ...task, ...readTaskOfOutcome(task) } as TaskWire;
}

/**
 * An outcome in the queue of its producer.
 *
 * @throws {TypeError} If it is none.
 */
export function readOutcome(data: unknown): OutcomeWire {
  const wire = fields(data);
  version(wire.v);
  checkPacked(wire.outcome, "outcome");
  check(typeof wire.reported === "number", "reported");
  check(typeof wire.machine === "string", "machine");
  return { ...wire, task: readTaskOfOutcome(wire.task) } as OutcomeWire;
}

function readTaskOfOutcome(data: unknown): TaskOfOutcome {
  const { module, timeout, args } = fields(data);
  check(typeof module === "string", "module");
  check(timeout === null || isDelay(timeout), "timeout");
  checkPacked(args, "args");
  return { module, timeout, args } as TaskOfOutcome;
}

/** The outcome that was packed. */
export function unpackOutcome(packed: Packed): OutcomeOnWire {
  const outcome = fields(unpack(packed));
  const { status, attempts, waitedMs, ranMs } = outcome;
  check(["ok", "failed", "timed-out", "crashed", "cancelled"].includes(status as string), "status");
  check([attempts, waitedMs, ranMs].every(Number.isFinite), "times");
  return outcome as unknown as OutcomeOnWire;
}

/** The arguments that were packed. */
export function unpackArgs(packed: Packed): unknown[] {
  const args = unpack(packed);
  check(Array.isArray(args), "args");
  return args as unknown[];
}

function fields(data: unknown): Fields {
  check(typeof data === "object" && data !== null && !Array.isArray(data), "data");
  return data as Fields;
}

function version(v: unknown): void {
  if (v === WIRE_VERSION) return;
  throw new TypeError(
    `It speaks version ${JSON.stringify(v)} of what travels, this side version ${WIRE_VERSION}`,
  );
}

function checkPacked(packed: unknown, what: string): void {
  const { v8, errors, text } = fields(packed);
  check(v8 === undefined || typeof v8 === "string", what);
  check(errors === undefined || typeof errors === "string", what);
  check(text === undefined || typeof text === "string", what);
}

function checkRetry(retry: unknown): void {
  const { maxAttempts, minTimeout, maxTimeout, multiplier, jitter, on } = fields(retry);
  check(Number.isSafeInteger(maxAttempts), "retry.maxAttempts");
  check(isDelay(minTimeout) && isDelay(maxTimeout), "retry.minTimeout");
  check(Number.isFinite(multiplier) && Number.isFinite(jitter), "retry.multiplier");
  check(Array.isArray(on), "retry.on");
}

function isDelay(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value <= MAX_DELAY;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new TypeError(`It is damaged: its ${what} is not what it should be`);
}
