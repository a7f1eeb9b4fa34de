"""The style sheet of ``report.html``: light and dark, wide and narrow, screen and paper. Called by ``page``."""

CSS = """
:root { color-scheme: light dark; --paper: #fff; --card: #f5f8f6; --ink: #17211d; --soft: #56655e; --line: #d9e2dd;
  --accent: #17794a; --second: #b3501a; --heat: #0f5132; }
@media (prefers-color-scheme: dark) { :root { --paper: #111614; --card: #19211d; --ink: #e4ebe7;
  --soft: #9baba3; --line: #2b3631; --accent: #5cc692; --second: #eb9a5c; --heat: #7fdcae; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .35rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 3rem 0 .25rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
p { margin: .35rem 0 1rem; max-width: 46rem; }
.lead { font-size: 1.05rem; color: var(--soft); margin-bottom: 1.5rem; }
.soft { color: var(--soft); fill: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .75rem; margin: 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.tiles dt { font-size: .8rem; color: var(--soft); }
.tiles dd { margin: .1rem 0 0; font-size: 1.55rem; font-weight: 650; line-height: 1.25; }
.tiles dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1.5rem 2rem;
  margin-top: 1rem; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figure.wide { margin-top: 1.75rem; }
figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { display: block; height: auto; font-size: 11px; overflow: visible; } svg:not([width]) { width: 100%; }
svg text { fill: var(--ink); } svg text.soft { fill: var(--soft); }
.end { text-anchor: end; } .middle, .cell text { text-anchor: middle; }
.grid { stroke: var(--line); stroke-width: 1; } .mark { stroke: var(--second); stroke-width: 1; stroke-dasharray: 2 3; }
polyline { fill: none; stroke-width: 1.8; stroke: var(--accent); stroke-linejoin: round; }
polyline.faint { stroke-width: 1; opacity: .35; }
polyline.dashed { stroke: var(--second); stroke-width: 1.4; stroke-dasharray: 5 4; }
.dot { fill: var(--accent); stroke: var(--paper); stroke-width: 1; }
.cell rect { fill: var(--heat); rx: 3px; } .cell text.on { fill: var(--paper); } .cell.scale text { text-anchor: start; }
.scatter { fill: var(--accent); fill-opacity: .45; } .bar { fill: var(--accent); }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .875rem; margin: .5rem 0 1rem; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; }
th:first-child { text-align: left; font-weight: 500; } thead th { color: var(--soft); font-weight: 500; }
.words td, .words th { text-align: left; } .words td { white-space: normal; overflow-wrap: anywhere; min-width: 4rem; }
details { margin-top: .6rem; } summary { cursor: pointer; color: var(--soft); font-size: .875rem; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; font-size: .8rem;
  overflow-x: auto; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 30rem) { body { padding: 1.5rem 1rem 3rem; } h1 { font-size: 1.4rem; } }
@media print { :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc;
  --accent: #17794a; --second: #b3501a; --heat: #0f5132; }
  body { padding: 0; max-width: none; font-size: 11pt; } section { break-inside: auto; } h2 { break-after: avoid; }
  .scroll { overflow: visible; } .heat svg { max-width: 100%; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  details:not([open]), summary { display: none; } }
"""
