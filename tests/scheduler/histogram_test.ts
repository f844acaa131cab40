import { assert, assertEquals } from "@std/assert";
import { Histogram } from "../../src/scheduler/histogram.ts";
import { random, seed } from "../helpers.ts";

Deno.test("Histogram tells percentiles within 3 %, from microseconds to weeks", () => {
  const next = random(seed());
  for (let round = 0; round < 200; round++) {
    const histogram = new Histogram();
    const values: number[] = [];
    const shortest = 2 ** (next() * 30 - 9);
    for (let i = 0; i < 500; i++) {
      const ms = shortest * 2 ** (next() * 10);
      values.push(ms);
      histogram.add(ms);
    }
    values.sort((a, b) => a - b);
    const { p50, p99, max, mean, stddev } = histogram.percentiles();
    const average = values.reduce((sum, ms) => sum + ms, 0) / 500;
    const variance = values.reduce((sum, ms) => sum + (ms - average) ** 2, 0) / 500;
    assert(Math.abs(mean / average - 1) < 1e-9, `mean ${mean} of ${average}`);
    assert(Math.abs(stddev / Math.sqrt(variance) - 1) < 1e-9, `stddev ${stddev} of ${Math.sqrt(variance)}`);
    assertEquals(max, values.at(-1));
    assert(Math.abs(p50 / values[249]! - 1) < 0.032, `p50 ${p50} of ${values[249]}`);
    assert(Math.abs(p99 / values[494]! - 1) < 0.032, `p99 ${p99} of ${values[494]}`);
  }
});

Deno.test("Histogram takes what is shorter or longer than it can tell apart", () => {
  const histogram = new Histogram();
  assertEquals(histogram.percentiles(), { p50: 0, p99: 0, max: 0, mean: 0, stddev: 0 });
  histogram.add(0);
  assertEquals(histogram.percentiles(), { p50: 0, p99: 0, max: 0, mean: 0, stddev: 0 });
  histogram.add(2 ** 40);
  assertEquals(histogram.percentiles().max, 2 ** 40);
});

Deno.test("Histogram tells the mean and the standard deviation of values that hardly differ", () => {
  const histogram = new Histogram();
  // Their squares are too large to keep what their differences are.
  for (let i = 0; i < 1_000_000; i++) histogram.add(1e8 + i % 2);
  const { mean, stddev } = histogram.percentiles();
  assert(Math.abs(mean - 1e8 - 0.5) < 1e-6, `${mean}`);
  assert(Math.abs(stddev - 0.5) < 1e-6, `${stddev}`);
});
