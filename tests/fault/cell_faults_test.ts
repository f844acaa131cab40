/**
 * The tables of faults in cells. `deno task test` runs them by themselves: the dispatcher of a cell has the lot of the
 * tasks in its process, so where the machine is busy with other programs it is late when the tests' own process is not.
 */
import { testCheats } from "./cheats.ts";
import { testHangs } from "./hangs.ts";
import { testMemory } from "./memory.ts";

testHangs("cell");
testCheats("cell");
testMemory("cell");
