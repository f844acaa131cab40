import { load } from "../packages.mjs";

const { Tinypool } = await load("tinypool");

/** Gives back what it got; the way back moves it. */
export function move(buffer) {
  return Tinypool.move(buffer);
}
