/** Messages over a socket: each arrives as it was, in order, however large, and what cannot be sent is refused at once. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Frames } from "../../src/runtime/frames.ts";

type Message = ArrayBuffer | { value: unknown };

async function pair(take: (message: Message) => void) {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  const listener = Deno.listen({ transport: "unix", path });
  const connecting = Deno.connect({ transport: "unix", path });
  const here = new Frames<Message, Message>(listener.accept(), take);
  const there = new Frames<Message, Message>(connecting, () => {});
  await connecting;
  listener.close();
  await Deno.remove(folder, { recursive: true });
  return { here, there };
}

Deno.test({
  name: "Frames carries records and messages of any size, in order, and all before its end",
  ignore: Deno.build.os === "windows",
  async fn() {
    const seen: Message[] = [];
    const { here, there } = await pair((message) => seen.push(message));
    const sizes = [0, 1, 7, 65_519, 65_520, 65_528, 65_529, 65_536, 200_001, 3, 5_000_000, 2];
    for (const size of sizes) {
      there.post(new Uint8Array(size).fill(size).buffer);
      there.post({ value: new Map([[size, new Uint8Array(size)]]) });
    }
    for (let i = 0; i < 5_000; i++) there.post({ value: i });
    there.post({ value: "last" });
    while (seen.length < 2 * sizes.length + 5_001) await new Promise((resolve) => setTimeout(resolve, 1));
    for (const [i, size] of sizes.entries()) {
      const [records, message] = [seen[2 * i], seen[2 * i + 1] as { value: Map<number, Uint8Array> }];
      assert(records instanceof ArrayBuffer);
      assertEquals(records.byteLength, size);
      assertEquals(message.value.get(size)?.length, size);
    }
    assertEquals(seen.at(-1), { value: "last" });
    there.close();
    await Promise.all([here.ended, there.ended]);
  },
});

Deno.test({
  name: "Frames refuses what cannot be cloned, and says nothing once the other end is gone",
  ignore: Deno.build.os === "windows",
  async fn() {
    const { here, there } = await pair(() => {});
    assertThrows(() => there.post({ value: () => {} }), DOMException);
    here.close();
    await Promise.all([here.ended, there.ended]);
    there.post({ value: 1 });
  },
});
