import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { fixture } from "../helpers.ts";

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: string; doubleValue?: number };
}

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  links?: { spanId: string }[];
  status: { code?: number; message?: string };
}

interface Point {
  attributes: Attribute[];
  count?: string;
  asInt?: string;
  asDouble?: number;
}

interface Metric {
  name: string;
  unit: string;
  sum?: { dataPoints: Point[] };
  histogram?: { dataPoints: Point[] };
}

/** Runs a program that tells OpenTelemetry, and gives what a collector hears of it. */
async function collect(name: string): Promise<
  { spans: Span[]; metrics: Map<string, Metric>; stdout: string }
> {
  let printed: Uint8Array;
  const spans: Span[] = [];
  const metrics = new Map<string, Metric>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const body = await request.json();
    for (const { scopeSpans } of body.resourceSpans ?? []) {
      for (const each of scopeSpans) spans.push(...each.spans);
    }
    for (const { scopeMetrics } of body.resourceMetrics ?? []) {
      for (const { metrics: list } of scopeMetrics) {
        for (const metric of list) metrics.set(metric.name, metric);
      }
    }
    return Response.json({});
  });
  try {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        fromFileUrl(new URL("../../deno.json", import.meta.url)),
        fixture(name),
      ],
      env: {
        OTEL_DENO: "true",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.addr.port}`,
        OTEL_METRIC_EXPORT_INTERVAL: "200",
        NO_COLOR: "1",
      },
      stderr: "piped",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    printed = stdout;
  } finally {
    await server.shutdown();
  }
  return { spans, metrics, stdout: new TextDecoder().decode(printed) };
}

function attribute({ attributes }: { attributes: Attribute[] }, key: string): string | undefined {
  const value = attributes.find((each) => each.key === key)?.value;
  return value?.stringValue ?? value?.intValue ??
    (value?.doubleValue === undefined ? undefined : `${value.doubleValue}`);
}

Deno.test("instrument() tells a collector of every task: a span, its run, and the span that pushed it", async () => {
  const { spans, metrics } = await collect("otel_program.ts");
  const pushes = spans.filter(({ name }) => name.startsWith("push "));
  const runs = spans.filter(({ name }) => name.startsWith("run "));
  const request = spans.find(({ name }) => name === "request")!;
  const sum = (status: string) =>
    pushes.filter((span) => attribute(span, "multiprocess.task.status") === status).length;
  assertEquals({ ok: sum("ok"), timedOut: sum("timed-out"), cancelled: sum("cancelled") }, {
    ok: 4,
    timedOut: 1,
    cancelled: 1,
  });
  // The one that was cancelled before never ran.
  assertEquals(runs.length, 5);
  for (const run of runs) {
    const push = pushes.find(({ spanId }) => spanId === run.parentSpanId)!;
    assertEquals(push.traceId, run.traceId);
    assert(BigInt(push.startTimeUnixNano) <= BigInt(run.startTimeUnixNano));
    assert(BigInt(run.endTimeUnixNano) <= BigInt(push.endTimeUnixNano));
    assert(Number(attribute(run, "multiprocess.worker.id")) >= 1);
  }
  const linked = pushes.filter(({ links }) => links?.some(({ spanId }) => spanId === request.spanId));
  assertEquals(linked.length, 2);
  const late = pushes.find((span) => attribute(span, "multiprocess.task.status") === "timed-out")!;
  assertEquals([late.status.code, attribute(late, "error.type")], [2, "TaskTimeoutError"]);
  assertEquals(late.name, "push tasks.ts#sleep");

  const durations = metrics.get("multiprocess.task.duration")!;
  assertEquals(durations.unit, "s");
  const count = (points: Point[]) => points.reduce((sum, { count }) => sum + Number(count), 0);
  assertEquals(count(durations.histogram!.dataPoints), 5);
  assertEquals(count(metrics.get("multiprocess.task.wait.duration")!.histogram!.dataPoints), 6);
  const states = metrics.get("multiprocess.worker.count")!.sum!.dataPoints;
  assertEquals(
    states.map((point) => attribute(point, "multiprocess.worker.state")).sort(),
    ["busy", "idle", "starting", "stopping", "zombie"],
  );
  assert(states.every((point) => attribute(point, "multiprocess.pool.name") === "told"));
  assert(metrics.has("multiprocess.task.active") && metrics.has("multiprocess.worker.killed"));
});

Deno.test("instrument() tells of tasks by whatever call they are pushed, and has calls do what they did", async () => {
  const { spans, stdout } = await collect("otel_every_call.ts");
  const told = spans.filter(({ name }) => name.startsWith("push "))
    .map((span) => `${span.name} ${attribute(span, "multiprocess.task.status")}`);
  assertEquals(told, [
    "push tasks.ts#add ok",
    "push tasks.ts#add ok",
    "push tasks.ts#add ok",
    "push tasks.ts#add ok",
    "push thrice ok",
    "push thrice failed",
    "push tasks.ts#sleep cancelled",
    "push tasks.ts#sleep ok",
  ]);
  assertEquals(stdout, "[ 15 ] negative\n1\n");
});
