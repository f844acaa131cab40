import * as std from "npm:deno-std@1.4.0/path/mod.js";

/** Whether the path is absolute. */
export const isAbsolute: (path: string) => boolean = std.isAbsolute;
/** Joins path segments. */
export const join: (path?: string | URL, ...paths: string[]) => string = std.join;
/** The path from one to another. */
export const relative: (from: string, to: string) => string = std.relative;
/** Resolves segments to an absolute path. */
export const resolve: (...segments: string[]) => string = std.resolve;
/** The path of a file URL. */
export const fromFileUrl: (url: string | URL) => string = std.fromFileUrl;
/** The file URL of an absolute path. */
export const toFileUrl: (path: string) => URL = std.toFileUrl;
/** The extension of the path, with its dot. */
export const extname: (path: string | URL) => string = std.extname;
/** The directory of the path. */
export const dirname: (path: string | URL) => string = std.dirname;
/** The last segment of the path, without the suffix if it ends with it. */
export const basename: (path: string | URL, suffix?: string) => string = std.basename;
