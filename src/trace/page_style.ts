/** How the page looks, by day and by night. The script reads the colors of the statuses from here. */
export const STYLE = `
:root {
  --back: #fff; --text: #1c2330; --faint: #667085; --line: #e3e6ec; --card: #f6f7f9;
  --ok: #3a9d5d; --retried: #b58900; --cancelled: #98a2b3; --failed: #e5484d; --timed-out: #d9730d; --crashed: #7a1fa2;
  --queue: #4c6ef5; --running: #3a9d5d; --kill: #c40000;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14171d; --text: #e6e9ef; --faint: #98a2b3; --line: #2b303b; --card: #1b1f27;
    --ok: #4cb878; --retried: #d8b13a; --cancelled: #667085; --failed: #ff6369; --timed-out: #ff9b45; --crashed: #c678ff;
    --queue: #7b96ff; --running: #4cb878; --kill: #ff6369;
  }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1400px; padding: 16px 20px 48px; background: var(--back); color: var(--text);
  font: 14px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 20px; margin: 0 0 2px } h2 { font-size: 15px; margin: 28px 0 8px }
p { margin: 0; color: var(--faint) }
.counts { display: flex; flex-wrap: wrap; gap: 8px; margin: 14px 0 0; padding: 0; list-style: none }
.counts li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 6px 12px }
.counts b { display: block; font-size: 18px } .counts i { font-style: normal; color: var(--faint) }
.counts .dot { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 6px }
.tools { display: flex; gap: 6px; align-items: center; margin-bottom: 6px }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 2px 10px; cursor: pointer }
button:focus-visible, canvas:focus-visible, .lanes:focus-visible { outline: 2px solid var(--queue); outline-offset: 2px }
.lanes { max-height: 62vh; overflow-y: auto; border: 1px solid var(--line); border-radius: 8px }
canvas { display: block; width: 100% }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 0 28px }
table { border-collapse: collapse; width: 100% } .wide { overflow-x: auto }
caption { text-align: left; color: var(--faint); padding-bottom: 4px }
th, td { text-align: left; padding: 3px 12px 3px 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--faint); font-weight: 500; white-space: nowrap }
td.n, th.n { text-align: right; white-space: nowrap } td.m { overflow-wrap: anywhere }
#tip { position: fixed; pointer-events: none; background: var(--text); color: var(--back); border-radius: 6px;
  padding: 5px 9px; font-size: 12.5px; max-width: 420px; white-space: pre-wrap; overflow-wrap: anywhere; display: none }
details summary { cursor: pointer; color: var(--faint); margin-top: 10px }
`;
