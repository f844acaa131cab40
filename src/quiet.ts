import { setImmediate } from "node:timers";

/** After so many turns of the event loop without a message none is left; one who never ceases has had its say. */
const QUIET_TURNS = 32;
const MAX_TURNS = 256;

/**
 * Resolves when all messages that have been sent to this thread so far have been taken in.
 *
 * After a turn of the event loop in which a thread had much to do, a message may wait behind a timer: Deno runs timers
 * before it delivers messages, some forty of a port in one turn, and while there is something to do it looks only every
 * 31 turns whether another thread wants to wake it (seen up to 2.9.6: 30 turns).
 *
 * @param heard How many have been taken in so far.
 */
export async function quiet(heard: () => number): Promise<void> {
  for (let turns = 0, still = 0; still < QUIET_TURNS && turns < MAX_TURNS; turns++) {
    const before = heard();
    await new Promise((resolve) => setImmediate(resolve));
    still = heard() === before ? still + 1 : 0;
  }
}
