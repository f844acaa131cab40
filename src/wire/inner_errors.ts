/**
 * Errors inside values: what `Promise.allSettled` gives, say. A clone of an error has lost its subclass, its own
 * properties and the `name` of built-in subclasses, and between processes a `DOMException` is a plain error, so what is
 * lost travels beside the value.
 *
 * @module
 */
import { describeInnerError, isPlainError, restoreError } from "./error_data.ts";
import { errorsIn, type Isolation, refuseLossy } from "./lossy.ts";
import type { InnerErrors } from "./protocol.ts";

/**
 * Finds what a clone of the value would lose of the errors in it; undefined for nothing.
 *
 * @throws {DOMException} `DataCloneError`, if it would not arrive for another reason: see `refuseLossy`.
 */
export function innerErrors(
  value: unknown,
  where: string,
  isolation: Isolation,
): InnerErrors | undefined {
  return describeAll([refuseLossy(value, where, isolation)]);
}

/** The same for a value that is known to arrive. */
export function innerErrorsIn(value: unknown): InnerErrors | undefined {
  return describeAll([errorsIn(value)]);
}

/** The same for a list of arguments. */
export function innerErrorsOfArguments(
  args: readonly unknown[],
  isolation: Isolation,
): InnerErrors | undefined {
  const found: (readonly object[])[] = [];
  for (let i = 0; i < args.length; i++) found[i] = refuseLossy(args[i], `argument ${i + 1}`, isolation);
  return describeAll(found);
}

function describeAll(found: readonly (readonly object[])[]): InnerErrors | undefined {
  let inner: InnerErrors | undefined;
  let count = 0;
  for (let i = 0; i < found.length; i++) {
    const errors = found[i]!;
    for (let j = 0; j < errors.length; j++) {
      const data = describeInnerError(errors[j]);
      const at = count++;
      if (isPlainError(data)) continue;
      inner ??= [];
      inner[inner.length] = [at, data];
    }
  }
  return inner;
}

/** Gives the errors in a clone of the values, which were told one by one, what they had. */
export function restoreInnerErrors(values: readonly unknown[], inner: InnerErrors | undefined): void {
  if (inner === undefined) return;
  let next = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const errors = errorsIn(values[i]);
    for (; next < inner.length && inner[next]![0] < count + errors.length; next++) {
      const [at, data] = inner[next]!;
      restoreError(errors[at - count]!, data);
    }
    count += errors.length;
  }
}
