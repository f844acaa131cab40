import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Browser, chromium, type Page } from "playwright-core";
import { InfoTask, MultiProcess, type PoolEvent } from "../../mod.ts";
import { dashboard, timeline } from "../../src/trace/mod.ts";
import { pageOf } from "../../src/trace/page.ts";
import { Picture, type PictureData, STATUSES } from "../../src/trace/picture.ts";
import { inline, random, seed, until } from "../helpers.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** Lanes begin here, in pixels. */
const LANE_NAMES = 84;

async function withPage(html: string, test: (page: Page) => Promise<void>): Promise<void> {
  await withBrowser(async (browser) => {
    const page = await browser.newPage({ viewport: { width: 1_200, height: 900 } });
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("dialog", (dialog) => complaints.push(`dialog: ${dialog.message()}`));
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.setContent(html);
    await test(page);
    assertEquals({ complaints, requests }, { complaints: [], requests: [] });
  });
}

async function withBrowser(test: (browser: Browser) => Promise<void>): Promise<void> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM!,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    await test(browser);
  } finally {
    await browser.close();
  }
}

/** A test that needs a browser: shown as ignored where there is none. */
function browserTest(name: string, fn: () => Promise<void>): void {
  // The driver keeps its pipe and timers as long as it likes.
  Deno.test({ name, ignore: CHROMIUM === undefined, sanitizeOps: false, sanitizeResources: false, fn });
}

/** Events of a made-up pool: `runs` runs on `workers` workers, of which a few hang or fail. */
function* story(workers: number, runs: number, next: () => number): Generator<PoolEvent> {
  const free = new Float64Array(workers);
  for (let id = 1; id <= workers; id++) yield { type: "worker-started", at: 1_000, workerId: id };
  for (let taskId = 1; taskId <= runs; taskId++) {
    const workerId = 1 + (taskId - 1) % workers;
    const at = 1_000 + free[workerId - 1]!;
    const ranMs = 1 + Math.floor(20 * next());
    const status = STATUSES[next() < 0.97 ? 0 : 3 + Math.floor(3 * next())] as "ok";
    free[workerId - 1]! += ranMs + 1;
    yield { type: "pushed", at, taskId };
    yield { type: "started", at, taskId, attempt: 1, workerId, slot: 1 };
    yield { type: "settled", at: at + ranMs, taskId, workerId, status, attempts: 1, ranMs };
  }
}

Deno.test("Picture counts every run, however coarse it becomes", () => {
  const next = random(seed());
  const picture = new Picture("many", { segments: 2_000, window: Infinity });
  for (const event of story(1_000, 100_000, next)) picture.add(event);
  const data = picture.data();
  const segments = data.lanes.flatMap(({ segments }) => segments);
  assert(segments.length <= 2_000, `${segments.length} segments`);
  assertEquals(segments.reduce((sum, [, , , count]) => sum + count, 0), 100_000);
  assertEquals(data.lanes.reduce((sum, { runs }) => sum + runs, 0), 100_000);
  assertEquals(data.ran.reduce((sum, n) => sum + n, 0), 100_000);
  assertEquals(Object.values(data.counts).reduce((sum, n) => sum + n, 0), 100_000);
  assert(data.levels.length <= 1_000 && data.slowest.length === 20 && data.failed.length === 20);
  assert(data.lanes.every(({ segments }) => segments.every(([start, end]) => start >= 0 && end <= data.ms)));
});

