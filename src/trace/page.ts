import { draw } from "./page_script.ts";
import type { PictureData } from "./picture.ts";
import { STYLE } from "./page_style.ts";

/** Where the live page listens; the page of the other kind has its data with it. */
const LIVE = "events";

/**
 * A page that needs nothing else: its style, its script and its data are in it. What comes from tasks is data to it and
 * never markup.
 *
 * @param data What it shows; undefined for a page that is told, by server-sent events.
 */
export function pageOf(name: string, data: PictureData | undefined): string {
  const title = escape(`${name}: ${data === undefined ? "live" : "time line"}`);
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src ${
    data === undefined ? "'self'" : "'none'"
  }; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${title}</title>
<style>${STYLE}</style>
<body>
<script type="application/json" id="data">${data === undefined ? "null" : jsonOf(data)}</script>
<script>(${draw})(globalThis, ${JSON.stringify(LIVE)})</script>
`;
}

/** JSON that ends no script. */
function jsonOf(data: unknown): string {
  return JSON.stringify(data).replaceAll("<", "\\u003c");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
