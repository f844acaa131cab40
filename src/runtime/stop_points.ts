/**
 * Where a thread that is to be stopped ends by itself, also in the middle of a loop.
 *
 * An interrupt gets lost where it comes while a call into the runtime throws, or while native code runs JavaScript. Code
 * that calls such functions over and over and catches what they throw, such as a poll for a file, or for a lock, survived
 * it by chance, one in three to five in six. So these functions keep it out while they run (see `gate.ts`), and look
 * whether their thread was told to end, before anybody interrupts it: an exit is an interrupt at a moment at which it
 * cannot get lost.
 *
 * @module
 */

import { isWhole } from "./builtins.ts";
import type { Gate } from "./gate.ts";
import { builtin, host } from "./host.ts";

type Functions = Record<string, unknown>;

// Taken when this is loaded: tasks may run before `addStopPoints` does, and may patch or delete any of it.
const { apply, ownKeys } = Reflect;
const { defineProperty, getOwnPropertyDescriptor, getOwnPropertyDescriptors } = Object;
const { getPrototypeOf, hasOwn, keys, setPrototypeOf } = Object;
const endsWith: (text: string, end: string) => boolean = Function.prototype.call.bind(
  String.prototype.endsWith,
);
const globals = globalThis;
const program = host === "deno"
  ? { runtime: Deno, commands: Deno.Command.prototype, crypto, console, decoder: TextDecoder.prototype }
  : undefined;

/**
 * Puts them into what programs poll with: the synchronous functions of files, child processes and SQLite, what prints
 * or describes values, and what decodes text. Loads the modules that they are in. What modules import from `node:util` or `node:assert`
 * by name is not reached: Deno has no way to change that (seen up to 2.9.6).
 *
 * @param gate Ends the thread if it was told to.
 */
export function addStopPoints(gate: Pick<Gate, "enter" | "leave">): void {
  const wrap = (owner: unknown, names: readonly string[]) => {
    for (let i = 0; i < names.length; i++) wrapOne(owner as Functions, names[i]!, gate);
  };
  const { runtime, commands, crypto, console, decoder } = program!;

  wrap(runtime, synchronous(runtime));
  wrap(runtime, ["inspect"]);
  wrap(crypto, ["getRandomValues"]);
  wrap(globals, ["atob"]);
  wrap(decoder, ["decode"]);
  wrap(commands, ["outputSync", "spawn"]);
  wrap(console, keys(console));
  const files = loadable("node:fs");
  const processes = loadable("node:child_process");
  wrap(files, synchronous(files));
  wrap(processes, synchronous(processes));
  wrap(loadable("node:util"), ["inspect", "format", "formatWithOptions"]);
  const sqlite = loadable("node:sqlite");
  wrap(sqlite?.DatabaseSync?.prototype, ["exec", "prepare"]);
  wrap(sqlite?.StatementSync?.prototype, ["run", "get", "all"]);
  // Last: see `isWhole`.
  watchReads(runtime, "env", gate);
}

/** A module of Node, which may be loaded by that; undefined where it could not be. */
function loadable<K extends Parameters<typeof builtin>[0]>(name: K): ReturnType<typeof builtin<K>> {
  return isWhole() ? builtin(name) : undefined;
}

function synchronous(owner: object | undefined): string[] {
  const names: string[] = [];
  if (owner === undefined) return names;
  const all = keys(owner);
  for (let i = 0; i < all.length; i++) if (endsWith(all[i]!, "Sync")) names[names.length] = all[i]!;
  return names;
}

function wrapOne(owner: Functions | undefined, name: string, gate: Pick<Gate, "enter" | "leave">): void {
  while (owner && !hasOwn(owner, name)) owner = getPrototypeOf(owner);
  const descriptor = owner && getOwnPropertyDescriptor(owner, name);
  const original = descriptor?.get === undefined ? descriptor?.value : owner![name];
  // A class among them can be called with `new`.
  const isClass = name[0]! >= "A" && name[0]! <= "Z";
  if (typeof original !== "function" || descriptor?.configurable !== true || isClass) return;
  const value = function (this: unknown, ...parameters: unknown[]): unknown {
    gate.enter();
    try {
      return apply(original, this, parameters);
    } finally {
      gate.leave();
    }
  };
  const own = getOwnPropertyDescriptors(original) as Record<PropertyKey, PropertyDescriptor>;
  const names = ownKeys(own);
  for (let i = 0; i < names.length; i++) {
    if (names[i] !== "prototype") define(value, names[i]!, own[names[i]!]!);
  }
  const { enumerable, writable = true } = descriptor;
  define(owner!, name, { configurable: true, enumerable: enumerable === true, writable, value });
}

/** Whatever names a task has given to all objects. */
function define(owner: object, name: PropertyKey, descriptor: PropertyDescriptor): void {
  defineProperty(owner, name, setPrototypeOf(descriptor, null));
}

/** Functions of `node:child_process` that were imported by name cannot be replaced, but all read the environment. */
function watchReads(owner: object, name: string, gate: Pick<Gate, "enter" | "leave">): void {
  const descriptor = getOwnPropertyDescriptor(owner, name);
  if (descriptor?.configurable !== true) return;
  let { value } = descriptor;
  define(owner, name, {
    configurable: true,
    enumerable: true,
    get() {
      gate.enter();
      gate.leave();
      return value;
    },
    set: (other) => value = other,
  });
}
