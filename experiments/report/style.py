"""The style sheet of the report: a paper's look on the screen, A4 or Letter in print."""

STYLE = """
:root { --ink: #1a1a1a; --soft: #555; --line: #c8c8c8; --shade: #f5f5f3; }
* { box-sizing: border-box; }
html { font-size: 16px; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; color: var(--ink); background: #fff; line-height: 1.5;
  font-family: "Source Serif 4", "Source Serif Pro", Charter, "Bitstream Charter", Cambria, Georgia,
    "DejaVu Serif", serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1, h2, h3, table, figcaption, .meta, .contents {
  font-family: "Source Sans 3", "Helvetica Neue", Helvetica, Arial, "Liberation Sans",
    "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 {
  font-size: 1.25rem; line-height: 1.3; margin: 2.6rem 0 .7rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--line);
}
h3 { font-size: 1rem; margin: 1.6rem 0 .5rem; }
p, li { max-width: 46rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; }
ul, ol { margin: .4rem 0; padding-left: 1.4rem; }
.meta { color: var(--soft); font-size: .9rem; margin: 0 0 1rem; }
.notes { color: var(--soft); font-size: .85rem; line-height: 1.4; }
.warning { border-left: 4px solid var(--ink); background: var(--shade); padding: .6rem .9rem; }
.warning p { margin: 0; }
.warning ul { font-size: .85rem; }
.contents { font-size: .9rem; columns: 2; column-gap: 2rem; max-width: 34rem; margin-top: 1rem; }
.contents ol { margin: 0; }
a { color: inherit; }
.table { overflow-x: auto; margin: .7rem 0; }
table { border-collapse: collapse; font-size: .8rem; line-height: 1.35; min-width: 24rem; }
caption { text-align: left; font-weight: 600; padding: 0 0 .4rem; }
thead { border-top: 1.5px solid var(--ink); border-bottom: 1px solid var(--ink); }
tbody { border-bottom: 1.5px solid var(--ink); }
th, td { padding: .28rem .7rem .28rem 0; text-align: left; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
tbody th { font-weight: 400; overflow-wrap: anywhere; min-width: 9rem; }
td { overflow-wrap: break-word; min-width: 2.5rem; }
tbody tr + tr { border-top: 1px solid #ececec; }
.number {
  text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums;
}
thead .number { white-space: normal; }
td.hash {
  font-family: "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace;
  font-size: .68rem; line-height: 1.6; word-break: break-all; min-width: 27.5rem;
}
code, pre {
  font-family: "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace; font-size: .82rem;
}
pre {
  background: var(--shade); border: 1px solid #e3e3e0; padding: .6rem .8rem; margin: .6rem 0;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
figure { margin: 1.2rem 0 1.8rem; }
figure img { display: block; width: 100%; height: auto; }
figcaption { font-size: .85rem; color: var(--soft); margin-top: .5rem; max-width: 46rem; }
.columns { columns: 2; column-gap: 2.5rem; }
.columns table { width: 100%; min-width: 0; }
/* A box that scrolls cannot go on in the next column. */
.columns .table { overflow: visible; margin: 0; }
.columns { margin: .7rem 0; }
@media (max-width: 44rem) { .columns, .contents { columns: 1; } }
@page { size: auto; margin: 16mm 14mm 18mm; }
@media print {
  html { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  .table { overflow: visible; }
  table { font-size: 7.6pt; min-width: 0; }
  th, td { padding-right: .45rem; }
  tbody th { min-width: 6rem; }
  td.hash { min-width: 11rem; font-size: 6.2pt; }
  thead { display: table-header-group; }
  tr, figure, .warning, pre { break-inside: avoid; }
  h2, h3, caption, .before { break-after: avoid; }
  figure img { max-height: 198mm; width: auto; max-width: 100%; margin: 0 auto; }
  .contents { display: none; }
}
"""
