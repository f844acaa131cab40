/**
 * What runs in the page: one function, of which the page carries the source, so it names nothing outside itself.
 *
 * @module
 */
import type { Named, PictureData } from "./picture.ts";

// Deno's types have no document, and the page is the only place that has one.
// deno-lint-ignore no-explicit-any
type Any = any;

/**
 * Draws a picture into the page.
 *
 * @param page The global object of the page.
 * @param source Where a live page is told what to draw.
 */
export function draw(page: Any, source: string): void {
  const { document } = page;
  const LANE_NAMES = 84;
  let data: PictureData | undefined = JSON.parse(document.getElementById("data").textContent) ?? undefined;
  /** What of the time is shown, in milliseconds; undefined for all of it. */
  let view: [from: number, to: number] | undefined;

  // Making elements: text is always text.

  function add(parent: Any, tag: string, text = "", facts: Record<string, string> = {}): Any {
    const element = document.createElement(tag);
    element.textContent = text;
    for (const [name, value] of Object.entries(facts)) element.setAttribute(name, value);
    parent.append(element);
    return element;
  }

  const { body } = document;
  const title = add(body, "h1");
  const about = add(body, "p");
  const counts = add(body, "ul", "", { class: "counts" });
  add(body, "h2", "Workers");
  const tools = add(body, "div", "", { class: "tools" });
  const buttons: [label: string, name: string, press: () => void][] = [
    ["+", "Zoom in", () => zoom(0.5, 0.5)],
    ["−", "Zoom out", () => zoom(2, 0.5)],
    ["◀", "Earlier", () => move(-0.25)],
    ["▶", "Later", () => move(0.25)],
    ["All", "Show all of it", () => show(undefined)],
  ];
  for (const [label, name, press] of buttons) {
    add(tools, "button", label, { type: "button", "aria-label": name, title: name }).onclick = press;
  }
  add(tools, "p", "Keys: + − ← → 0. Wheel with Ctrl zooms, dragging moves.");
  const frame = add(body, "div", "", { class: "lanes", tabindex: "0" });
  const canvas = add(frame, "canvas", "", { role: "img" });
  const levels = add(body, "canvas", "", { role: "img", style: "height: 90px; margin-top: 8px" });
  const two = add(body, "div", "", { class: "two" });
  const waiting = histogram("Waiting, from the push to the run");
  const running = histogram("Running");
  const slowest = add(body, "div", "", { class: "wide" });
  const failed = add(body, "div", "", { class: "wide" });
  const details = add(body, "details");
  add(details, "summary", "Every worker, as a table");
  const workers = add(details, "div", "", { class: "wide" });
  const tip = add(body, "div", "", { id: "tip", role: "status" });

  function histogram(name: string): { canvas: Any; text: Any; name: string } {
    const box = add(two, "div");
    add(box, "h2", name);
    return {
      canvas: add(box, "canvas", "", { role: "img", style: "height: 120px" }),
      text: add(box, "p"),
      name,
    };
  }

  // Numbers as people read them

  function time(ms: number): string {
    const size = Math.abs(ms);
    if (size < 1) return `${(1_000 * ms).toFixed(0)} µs`;
    if (size < 100) return `${Number(ms.toPrecision(3))} ms`;
    if (size < 1_000) return `${ms.toFixed(0)} ms`;
    if (size < 100_000) return `${Number((ms / 1_000).toPrecision(3))} s`;
    return `${Math.round(ms / 60_000)} min`;
  }

  const whole = (n: number) => n.toLocaleString("en");

  // The texts and tables

  function fill(): void {
    if (data === undefined) {
      title.textContent = "Waiting for the pool …";
      return;
    }
    const { name, ms, startedAt, lanes } = data;
    title.textContent = name;
    const killed = lanes.filter(({ killedAt }) => killedAt !== undefined).length;
    about.textContent = `${time(ms)} from ${new Date(startedAt).toLocaleString()}, ${
      whole(lanes.length)
    } workers, ${whole(killed)} killed`;
    counts.replaceChildren();
    for (const status of data.statuses) {
      // No outcomes.
      if (status === "retried" || status === "running") continue;
      const item = add(counts, "li");
      add(item, "b", whole(data.counts[status] ?? 0));
      add(item, "span", "", { class: "dot", style: `background: var(--${status})` });
      add(item, "i", status);
    }
    table(slowest, "Slowest", data.slowest);
    table(failed, "Failed last", data.failed);
    fillWorkers(data);
  }

  function table(box: Any, name: string, tasks: readonly Named[]): void {
    box.replaceChildren();
    add(box, "h2", name);
    if (tasks.length === 0) {
      add(box, "p", "None.");
      return;
    }
    const rows = head(box, ["Task", "Status", "Worker", "#Waited", "#Ran", "Message"]);
    for (const { taskId, label, status, workerId, waitedMs, ranMs, message } of tasks) {
      const row = add(rows, "tr");
      add(row, "td", label === undefined ? `${taskId}` : `${taskId} ${label}`, { class: "m" });
      add(row, "td", status);
      add(row, "td", workerId === undefined ? "–" : `${workerId}`);
      add(row, "td", waitedMs === undefined ? "–" : time(waitedMs), { class: "n" });
      add(row, "td", time(ranMs), { class: "n" });
      add(row, "td", message ?? "", { class: "m" });
    }
  }

  /** A table with these columns, of numbers where the name begins with a mark. */
  function head(box: Any, columns: string[]): Any {
    const table = add(box, "table");
    const row = add(add(table, "thead"), "tr");
    for (const column of columns) {
      const number = column.startsWith("#");
      add(row, "th", number ? column.slice(1) : column, { scope: "col", ...(number && { class: "n" }) });
    }
    return add(table, "tbody");
  }

  function fillWorkers({ lanes, ms }: PictureData): void {
    workers.replaceChildren();
    if (!details.open) return;
    const rows = head(workers, ["Worker", "#Runs", "#Busy", "#Started", "#Killed", "#Gone"]);
    for (const { workerId, runs, busyMs, startedAt, killedAt, goneAt } of lanes) {
      const row = add(rows, "tr");
      add(row, "td", `${workerId}`);
      const share = busyMs / Math.max(1, (goneAt ?? ms) - startedAt);
      const cells = [whole(runs), `${Math.round(100 * Math.min(1, share))} %`, time(startedAt)];
      for (const at of [killedAt, goneAt]) cells.push(at === undefined ? "–" : time(at));
      for (const cell of cells) add(row, "td", cell, { class: "n" });
    }
  }
  details.ontoggle = () => data && fillWorkers(data);

  // The pictures

  function color(name: string): string {
    return page.getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  /** A canvas of its size on the screen, ready to be drawn on. */
  function open(canvas: Any, height: number): { pen: Any; width: number } {
    const ratio = page.devicePixelRatio || 1;
    const width = canvas.parentElement.clientWidth || 800;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    return { pen, width };
  }

  function span(): [from: number, to: number] {
    return view ?? [0, data?.ms ?? 1];
  }

  /** How high a lane is: of many all are thin. */
  function laneHeight(): number {
    return Math.max(4, Math.min(22, Math.floor(560 / Math.max(1, data?.lanes.length ?? 1))));
  }

  function drawLanes(): void {
    if (data === undefined) return;
    const { lanes, statuses } = data;
    const high = laneHeight();
    const { pen, width } = open(canvas, lanes.length * high + 22);
    const [from, to] = span();
    const scale = (width - LANE_NAMES) / (to - from);
    const x = (at: number) => LANE_NAMES + (at - from) * scale;
    const colors = statuses.map(color);
    const [faint, line, kill] = [color("faint"), color("line"), color("kill")];

    drawAxis(pen, width, lanes.length * high + 11, faint, line, lanes.length * high);
    pen.save();
    for (const [i, lane] of lanes.entries()) {
      const top = i * high;
      pen.fillStyle = faint;
      if (high >= 11) pen.fillText(`worker ${lane.workerId}`, 8, top + high / 2);
      else if (i % Math.ceil(11 / high) === 0) pen.fillText(`${lane.workerId}`, 8, top + 6);
    }
    pen.beginPath();
    pen.rect(LANE_NAMES, 0, width - LANE_NAMES, lanes.length * high);
    pen.clip();
    for (const [i, lane] of lanes.entries()) {
      const top = i * high;
      pen.fillStyle = line;
      const end = lane.goneAt ?? data.ms;
      pen.fillRect(x(lane.startedAt), top + high / 2 - 0.5, Math.max(1, x(end) - x(lane.startedAt)), 1);
      // One rectangle a pixel at most, the worst of those that share it: first the well, then the worse.
      const passes = lane.segments.length > 400 ? [0, 1] : [1];
      const gap = high >= 8 ? 1 : 0;
      const done = new Map<number, number>();
      for (const [start, stop, status] of lane.segments) {
        if (stop < from || start > to) continue;
        const left = x(start);
        const wide = Math.max(1, x(stop) - left - (x(stop) - left > 3 ? 0.5 : 0));
        if (passes.length > 1 && wide <= 1) {
          const at = Math.floor(left);
          if ((done.get(at) ?? -1) >= status) continue;
          done.set(at, status);
        }
        pen.fillStyle = colors[status];
        pen.globalAlpha = statuses[status] === "running" ? 0.5 : 1;
        pen.fillRect(left, top + gap, wide, high - 2 * gap);
      }
      pen.globalAlpha = 1;
      if (lane.killedAt !== undefined) {
        pen.fillStyle = kill;
        pen.fillRect(x(lane.killedAt) - 1, top, 2, high);
      }
    }
    pen.restore();
    canvas.setAttribute(
      "aria-label",
      `A lane for each of ${whole(lanes.length)} workers, with its runs, from ${time(from)} to ${time(to)}.` +
        " The same is in the table of workers below.",
    );
  }

  function drawAxis(pen: Any, width: number, y: number, faint: string, line: string, high: number): void {
    const [from, to] = span();
    const step = stepOf((to - from) / Math.max(2, width / 110));
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      const x = LANE_NAMES + (at - from) / (to - from) * (width - LANE_NAMES);
      pen.fillStyle = line;
      pen.fillRect(x, 0, 1, high);
      pen.fillStyle = faint;
      pen.fillText(time(at), Math.min(x + 3, width - 46), y);
    }
  }

  /** The nearest of 1, 2, 5, 10, … above. */
  function stepOf(size: number): number {
    const power = 10 ** Math.floor(Math.log10(size));
    const digit = size / power;
    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  }

  function drawLevels(): void {
    if (data === undefined) return;
    const { pen, width } = open(levels, 90);
    const [from, to] = span();
    const most = Math.max(1, ...data.levels.map(([, queued, running]) => Math.max(queued, running)));
    const x = (at: number) => LANE_NAMES + (at - from) / (to - from) * (width - LANE_NAMES);
    const y = (n: number) => 80 - 70 * n / most;
    pen.fillStyle = color("faint");
    pen.fillText(`${whole(most)}`, 8, 12);
    pen.fillText("0", 8, 80);
    const series = [["queue", 1], ["running", 2]] as const;
    for (const [name, column] of series) {
      pen.fillStyle = pen.strokeStyle = color(name);
      pen.fillText(name, 8, column === 1 ? 38 : 54);
      pen.beginPath();
      let before = 0;
      for (const level of data.levels) {
        pen.lineTo(x(level[0]), y(before));
        pen.lineTo(x(level[0]), y(before = level[column]));
      }
      pen.lineTo(x(data.ms), y(before));
      pen.stroke();
    }
    levels.setAttribute("aria-label", `Tasks that wait and that run over time: ${whole(most)} at the most.`);
  }

  function drawHistogram(
    { canvas, text, name }: ReturnType<typeof histogram>,
    bins: readonly number[],
  ): void {
    if (data === undefined) return;
    const { bounds } = data;
    const total = bins.reduce((sum, n) => sum + n, 0);
    const used = bins.flatMap((n, i) => n > 0 ? [i] : []);
    const [first, last] = [
      Math.max(0, (used[0] ?? 0) - 1),
      Math.min(bins.length - 1, (used.at(-1) ?? 0) + 1),
    ];
    const { pen, width } = open(canvas, 120);
    const wide = width / (last - first + 1);
    const most = Math.max(1, ...bins);
    for (let bin = first; bin <= last; bin++) {
      const high = 90 * bins[bin]! / most;
      pen.fillStyle = color("queue");
      pen.fillRect((bin - first) * wide + 1, 98 - high, wide - 2, high);
      pen.fillStyle = color("faint");
      const every = Math.ceil(56 / wide);
      if ((bin - first) % every !== 0) continue;
      const label = time(bounds[bin]!);
      pen.fillText(label, Math.min((bin - first) * wide + 2, width - pen.measureText(label).width), 110);
    }
    const at = (share: number) => {
      let left = share * total;
      return time(bounds[Math.max(0, bins.findIndex((n) => (left -= n) <= 0))]!);
    };
    text.textContent = total === 0
      ? "None yet."
      : `Half of ${whole(total)} at most ${at(0.5)}, 99 % at most ${at(0.99)}.`;
    canvas.setAttribute("aria-label", `${name}: ${text.textContent}`);
  }

  function render(): void {
    fill();
    drawLanes();
    drawLevels();
    if (data === undefined) return;
    drawHistogram(waiting, data.waited);
    drawHistogram(running, data.ran);
  }

  // Looking closer

  function show(next: [from: number, to: number] | undefined): void {
    view = next;
    drawLanes();
    drawLevels();
  }

  function zoom(factor: number, at: number): void {
    const [from, to] = span();
    const all = data?.ms ?? 1;
    const size = Math.max(0.05, (to - from) * factor);
    if (size >= all) return show(undefined);
    const middle = from + at * (to - from);
    const start = Math.max(0, Math.min(all - size, middle - at * size));
    show([start, start + size]);
  }

  function move(share: number): void {
    if (view === undefined) return;
    const [from, to] = view;
    const start = Math.max(0, Math.min((data?.ms ?? 1) - (to - from), from + share * (to - from)));
    show([start, start + to - from]);
  }

  const keys: Record<string, () => void> = {
    "+": () => zoom(0.5, 0.5),
    "=": () => zoom(0.5, 0.5),
    "-": () => zoom(2, 0.5),
    "0": () => show(undefined),
    ArrowLeft: () => move(-0.25),
    ArrowRight: () => move(0.25),
  };
  frame.onkeydown = (event: Any) => {
    const press = keys[event.key];
    if (press === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    press();
  };

  function shareAt(event: Any): number {
    const box = canvas.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left - LANE_NAMES) / (box.width - LANE_NAMES)));
  }

  frame.addEventListener("wheel", (event: Any) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, shareAt(event));
  }, { passive: false });

  let dragged: number | undefined;
  canvas.onpointerdown = (event: Any) => {
    dragged = event.clientX;
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointerup = () => dragged = undefined;
  canvas.onpointermove = (event: Any) => {
    if (dragged === undefined) return point(event);
    const width = canvas.getBoundingClientRect().width - LANE_NAMES;
    move((dragged - event.clientX) / width);
    dragged = event.clientX;
  };
  canvas.onpointerleave = () => tip.style.display = "none";

  /** Tells what is under the pointer. */
  function point(event: Any): void {
    tip.style.display = "none";
    if (data === undefined) return;
    const box = canvas.getBoundingClientRect();
    const lane = data.lanes[Math.floor((event.clientY - box.top) / laneHeight())];
    if (lane === undefined || event.clientX < box.left + LANE_NAMES) return;
    const [from, to] = span();
    const at = from + shareAt(event) * (to - from);
    const near = 2 * (to - from) / box.width;
    const found = lane.segments.findLast(([start, end]) => start - near <= at && at <= end + near);
    if (found === undefined) return;
    const [start, end, status, count, taskId] = found;
    const named = [...data.failed, ...data.slowest].find((task) => count === 1 && task.taskId === taskId);
    tip.textContent = [
      `worker ${lane.workerId}, ${count === 1 ? `task ${taskId}` : `${whole(count)} runs`}`,
      ...(named?.label === undefined ? [] : [named.label]),
      `${data.statuses[status]}, ${time(end - start)}, from ${time(start)}`,
      ...(named?.message === undefined ? [] : [named.message]),
    ].join("\n");
    tip.style.display = "block";
    tip.style.left = `${Math.min(event.clientX + 14, page.innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, page.innerHeight - tip.offsetHeight - 8)}px`;
  }

  page.addEventListener("resize", render);
  page.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
  render();
  if (data !== undefined) return;
  const told = new page.EventSource(source);
  told.onmessage = (event: Any) => {
    data = JSON.parse(event.data);
    render();
  };
  told.addEventListener("end", () => {
    told.close();
    add(about, "span", " The pool has ended.");
  });
}