Deno.test("Picture shows what runs and has not ended, and what it is called", () => {
  const picture = new Picture("hung", { segments: 1_000, window: Infinity });
  const label = "customer 17";
  // Of a worker that had started before anybody watched.
  picture.add({ type: "pushed", at: 10, taskId: 7, label });
  picture.add({ type: "started", at: 20, taskId: 7, attempt: 1, workerId: 1, slot: 1 });
  const { lanes, statuses, slowest } = picture.data(5_020);
  assertEquals(lanes.map(({ segments }) => segments), [[[10, 5_010, statuses.indexOf("running"), 1, 7]]]);
  assertEquals(slowest, [{
    taskId: 7,
    label,
    workerId: 1,
    status: "running",
    waitedMs: 10,
    ranMs: 5_000,
    message: undefined,
  }]);
  const settled = { workerId: 1, status: "timed-out", attempts: 1, ranMs: 5_000, message: "late" } as const;
  picture.add({ type: "settled", at: 5_021, taskId: 7, ...settled });
  const after = picture.data(6_000);
  assertEquals(after.lanes.map(({ segments }) => segments), [[[
    10,
    5_010,
    STATUSES.indexOf("timed-out"),
    1,
    7,
  ]]]);
  assertEquals([after.slowest.map(({ status }) => status), after.counts], [["timed-out"], {
    "timed-out": 1,
  }]);
});

Deno.test("Picture lets go of what is further back than it looks", () => {
  const picture = new Picture("window", { segments: 1_000, window: 100 });
  const settled = { type: "settled", status: "ok", attempts: 1, ranMs: 10 } as const;
  for (let i = 1; i <= 50; i++) {
    const at = 100 * i;
    picture.add({ type: "worker-started", at, workerId: i });
    picture.add({ type: "pushed", at, taskId: i });
    picture.add({ type: "started", at, taskId: i, attempt: 1, workerId: i, slot: 1 });
    picture.add({ ...settled, at: at + 10, taskId: i, workerId: i });
    picture.add({ type: "worker-gone", at: at + 20, workerId: i, reason: "stopped", error: undefined });
  }
  const { lanes, levels } = picture.data(5_050);
  assertEquals(lanes.map(({ workerId }) => workerId), [50]);
  assert(levels.length < 10);
});

const HOSTILE = '</script><img src=x onerror="alert(1)"><b>not bold</b>';

browserTest("timeline() draws what happened, and shows hostile texts as text", async () => {
  const mp = new MultiProcess({ size: 2, spares: 2 });
  const page = timeline(mp.events(), { name: HOSTILE });
  await mp.start();
  const work = inline(`export default async (what, ms) => {
    if (what === "hang") for (;;);
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (what === "fail") throw new Error(${JSON.stringify(HOSTILE)});
  }`);
  const outcomes = await Promise.all(
    [["ok", 80], ["hang", 0], ["fail", 60], ["ok", 120], ["ok", 50]].map(([what, ms]) =>
      mp.push(new InfoTask(work, what === "hang" ? 200 : 20_000, what, ms))
    ),
  );
  await mp.stop();
  await withPage(await page, async (page) => {
    assertEquals(await page.locator("h1").textContent(), HOSTILE);
    const counts = await page.locator(".counts li").allTextContents();
    assertEquals(counts, ["3ok", "0cancelled", "1failed", "1timed-out", "0crashed"]);
    assertEquals(await page.locator("img").count(), 0);
    const failed = await page.locator("table").nth(1).locator("tbody tr").allTextContents();
    assertEquals(failed.length, 2);
    assert(failed.some((row) => row.includes(HOSTILE)));
    assert(failed.some((row) => row.includes("ran longer than its limit of 200 ms")));

    // In the middle of each run its lane has the color of its status.
    const data: PictureData = JSON.parse(await page.locator("#data").textContent() ?? "");
    const segments = data.lanes.flatMap(({ segments }, lane) =>
      segments.map((segment) => ({ lane, segment }))
    );
    assertEquals(segments.length, outcomes.length);
    for (const { lane, segment: [start, end, status] } of segments) {
      const color = await page.evaluate(({ lane, at, name }) => {
        // deno-lint-ignore no-explicit-any
        const { document, getComputedStyle, devicePixelRatio: ratio } = globalThis as any;
        const canvas = document.querySelector(".lanes canvas");
        const width = canvas.width / ratio - 84;
        const [x, y] = [84 + at * width, lane * 22 + 11];
        const pixel =
          canvas.getContext("2d").getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data;
        const probe = document.createElement("canvas").getContext("2d");
        probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
        probe.fillRect(0, 0, 1, 1);
        return { pixel: [...pixel], wanted: [...probe.getImageData(0, 0, 1, 1).data] };
      }, { lane, at: (start + end) / 2 / data.ms, name: STATUSES[status]! });
      assertEquals(color.pixel, color.wanted, `${STATUSES[status]} in lane ${lane}`);
    }

    // Hover tells of a run; keys zoom, and what is drawn says so to who cannot see it.
    const [{ lane, segment: [start, end, , , taskId] }] = segments as [typeof segments[0]];
    const box = (await page.locator(".lanes canvas").boundingBox())!;
    const x = box.x + LANE_NAMES + (start + end) / 2 / data.ms * (box.width - LANE_NAMES);
    await page.mouse.move(x, box.y + lane * 22 + 11);
    assertStringIncludes(await page.locator("#tip").textContent() ?? "", `task ${taskId}`);
    const label = () => page.locator(".lanes canvas").getAttribute("aria-label");
    const before = await label();
    await page.locator(".lanes").focus();
    await page.keyboard.press("+");
    const zoomed = await label();
    assert(before !== zoomed, `${zoomed}`);
    await page.keyboard.press("0");
    assertEquals(await label(), before);
    await page.locator("details summary").click();
    await page.locator("details tbody tr").nth(data.lanes.length - 1).waitFor();
    assertEquals(await page.locator("details tbody tr").count(), data.lanes.length);
  });
});

