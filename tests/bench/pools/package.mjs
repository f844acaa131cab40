import { poolOf } from "./ours.mjs";

const url = globalThis.process?.env.BENCH_OURS ?? `${location.origin}/package/browser.js`;

/** This package as it comes from npm, with its defaults. */
export const pool = poolOf(await import(url), {});
