/** How many characters of specifiers are remembered: some thousand files, or some dozen modules of `data:` URLs. */
const MAX_CHARS = 1 << 20;
/** What an entry takes, beside its specifier, in characters. */
const ENTRY_CHARS = 64;

/** A module, as messages name it. */
export interface NumberedModule {
  readonly number: number;
  /** How many of its tasks were sent. */
  sent: number;
}

/** Who hears of modules; in the order of the tasks, or it would not know what they are of. */
export interface ModuleListener {
  /** A module is to be known by this number. */
  named(module: number, specifier: string): void;
  /** The number is used no more; so many tasks were sent with it. */
  forgotten(module: number, sent: number): void;
}

/**
 * The numbers by which messages name modules. Those used last are remembered; one that was forgotten gets another
 * number, as none is used twice.
 */
export class ModuleNumbers {
  readonly #listener: ModuleListener;
  /** The one used last is the last. */
  readonly #modules = new Map<string, NumberedModule>();
  #chars = 0;
  #next = 0;
  #lastSpecifier: string | undefined;
  #last: NumberedModule | undefined;

  constructor(listener: ModuleListener) {
    this.#listener = listener;
  }

  /** The module of a specifier, told to the listener when it is new. */
  get(specifier: string): NumberedModule {
    if (specifier === this.#lastSpecifier) return this.#last!;
    let module = this.#modules.get(specifier);
    if (module === undefined) {
      module = { number: this.#next++, sent: 0 };
      this.#chars += specifier.length + ENTRY_CHARS;
      this.#listener.named(module.number, specifier);
    } else {
      this.#modules.delete(specifier);
    }
    this.#modules.set(specifier, module);
    this.#lastSpecifier = specifier;
    this.#last = module;
    if (this.#chars > MAX_CHARS) this.#forget();
    return module;
  }

  /** Forgets those that were not used for longest, never the last. */
  #forget(): void {
    for (const [specifier, { number, sent }] of this.#modules) {
      if (this.#chars <= MAX_CHARS || this.#modules.size === 1) return;
      this.#modules.delete(specifier);
      this.#chars -= specifier.length + ENTRY_CHARS;
      this.#listener.forgotten(number, sent);
    }
  }
}
