/** What the bench of many machines runs. */
export async function wait(ms: number): Promise<number> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
}

export function hang(): never {
  for (;;);
}
