/** Which modules are taken for those that end their cells. */
import { assertEquals } from "@std/assert";
import { Suspects } from "../../src/cells/suspects.ts";
import type { DeathData } from "../../src/wire/protocol.ts";

const DEATH: DeathData = { reason: "signal", exitCode: null, message: "was killed by SIGKILL" };
const [DEADLY, HEALTHY] = [1, 2];

const ender = (id: number, module = DEADLY) => ({ id, module });

Deno.test("Suspects holds a module of which two tasks in a row ended their cells, until one returns", () => {
  const suspects = new Suspects();
  suspects.blame([ender(1)], false, DEATH, 0);
  assertEquals([suspects.any, suspects.has(DEADLY)], [false, false]);
  suspects.blame([ender(2)], false, DEATH, 1);
  assertEquals([suspects.any, suspects.has(DEADLY), suspects.refused(DEADLY, 1)], [true, true, undefined]);
  assertEquals(suspects.returned(DEADLY), true);
  assertEquals([suspects.any, suspects.returned(DEADLY)], [false, false]);
  // In a row: it has returned in between.
  suspects.blame([ender(3)], false, DEATH, 2);
  assertEquals(suspects.any, false);
});

Deno.test("Suspects counts an end once, however many tasks of a module were running, and a task once, however often it is tried", () => {
  const suspects = new Suspects();
  suspects.blame([ender(1), ender(2), ender(3)], false, DEATH, 0);
  for (let at = 1; at < 20; at++) suspects.blame([ender(1)], false, DEATH, at);
  assertEquals(suspects.any, false);
  // It has its outcome: its id is of no task any more.
  suspects.ended(1);
  suspects.blame([ender(1)], false, DEATH, 20);
  assertEquals(suspects.any, true);
});

Deno.test("Suspects gives a module up of which sixteen tasks ended their cells and none ever returned, for a second", () => {
  const suspects = new Suspects();
  for (let id = 1; id <= 15; id++) suspects.blame([ender(id)], false, DEATH, 0);
  assertEquals(suspects.refused(DEADLY, 0), undefined);
  suspects.blame([ender(16)], false, DEATH, 100);
  assertEquals(suspects.refused(DEADLY, 1_099), DEATH);
  assertEquals(suspects.refused(DEADLY, 1_100), undefined);
  assertEquals(suspects.has(DEADLY), true);
  const sometimes = new Suspects();
  sometimes.returned(DEADLY);
  for (let id = 1; id <= 40; id++) sometimes.blame([ender(id)], false, DEATH, 0);
  assertEquals([sometimes.has(DEADLY), sometimes.refused(DEADLY, 0)], [true, undefined]);
});

Deno.test("Suspects has the restart budget pay for ends that were to be expected, or of cells that were of no use", () => {
  for (
    const { what, useful, sound, held, enders, paid } of [
      { what: "nothing ran, nothing had", useful: false, sound: [], held: [], enders: [], paid: false },
      { what: "nothing ran, in one of use", useful: true, sound: [], held: [], enders: [], paid: true },
      { what: "in a new one", useful: false, sound: [], held: [], enders: [ender(1)], paid: false },
      { what: "in one of use", useful: true, sound: [], held: [], enders: [ender(1)], paid: true },
      { what: "a sound one", useful: false, sound: [DEADLY], held: [], enders: [ender(1)], paid: true },
      { what: "one that is held", useful: true, sound: [], held: [DEADLY], enders: [ender(1)], paid: false },
      {
        what: "one beside a sound one",
        useful: false,
        sound: [HEALTHY],
        held: [],
        enders: [ender(1), ender(2, HEALTHY)],
        paid: false,
      },
    ] as {
      what: string;
      useful: boolean;
      sound: number[];
      held: number[];
      enders: ReturnType<typeof ender>[];
      paid: boolean;
    }[]
  ) {
    const suspects = new Suspects();
    for (const module of sound) suspects.returned(module);
    for (const module of held) {
      for (const id of [98, 99]) suspects.blame([ender(id, module)], false, DEATH, 0);
    }
    assertEquals(suspects.blame(enders, useful, DEATH, 0), paid, what);
  }
});

Deno.test("Suspects has the restart budget pay for a task that is tried over and over, and ends its cells", () => {
  const suspects = new Suspects();
  assertEquals(suspects.blame([ender(1)], true, DEATH, 0), true);
  assertEquals(suspects.blame([ender(1), ender(2, HEALTHY)], true, DEATH, 1), false);
  assertEquals(suspects.blame([ender(3, HEALTHY)], true, DEATH, 2), true);
});

Deno.test("Suspects knows no callbacks of a module whose cell died of loading it to see which it has", () => {
  const suspects = new Suspects();
  suspects.blame([{ id: undefined, module: DEADLY }], true, DEATH, 0);
  assertEquals([suspects.callbacks(DEADLY), suspects.callbacks(HEALTHY)], [0, undefined]);
  suspects.loaded(DEADLY, 3);
  assertEquals(suspects.callbacks(DEADLY), 3);
  suspects.forget(DEADLY);
  assertEquals(suspects.callbacks(DEADLY), undefined);
});
