/** A machine of the tests, in any store. The argument is JSON: the queue, and options of `serve()`. Ends on SIGTERM. */
import { serve } from "../../src/bullmq/mod.ts";
import { LOCK, ROOT } from "./machines.ts";
import { connect, type QueueSpec } from "./spec.ts";

const { spec, options } = JSON.parse(Deno.args[0]!) as { spec: QueueSpec; options: object };
const { connection, close } = connect(spec);
const machine = await serve({ queue: spec.queue, connection, root: ROOT, lockDuration: LOCK, ...options });
Deno.addSignalListener("SIGTERM", async () => {
  await machine.stop();
  await close();
  Deno.exit();
});
console.log("serving");
