/**
 * A producer of the tests. The argument is JSON: the queue, its name, the file of notes, and the ids of the tasks that it
 * pushes. Says "started", "flushed" and, when it was told to stop, "stopped".
 */
import { InfoTask } from "../../mod.ts";
import { Fleet } from "../../src/bullmq/mod.ts";
import { ROOT, TOLD } from "./machines.ts";
import { connect, type QueueSpec } from "./spec.ts";

interface Argument {
  spec: QueueSpec;
  name: string;
  file: string;
  from: number;
  to: number;
  ms: number;
}

const { spec, name, file, from, to, ms } = JSON.parse(Deno.args[0]!) as Argument;
const { connection, close } = connect(spec);
const fleet = new Fleet({ queue: spec.queue, connection, root: ROOT, name });
const started = fleet.start();
for (let id = from; id < to; id++) void fleet.push(new InfoTask(TOLD, 20_000, file, id, ms));
await started;
console.log("started");
await fleet.flush();
Deno.addSignalListener("SIGTERM", async () => {
  await fleet.stop();
  await close();
  console.log("stopped");
  Deno.exit();
});
console.log("flushed");
