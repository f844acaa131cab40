/**
 * The entry of the nursery's thread.
 *
 * @module
 */
import { createNursery } from "../nursery/nursery.ts";
import type { FromNurseryThread, ToNurseryThread } from "../wire/protocol.ts";
import { parent } from "./parent.ts";

const entry = parent<ToNurseryThread, FromNurseryThread>();
entry.listen(createNursery(() => entry.postMessage({ type: "ended" })));
