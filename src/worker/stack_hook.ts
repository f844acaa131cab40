// Taken when this is loaded: a task may patch them.
const ErrorClass = Error;
const defineProperty = Object.defineProperty;
const deleteProperty = Reflect.deleteProperty;
const descriptorOf = Object.getOwnPropertyDescriptor;

const NAME = "prepareStackTrace";

/** `Error.prepareStackTrace` with its attributes; undefined where it is not set. */
type Hook = PropertyDescriptor | undefined;

/** Whoever has a hook of its own. */
export interface HookOwner {
  /** As its last task left it; absent where that has set none. */
  own: { readonly hook: Hook } | undefined;
}

/**
 * `Error.prepareStackTrace`, which some tools set not before they are first used. What it does to the errors of one module
 * is no concern of another, so each that sets it has its own: it changes hands between two tasks.
 */
export class StackHook {
  /** As modules find it. */
  #initial = read();
  #owner: HookOwner | undefined;

  /** It is the module's turn. False if what another has left cannot be undone. */
  turnTo(owner: HookOwner): boolean {
    this.#owner = owner;
    const hook = this.#expected;
    return isSame(read(), hook) || write(hook);
  }

  /** A task of the module is over: what it has set is the module's. */
  keep(): void {
    const hook = read();
    if (this.#owner !== undefined && !isSame(hook, this.#expected)) this.#owner.own = { hook };
  }

  /** The hook is to be as it is now for all. Returns what has changed; undefined for nothing. */
  accept(): string | undefined {
    const hook = read();
    if (isSame(hook, this.#initial)) return undefined;
    this.#initial = hook;
    return "Error.prepareStackTrace";
  }

  get #expected(): Hook {
    const own = this.#owner?.own;
    return own === undefined ? this.#initial : own.hook;
  }
}

function read(): Hook {
  return descriptorOf(ErrorClass, NAME);
}

function write(hook: Hook): boolean {
  try {
    if (hook === undefined) return deleteProperty(ErrorClass, NAME);
    defineProperty(ErrorClass, NAME, hook);
    return true;
  } catch {
    return false;
  }
}

function isSame(a: Hook, b: Hook): boolean {
  return a === b || (a !== undefined && b !== undefined && a.value === b.value && a.get === b.get);
}
