/**
 * Browsers for tests and benches, as Debian has them: Chromium, Firefox and WebKitGTK. A page tells what came of it by a POST
 * to its server, so that nothing need look into it. While a session of WebDriver BiDi watches Firefox, one `new Worker` of
 * twenty or thirty within a worker does not return (seen with 153.7, with and without isolation, whoever drives it).
 *
 * @module
 */
import { join } from "@std/path";
import { chromium } from "playwright-core";

/** A browser without a window. */
export interface Browser {
  /** Its name and version. */
  readonly title: string;
  /** Opens a page; gives what closes it. */
  open(url: string): Promise<() => Promise<unknown>>;
  close(): Promise<unknown>;
}

/** A name of this machine, for pages that are not secure. */
export const INSECURE_HOST = "insecure.test";

/**
 * How to start each.
 *
 * @param port Of the server of its pages, also as `INSECURE_HOST`.
 */
export const BROWSERS = {
  async chromium() {
    const executablePath = find("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome");
    const args = ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`];
    const browser = await chromium.launch({ executablePath, args });
    return {
      title: `Chromium ${browser.version()}`,
      async open(url) {
        const page = await browser.newPage();
        page.on("pageerror", (error) => console.log(`page: ${error.message}`));
        await page.goto(url);
        return () => page.close();
      },
      close: () => browser.close(),
    };
  },

  async firefox() {
    const binary = find("/usr/bin/firefox-esr", "/usr/bin/firefox");
    const preferences = `user_pref("network.dns.localDomains", "${INSECURE_HOST}");\n`;
    return {
      title: await versionOf(binary),
      async open(url) {
        const profile = await Deno.makeTempDir();
        await Deno.writeTextFile(join(profile, "user.js"), preferences);
        const end = start(binary, ["--headless", "--no-remote", "--profile", profile, url]);
        return () => end().then(() => Deno.remove(profile, { recursive: true }));
      },
      close: () => Promise.resolve(),
    };
  },

  webkit: (port) => startWebKit(port, {}),
  /** With shared memory on isolated pages, as Safari has it. */
  "webkit-shared": (port) => startWebKit(port, { JSC_useSharedArrayBuffer: "1" }),
} satisfies Record<string, (port: number) => Promise<Browser>>;

/** The small browser of WebKitGTK, on a display of its own. */
async function startWebKit(port: number, options: Record<string, string>): Promise<Browser> {
  const binary = find(
    ...["x86_64", "aarch64"].map((cpu) => `/usr/lib/${cpu}-linux-gnu/webkit2gtk-4.1/MiniBrowser`),
  );
  const xvfb = new Deno.Command(find("/usr/bin/Xvfb"), {
    args: ["-displayfd", "1"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const numbers = xvfb.stdout.getReader();
  const number = new TextDecoder().decode((await numbers.read()).value).trim();
  const env = { DISPLAY: `:${number}`, ...options };
  return {
    title: await versionOf(binary, env),
    open(url) {
      const proxy = url.includes(INSECURE_HOST) ? [`--proxy=http://127.0.0.1:${port}`] : [];
      return Promise.resolve(start(binary, ["--private", ...proxy, url], env));
    },
    async close() {
      xvfb.kill();
      await numbers.cancel();
      await xvfb.status;
    },
  };
}

/** The first of the programs that there is. */
function find(...paths: string[]): string {
  const path = paths.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (path === undefined) throw new Error(`There is no ${paths.join(", and no ")}`);
  return path;
}

async function versionOf(binary: string, env: Record<string, string> = {}): Promise<string> {
  const command = new Deno.Command(binary, { args: ["--version"], env, stdin: "null", stderr: "null" });
  const { stdout } = await command.output();
  return new TextDecoder().decode(stdout).trim();
}

/** Starts a program, and gives what ends it. */
function start(binary: string, args: string[], env: Record<string, string> = {}): () => Promise<unknown> {
  const child = new Deno.Command(binary, { args, env, stdin: "null", stdout: "null", stderr: "null" })
    .spawn();
  return () => {
    try {
      child.kill();
    } catch {
      // It has ended.
    }
    return child.status;
  };
}
