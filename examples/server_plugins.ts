/**
 * Plugins as users write them, some of them not well.
 *
 * @module
 */

export const shout = (input: string): string => `${input.toUpperCase()}!`;

export const count = (input: string): number => input.split(/\s+/).filter(Boolean).length;

/** Never ends. */
export function hang(): never {
  for (;;);
}

/** Ends the process it runs in, or so it hopes. */
export const exit = (): void => Deno.exit(0);

/** Has a look at what is none of its business. */
export const peek = (): string => Deno.readTextFileSync("/etc/passwd");
