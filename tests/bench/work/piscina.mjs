import { load } from "../packages.mjs";

const { Piscina } = await load("piscina");

/** Gives back what it got; the way back moves it. */
export function move(buffer) {
  return Piscina.move(buffer);
}
