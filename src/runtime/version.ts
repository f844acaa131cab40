/** Whether this Deno is of the version named, or a later one. */
export function isAtLeast(least: readonly number[], version: string = Deno.version.deno): boolean {
  const numbers = version.split(/[.+-]/).map(Number);
  for (const [i, wanted] of least.entries()) {
    const number = numbers[i] ?? 0;
    if (number !== wanted) return number > wanted;
  }
  return true;
}
