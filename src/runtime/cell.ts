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
import { type Claimed, readClaims } from "./claims.ts";
import { Frames } from "./frames.ts";
import { DRAIN_MS } from "./process_message.ts";

/** To the main thread of a cell. */
export interface CellStart {
  /** Where the socket is. */
  path: string;
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
  readonly #folder: string;
  readonly #listener: Deno.UnixListener;
  /** A file: see `claims.ts`. */
  readonly #claims: number;
  #child: Child | undefined;
  #frames: Frames<ToEntry, ToDispatcher> | undefined;
  /** What is to be said once it is connected. */
  #waiting: ToDispatcher[];
  #death: DeathData | undefined;
  #over = false;
  readonly #exited = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();

  /** Starts it. */
  constructor(options: DispatcherOptions, spec: ChildSpec, events: CellEvents) {
    this.#options = options;
    this.#events = events;
    this.#waiting = [
      { type: "hello", version: PROTOCOL_VERSION, options, nursery: undefined, bridge: undefined },
    ];
    this.#folder = Deno.makeTempDirSync({ prefix: "multiprocess-" });
    const path = `${this.#folder}/socket`;
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#claims = openSync(`${this.#folder}/claims`, "w+");
    void this.#connect();
    const permissions = [...spec.permissions, ...forSocket(path, spec.permissions)];
    childArguments({ ...spec, permissions }, "cell")
      .then((args) => this.#spawn(args, spec.cwd, path))
      .catch((error) => this.#end(failure(error)));
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
    if (this.#frames !== undefined) return this.#frames.post(message);
    // As it is now, and refused now.
    this.#waiting.push(message instanceof ArrayBuffer ? message : structuredClone(message));
  }

  /** Ends it, and all that runs in it. */
  kill(): void {
    if (this.#child !== undefined) killGroup(this.#child);
    else this.#end({ reason: "signal", exitCode: null, message: "was killed before it was started" });
  }

  #spawn(args: string[], cwd: string | undefined, path: string): void {
    if (this.#over) return;
    const { name, size, spares, setup } = this.#options;
    const { env, memoryLimit } = setup;
    const child = this.#child = spawnChild(args, setup, cwd, this.#claims, this.#exited.promise);
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
    const start: CellStart = { path, name, workers: size + spares, spares, env, memoryLimit };
    child.send(start);
  }

  async #connect(): Promise<void> {
    try {
      const socket = await this.#listener.accept();
      this.#tidy();
      this.#frames = new Frames<ToEntry, ToDispatcher>(socket, (message) => this.#events.message(message));
      for (const message of this.#waiting.splice(0)) this.#frames.post(message);
    } catch (error) {
      // It ended before.
      if (this.#over) return;
      // What it is to be told cannot be sent to another process: in the data of the initializer, say.
      this.#death = failure(error);
      this.kill();
    }
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
    await this.#frames?.ended;
    const begun = readClaims(this.#claims);
    closeSync(this.#claims);
    this.#events.gone(this.#death ?? death, begun);
    this.#gone.resolve();
  }

  /** Nothing is left of it in the file system. */
  #tidy(): void {
    try {
      this.#listener.close();
      Deno.removeSync(this.#folder, { recursive: true });
    } catch {
      // Done before.
    }
  }
}

function failure(thrown: unknown): DeathData {
  const error = describeError(thrown);
  return { reason: "error", exitCode: null, error, message: `could not be started: ${error.message}` };
}

/** Flags that allow it to connect, where it is not allowed that anyhow. */
function forSocket(path: string, permissions: readonly string[]): string[] {
  const flags = { read: path, write: path, net: `unix:${path}` };
  return Object.entries(flags)
    .filter(([name]) => !permissions.includes(`--allow-${name}`) && !permissions.includes("--allow-all"))
    .map(([name, value]) => `--allow-${name}=${value}`);
}
