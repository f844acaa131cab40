/**
 * What tasks are given instead of what the whole program has.
 *
 * @module
 */
import type { WorkerSetup } from "../wire/protocol.ts";
import { need } from "./host.ts";

/** Has `Deno.args` and, in a thread, `Deno.env` tell what the worker was given; `process` was told at its start. */
export function giveGlobals({ env, argv }: WorkerSetup): void {
  if (argv !== undefined) define("args", Object.freeze([...argv]));
  if (env !== undefined) define("env", ownEnv());
}

/** The variables of this thread: those of `process.env`, which Deno keeps apart from those of the program. */
function ownEnv(): Deno.Env {
  const { env } = need("node:process");
  const { hasOwn } = Object;
  return {
    get: (name) => hasOwn(env, name) ? env[name] : undefined,
    set: (name, value) => void (env[name] = value),
    has: (name) => hasOwn(env, name),
    delete: (name) => void delete env[name],
    toObject: () => ({ ...env }) as Record<string, string>,
  };
}

function define(name: "args" | "env", value: unknown): void {
  Object.defineProperty(Deno, name, { value, configurable: true, enumerable: true, writable: true });
}