browserTest("timeline() is quick to look at with 1 000 workers and 100 000 runs", async () => {
  const picture = new Picture("large", { segments: 100_000, window: Infinity });
  for (const event of story(1_000, 100_000, random(seed()))) picture.add(event);
  const html = pageOf("large", picture.data());
  assert(html.length < 8e6, `${html.length} characters`);
  await withPage(html, async (page) => {
    assertStringIncludes(await page.locator("p").first().textContent() ?? "", "1,000 workers");
    const height = (await page.locator(".lanes canvas").boundingBox())!.height;
    assert(height >= 4_000 && height < 5_000, `${height}`);
  });
});

browserTest("dashboard() shows what happens while it does", async () => {
  const mp = new MultiProcess(1);
  await mp.start();
  const shown = await dashboard(mp, { name: "live" });
  try {
    assertEquals(new URL(shown.url).hostname, "127.0.0.1");
    await withBrowser(async (browser) => {
      const page = await browser.newPage();
      await page.goto(shown.url);
      const counts = () => page.locator(".counts li").allTextContents();
      await mp.push(new InfoTask(inline("export default () => 1"), 10_000));
      await until(async () => (await counts())[0] === "1ok", 20_000, "one is ok");
      await mp.push(new InfoTask(inline("export default () => { throw new Error('no') }"), 10_000));
      await until(async () => (await counts())[2] === "1failed", 20_000, "one has failed");
      await mp.stop();
      await until(
        async () => (await page.locator("p").first().textContent())!.includes("The pool has ended."),
        20_000,
        "the page hears of the end",
      );
    });
  } finally {
    await shown.close();
    await mp.terminate();
  }
});

Deno.test("dashboard() can be asked for nothing else, and by nobody else", async () => {
  const mp = new MultiProcess(1);
  await mp.start();
  await using shown = await dashboard(mp);
  const status = async (path: string, init?: RequestInit) => {
    const response = await fetch(new URL(path, shown.url), init);
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await status("/"), 200);
  assertEquals(await status("/other"), 404);
  assertEquals(await status("/../deno.json"), 404);
  assertEquals(await status("/", { method: "POST" }), 404);
  // A name of somebody else's that points here.
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(shown.url).port) });
  await connection.write(
    new TextEncoder().encode("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
  );
  assertStringIncludes(await new Response(connection.readable).text(), "404");
  await mp.stop();
});
