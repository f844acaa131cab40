import { nextTurn } from "./host.ts";

/** After so many turns of the event loop without a message from another thread none is left. */
export const THREAD_TURNS = 32;
/** The same for messages of a process: 32 were not enough more often than not, 150 always (seen with 2.9.6). */
export const PROCESS_TURNS = 160;
/** One who never ceases has had its say after so many times that. */
const MAX_TIMES = 8;

/**
 * Resolves when all messages that have been sent to this thread so far have been taken in.
 *
 * After a turn of the event loop in which a thread had much to do, a message may wait behind a timer: Deno runs timers
 * before it delivers messages, some forty of a port in one turn, and while there is something to do it looks only every
 * 31 turns whether another thread wants to wake it (seen up to 2.9.6: 30 turns).
 *
 * @param heard How many have been taken in so far.
 * @param enough How many turns without one.
 */
export async function quiet(heard: () => number, enough: number): Promise<void> {
  for (let turns = 0, still = 0; still < enough && turns < MAX_TIMES * enough; turns++) {
    const before = heard();
    await new Promise<void>((resolve) => nextTurn(resolve));
    still = heard() === before ? still + 1 : 0;
  }
}
