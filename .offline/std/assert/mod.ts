import * as std from "npm:deno-std@1.4.0/assert/mod.js";

// deno-lint-ignore no-explicit-any
type Class<T> = abstract new (...args: any[]) => T;

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg?: string): asserts expr {
  std.assert(expr, msg);
}
/** Fails unless the values are deeply equal. */
export const assertEquals: <T>(actual: T, expected: T, msg?: string) => void = std.assertEquals;
/** Fails if the values are deeply equal. */
export const assertNotEquals: <T>(actual: T, expected: T, msg?: string) => void = std.assertNotEquals;
/** Fails unless the values are the same. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  std.assertStrictEquals(actual, expected, msg);
}
/** Fails unless the value is an instance of the class. */
export function assertInstanceOf<T>(actual: unknown, expected: Class<T>, msg?: string): asserts actual is T {
  std.assertInstanceOf(actual, expected, msg);
}
/** Fails if the value is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  std.assertExists(actual, msg);
}
/** Fails unless `actual` contains `expected`. */
export const assertStringIncludes: (actual: string, expected: string, msg?: string) => void =
  std.assertStringIncludes;
/** Fails unless `actual` matches. */
export const assertMatch: (actual: string, expected: RegExp, msg?: string) => void = std.assertMatch;
/** Fails unless `actual` is greater. */
export const assertGreater: <T>(actual: T, expected: T, msg?: string) => void = std.assertGreater;
/** Fails unless `actual` is greater or equal. */
export const assertGreaterOrEqual: <T>(actual: T, expected: T, msg?: string) => void =
  std.assertGreaterOrEqual;
/** Fails unless `actual` is less. */
export const assertLess: <T>(actual: T, expected: T, msg?: string) => void = std.assertLess;
/** Fails unless `actual` is less or equal. */
export const assertLessOrEqual: <T>(actual: T, expected: T, msg?: string) => void = std.assertLessOrEqual;

/** Fails unless `fn` throws. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(...args: unknown[]): unknown {
  return std.assertThrows(...args);
}

/** Fails unless `fn` rejects. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export function assertRejects(...args: unknown[]): Promise<unknown> {
  return std.assertRejects(...args);
}
/** Fails. */
export const fail: (msg?: string) => never = std.fail;
