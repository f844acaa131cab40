import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { fixture, until } from "../helpers.ts";

Deno.test({
  name:
    "deno serve with a pool ends on SIGTERM when the pool is stopped by it, and answers what it was asked before",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "serve",
        "-A",
        "--no-check",
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        fixture("serve.ts"),
      ],
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
    let printed = "";
    const print = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const chunk of stream.pipeThrough(new TextDecoderStream())) printed += chunk;
    };
    const printing = Promise.all([print(child.stdout), print(child.stderr)]);
    try {
      await until(() => /http:\/\/[\d.]+:\d+/.test(printed), 50_000, "it listens");
      const [address] = /http:\/\/[\d.]+:\d+/.exec(printed)!;
      const slow = fetch(`${address}/?ms=500`).then((response) => response.text());
      await until(() => printed.includes("begun 500"), 50_000, "the request is being answered");
      child.kill("SIGTERM");
      assertEquals(await slow, "500");
      const { code, signal } = await child.status;
      assertEquals([code, signal], [0, null], printed);
    } finally {
      clearTimeout(timer);
      await printing;
    }
  },
});
