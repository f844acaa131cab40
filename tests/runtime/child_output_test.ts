/** What child processes print: whole lines, in order for each of them. */
import { assertEquals } from "@std/assert";
import { Lines, type Output } from "../../src/runtime/child_output.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Where things are printed: takes a few bytes at once. */
function target(most = Infinity) {
  let text = "";
  const lines = new Lines((chunk) => {
    const taken = chunk.subarray(0, Math.min(most, chunk.length));
    text += new TextDecoder().decode(taken);
    return Promise.resolve(taken.length);
  });
  return { lines, text: () => text };
}

/** A child that prints what it is told to. */
function child(lines: Lines) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const exited = Promise.withResolvers<void>();
  const output: Output = {
    [Symbol.asyncIterator]: () => readable[Symbol.asyncIterator](),
    destroy: () => writer.abort().catch(() => {}),
  };
  const over = lines.relay(output, exited.promise);
  return {
    print: (text: string) => writer.write(bytes(text)),
    end: async () => {
      await writer.close();
      await over;
    },
    exit: async () => {
      exited.resolve();
      await over;
    },
  };
}

Deno.test("Lines.relay() passes on whole lines, whatever the pieces", async () => {
  const { lines, text } = target(3);
  const [a, b] = [child(lines), child(lines)];
  await a.print("one ");
  await b.print("alpha\nbe");
  await a.print("line\ntwo");
  await b.print("ta\n");
  await a.print("\n");
  await Promise.all([a.end(), b.end()]);
  assertEquals(text(), "alpha\none line\nbeta\ntwo\n");
});

Deno.test("Lines.relay() passes on a last line without an end, and nothing is written into it", async () => {
  const { lines, text } = target();
  const [a, b] = [child(lines), child(lines)];
  await a.print("first\nkilled in the mid");
  await a.end();
  await b.print("next\n");
  await b.end();
  assertEquals(text(), "first\nkilled in the mid\nnext\n");
});

Deno.test("Lines.relay() passes on what has no end for a while, and the rest of it", async () => {
  const { lines, text } = target();
  const a = child(lines);
  await a.print("working");
  while (text() === "") await new Promise((resolve) => setTimeout(resolve, 20));
  await a.print("...\n");
  await a.end();
  assertEquals(text(), "working...\n");
});

Deno.test("Lines.relay() holds no more than a mebibyte of a line", async () => {
  const { lines, text } = target();
  const a = child(lines);
  const part = "x".repeat(1 << 19);
  for (let i = 0; i < 3; i++) await a.print(part);
  await a.print("");
  assertEquals(text().length, 3 << 19);
  await a.end();
});

Deno.test("Lines.relay() ends after the child, although what it left behind holds the pipe", async () => {
  const { lines, text } = target();
  const a = child(lines);
  await a.print("last");
  await a.exit();
  assertEquals(text(), "last");
});

Deno.test("Lines.relay() goes on reading where nobody takes what is written", async () => {
  const lines = new Lines(() => Promise.reject(new Deno.errors.BrokenPipe()));
  const a = child(lines);
  for (let i = 0; i < 100; i++) await a.print("line\n");
  await a.end();
});
