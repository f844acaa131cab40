/**
 * The main thread of a cell: it starts the dispatcher's thread and is its nursery, since no worker sleeps that is started
 * here (see `bridge.ts`). No task runs on it, so it can always end the process.
 *
 * @module
 */
import process from "node:process";
import { createNursery } from "../nursery/nursery.ts";
import type { CellDying, CellStart } from "./cell.ts";
import { socketIn } from "./cell_socket.ts";
import { take } from "./claims.ts";
import { keepOnly } from "./child_env.ts";
import { watchMemory } from "./child_memory.ts";
import { endGroup, endWithParent } from "./orphan.ts";
import { startOwnThread } from "./own_thread.ts";

/** What a thread takes at most that runs nothing, in MiB: 11 to 15 (seen with 2.9.6). */
const IDLE_MIB = 20;

const { folder, name, spares, env, memoryLimit, ...start }: CellStart = JSON.parse(take());
/** How many workers there may be. */
let { workers } = start;
/** Where the socket is, until that is connected. */
let place: string | undefined = folder;
endWithParent(end);
if (env !== undefined) keepOnly(env);
serve();
if (memoryLimit !== undefined) guardMemory(memoryLimit);

function serve(): void {
  const { port1, port2 } = new MessageChannel();
  const died = (error: unknown) => {
    console.error(error);
    process.exit(1);
  };
  const nursery = createNursery(() => {});
  const dispatcher = startOwnThread("cell", name, died);
  dispatcher.onmessage = ({ data }) => {
    if (data === "lost") end();
    else if (data === "connected") {
      place = undefined;
      revoke(folder);
      // That ends with the process.
      void nursery({ type: "serve", port: port1 });
    } else workers = data + spares;
  };
  dispatcher.postMessage({ path: socketIn(folder), nursery: port2 }, [port2]);
}

/**
 * Takes back what was allowed for the socket: what is started from now on gets none of it. Not where it is allowed along
 * with what is around it: that would go, too (seen up to Deno 2.9.6).
 */
function revoke(folder: string): void {
  const items = (path: string) =>
    [{ name: "read", path }, { name: "write", path }, {
      name: "net",
      host: `unix:${socketIn(path)}`,
    }] as const;
  const around = items(`${folder}-`);
  for (const [i, item] of items(folder).entries()) {
    if (Deno.permissions.querySync(around[i]!).state !== "granted") Deno.permissions.revokeSync(item);
  }
}

/** Buffers are nobody's: they count against the limits of all workers together. */
function guardMemory(memoryLimit: number): void {
  const message = `ran out of memory (memoryLimit: ${memoryLimit} MiB, for each of ${workers} workers)`;
  const dying: CellDying = { death: { reason: "memory", exitCode: null, message } };
  watchMemory(
    () => workers * memoryLimit + (workers + 1) * IDLE_MIB,
    () => process.send!(dying, undefined, undefined, endGroup),
  );
}

/** The program has gone. If that was before this was connected, nobody else leaves nothing behind. */
function end(): void {
  try {
    if (place !== undefined) Deno.removeSync(place, { recursive: true });
  } catch {
    // It has removed it.
  }
  endGroup();
}
