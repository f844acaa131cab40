import type { ModuleData } from "../wire/protocol.ts";
import { moduleData } from "../wire/task_module.ts";

interface Module extends ModuleData {
  /** How many of its tasks, or looks at its callbacks, are to come or under way; unknown while the entry sends more. */
  left: number | undefined;
  /** How many have ended. */
  ended: number;
}

/** Modules of one file: `home.ts#a` and `home.ts#b`. */
interface File {
  /** The number of the first of them that there was. */
  readonly first: number;
  modules: number;
  /** It is not to be loaded before its tasks come. */
  unfit: boolean;
}

/** In a pool with more files than that it is not known which will be needed next. */
const MAX_AHEAD = 4;

/**
 * The task modules, by the numbers that the entry gave them: all that it still sends tasks of, and those of tasks that have
 * no outcome yet. Numbers are not used twice.
 */
export class ModuleTable {
  readonly #modules = new Map<number, Module>();
  readonly #files = new Map<string, File>();

  /** Takes in a module. Returns its file, by the number of the first module that was found in it. */
  add(number: number, specifier: string): number {
    const data = moduleData(number, specifier);
    this.#modules.set(number, { ...data, left: undefined, ended: 0 });
    const file = this.#files.get(data.url);
    if (file === undefined) {
      this.#files.set(data.url, { first: number, modules: 1, unfit: false });
      return number;
    }
    file.modules++;
    return file.first;
  }

  /** What a worker has to know of a module. */
  get(number: number): ModuleData {
    const { module, specifier, url, exported } = this.#modules.get(number)!;
    return { module, specifier, url, exported };
  }

  /** The specifier of a module; undefined if it was forgotten. */
  specifier(number: number): string | undefined {
    return this.#modules.get(number)?.specifier;
  }

  /** The URL of a file, by the number of its first module; undefined if it was forgotten. */
  url(file: number): string | undefined {
    for (const [url, { first }] of this.#files) if (first === file) return url;
    return undefined;
  }

  /**
   * What a new worker may load before its tasks come, a module of each file.
   *
   * @param mayBe Whether the module may be.
   */
  ahead(mayBe: (module: number) => boolean): ModuleData[] {
    if (this.#files.size > MAX_AHEAD) return [];
    const found = new Map<string, ModuleData>();
    for (const { module, url } of this.#modules.values()) {
      if (!found.has(url) && !this.#files.get(url)!.unfit && mayBe(module)) {
        found.set(url, this.get(module));
      }
    }
    return [...found.values()];
  }

  /** The file of the module is not to be loaded before its tasks come. */
  spoil(module: number): void {
    const url = this.#modules.get(module)?.url;
    const file = url === undefined ? undefined : this.#files.get(url);
    if (file !== undefined) file.unfit = true;
  }

  /** The specifiers of all. */
  *specifiers(): Iterable<string> {
    for (const { specifier } of this.#modules.values()) yield specifier;
  }

  /** The entry sends no more tasks of the module than so many in all. True if it is forgotten now. */
  close(number: number, sent: number): boolean {
    const module = this.#modules.get(number)!;
    module.left = sent - module.ended;
    return this.#forget(number, module);
  }

  /** A task of the module, of those that the entry has sent, has its outcome. True if the module is forgotten now. */
  ended(number: number): boolean {
    const module = this.#modules.get(number)!;
    module.ended++;
    if (module.left === undefined) return false;
    module.left--;
    return this.#forget(number, module);
  }

  #forget(number: number, { left, url }: Module): boolean {
    if (left !== 0) return false;
    this.#modules.delete(number);
    const file = this.#files.get(url)!;
    if (--file.modules === 0) this.#files.delete(url);
    return true;
  }
}
