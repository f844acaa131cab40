import { transfer } from "../../../mod.ts";

/** Gives back what it got; the way back moves it. */
export function move(buffer: ArrayBuffer): ArrayBuffer {
  return transfer(buffer, [buffer]);
}
