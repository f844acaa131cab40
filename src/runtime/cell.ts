/**
 * A cell: a child process that holds a dispatcher and its workers, all threads of it.
 *
 * Its dispatcher is spoken to over a socket of its own, so that the main thread of the cell, which starts workers, is in
 * nobody's way. What the socket needs is allowed to the cell until it is connected, and to no task.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { within } from "../util/within.ts";
import { describeError } from "../wire/error_data.ts";
import {
  type ChildSpec,
  type DeathData,
  type DispatcherOptions,
  PROTOCOL_VERSION,
  type ToDispatcher,
  type ToEntry,
} from "../wire/protocol.ts";
import { type Child, deathOf, killGroup, printed, spawnChild } from "./child.ts";
import { childArguments } from "./child_command.ts";
import { type Claimed, put, readClaims } from "./claims.ts";
import { socketIn } from "./cell_socket.ts";
import { Frames } from "./frames.ts";
import { unnameable } from "./permissions.ts";
import { DRAIN_MS } from "./process_message.ts";

/** What the main thread of a cell is to know, as JSON. */
export interface CellStart {
  /** Where the socket is: see `socketIn`. */
  folder: string;
  /** The pool's name. */
  name: string;
  /** How many workers there may be, and how many of them are spares. */
  workers: number;
  spares: number;
  /** See `WorkerSetup`. */
  env: Readonly<Record<string, string>> | undefined;
  memoryLimit: number | undefined;
}

/** From the main thread of a cell: it is about to end. */
export interface CellDying {
  death: DeathData;
}

/** Who hears of a cell. */
export interface CellEvents {
  message(message: ToEntry): void;
  /**
   * It has ended, and all that it said was heard before.
   *
   * @param begun Tasks that it had begun: among those that have no outcome, exactly those.
   */
  gone(death: DeathData, begun: Claimed): void;
}

/** A cell, as whoever has started it holds it. */
export class Cell {
  readonly #options: DispatcherOptions;
  readonly #events: CellEvents;
  readonly #socket = Promise.withResolvers<Deno.UnixConn>();
  readonly #frames: Frames<ToEntry, ToDispatcher>;
  #folder: string | undefined;
  #listener: Deno.UnixListener | undefined;
  /** A file: see `claims.ts`. */
  #claims: number | undefined;
  #child: Child | undefined;
  /** Before that nothing is begun, and the file holds something else: see `put`. */
  #connected = false;
  #death: DeathData | undefined;
  #over = false;
  readonly #exited = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();

  /** Starts it. */
  constructor(options: DispatcherOptions, spec: ChildSpec, events: CellEvents) {
    this.#options = options;
    this.#events = events;
    this.#frames = new Frames(this.#socket.promise, (message) => this.#events.message(message));
    this.#start(spec).catch((error) => this.#end(failure(error)));
  }

  /** Resolves when all that cells have printed by now has been passed on. */
  static printed(): Promise<void> {
    return printed();
  }

  /** Resolves when it has ended. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /**
   * Says something to its dispatcher.
   *
   * @throws {DOMException} `DataCloneError`, if that cannot be cloned.
   */
  post(message: ToDispatcher): void {
    this.#frames.post(message);
  }

  /** Ends it, and all that runs in it. */
  kill(): void {
    if (this.#child !== undefined) killGroup(this.#child);
    else this.#end({ reason: "signal", exitCode: null, message: "was killed before it was started" });
  }

  async #start(spec: ChildSpec): Promise<void> {
    const options = this.#options;
    // Refused now if it cannot be sent to another process: for the data of the initializer, say.
    this.post({ type: "hello", version: PROTOCOL_VERSION, options, nursery: undefined, bridge: undefined });
    const [run, ...args] = await childArguments(spec, "cell");
    if (this.#over) return;
    // In one turn: a program that ends between two turns would leave the folder behind.
    const folder = this.#folder = Deno.makeTempDirSync({ prefix: "multiprocess-" });
    this.#listener = Deno.listen({ transport: "unix", path: socketIn(folder) });
    this.#listener.accept().then(
      (socket) => {
        if (this.#over) return socket.close();
        this.#connected = true;
        this.#tidy();
        this.#socket.resolve(socket);
      },
      this.#socket.reject,
    );
    const claims = this.#claims = openSync(`${folder}/claims`, "w+");
    this.#spawn([run!, ...forSocket(folder, spec.permissions), ...args], spec.cwd, folder, claims);
  }

  #spawn(args: string[], cwd: string | undefined, folder: string, claims: number): void {
    const { name, size, spares, setup } = this.#options;
    const { env, memoryLimit } = setup;
    // Not by a message: that may never be sent where the program ends.
    put(
      claims,
      JSON.stringify(
        { folder, name, workers: size + spares, spares, env, memoryLimit } satisfies CellStart,
      ),
    );
    const child = this.#child = spawnChild(args, setup, cwd, claims, this.#exited.promise);
    child.on("message", ({ death }: CellDying) => this.#death ??= death);
    child.on("error", (error) => {
      // It cannot be spoken to, having ended perhaps.
      if (child.pid !== undefined) return killGroup(child);
      this.#end(failure(error));
    });
    const disconnected = Promise.withResolvers<void>();
    child.on("exit", async (code, signal) => {
      killGroup(child);
      // Why it has ended may still be on its way.
      await within(disconnected.promise, DRAIN_MS);
      this.#end(deathOf(code, signal, memoryLimit));
    });
    child.on("disconnect", () => {
      killGroup(child);
      // The channel tells that it is closed before the last message has its turn.
      setTimeout(disconnected.resolve);
    });
  }

  async #end(death: DeathData): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const child = this.#child;
    if (child !== undefined) {
      // What its tasks have started goes along.
      killGroup(child);
      if (child.connected) child.disconnect();
    }
    this.#exited.resolve();
    this.#tidy();
    this.#socket.reject(new Error("The cell has ended"));
    await this.#frames.ended;
    this.#events.gone(this.#death ?? death, this.#begun());
    this.#gone.resolve();
  }

  #begun(): Claimed {
    if (this.#claims === undefined) return new Map();
    const begun = this.#connected ? readClaims(this.#claims) : new Map();
    closeSync(this.#claims);
    return begun;
  }

  /** Nothing is left of it in the file system. */
  #tidy(): void {
    const folder = this.#folder;
    if (folder === undefined) return;
    this.#folder = undefined;
    this.#listener?.close();
    try {
      Deno.removeSync(folder, { recursive: true });
    } catch {
      // Somebody else has removed it.
    }
  }
}

function failure(thrown: unknown): DeathData {
  const error = describeError(thrown);
  return { reason: "error", exitCode: null, error, message: `could not be started: ${error.message}` };
}

/** Flags that allow it to connect, and to remove what is left if it cannot, where it is not allowed that anyhow. */
function forSocket(folder: string, permissions: readonly string[]): string[] {
  const flags = { read: folder, write: folder, net: `unix:${socketIn(folder)}` };
  const missing = Object.entries(flags)
    .filter(([name]) => !permissions.includes(`--allow-${name}`) && !permissions.includes("--allow-all"));
  const reason = missing.length === 0 ? undefined : unnameable(folder);
  if (reason !== undefined) throw new Error(`A cell cannot be allowed to use ${folder}: ${reason}`);
  return missing.map(([name, value]) => `--allow-${name}=${value}`);
}
