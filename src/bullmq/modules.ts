import { isInline, shortSpecifier } from "../util/specifier.ts";

/** Segments of plain letters, none beginning with a dot. */
const PLAIN = /^(?!.*(^|\/)\.)[\w@.-]+(\/[\w@.-]+)*$/;

/** How much of a name that is refused is shown. */
const SHOWN = 80;

/**
 * Names of task modules that are the same on every machine, and the only way from a name in the queue to a module that
 * is run: the path below a folder, or an absolute URL that is listed.
 */
export class Modules {
  readonly #root: string;
  readonly #listed: readonly string[];

  /**
   * @param root The URL of the folder, with a slash at its end.
   * @param listed URLs of modules elsewhere; those that end with a slash are folders.
   */
  constructor(root: string, listed: readonly string[]) {
    this.#root = root;
    this.#listed = listed;
  }

  /**
   * What the machines know the module by.
   *
   * @throws {TypeError} If no machine would run it.
   */
  nameOf(specifier: string): string {
    if (specifier.startsWith(this.#root)) {
      const name = specifier.slice(this.#root.length);
      this.#check(name);
      return name;
    }
    if (this.#isListed(specifier)) return specifier;
    if (isInline(specifier)) {
      throw new TypeError(
        `No machine can run the inline function "${
          shortSpecifier(specifier)
        }": put it into a module below ${this.#root}`,
      );
    }
    throw new TypeError(
      `No machine can run the module ${
        shown(specifier)
      }: it is not below ${this.#root}, and "modules" does not list it`,
    );
  }

  /**
   * Where the module is here.
   *
   * @throws {TypeError} If it may not be run.
   */
  urlOf(name: string): string {
    if (/^[a-z][a-z\d+.-]*:/i.test(name)) {
      if (URL.canParse(name) && new URL(name).href === name && this.#isListed(name)) return name;
      throw new TypeError(`The module ${shown(name)} may not be run: "modules" does not list it`);
    }
    this.#check(name);
    return this.#root + name;
  }

  #isListed(href: string): boolean {
    const [url] = href.split("#", 1) as [string];
    return this.#listed.some((each) =>
      url === each || each.endsWith("/") && url.startsWith(each) && PLAIN.test(url.slice(each.length))
    );
  }

  /**
   * No way out of the folder. Resolving the name and comparing the beginning would not be enough: Deno decodes `%2f` and
   * `%2e` when it opens the file (seen up to 2.9.6), so `..%2fsecret.ts` is a file outside.
   */
  #check(name: string): void {
    const [path] = name.split("#", 1) as [string];
    if (PLAIN.test(path)) return;
    throw new TypeError(
      `The module name ${
        shown(name)
      } is no plain path of letters, digits, "_", "-", "@" and ".", none beginning with a dot`,
    );
  }
}

function shown(name: string): string {
  return JSON.stringify(name.length > SHOWN ? `${name.slice(0, SHOWN)}…` : name);
}
