"""The frame of every report: one HTML page that needs no other file and no network."""

from html import escape

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --quiet: #59636e;
  --rule: #d8dee4; --tint: #eef4fb; --right: #1a7f37; --wrong: #cf222e }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e9ed;
  --quiet: #9aa4af; --rule: #30363d; --tint: #1a2533; --right: #2e9e4f; --wrong: #e5534b } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 84rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.6 system-ui, sans-serif }
h1 { margin: 0 0 .75rem; font-size: 1.9rem; line-height: 1.2; font-weight: 650 }
h2 { margin: 2.75rem 0 .75rem; font-size: 1.2rem; font-weight: 600 }
p, ul { max-width: 46rem; margin: 0 0 1rem } ul { padding-left: 1.2rem } li { margin: .3rem 0 }
.scroll { overflow-x: auto }
table { border-collapse: collapse }
.numbers { font-variant-numeric: tabular-nums; white-space: nowrap }
.numbers th, .numbers td { padding: .5rem .9rem; text-align: right;
  border-bottom: 1px solid var(--rule) }
.numbers thead th { color: var(--quiet); font-weight: 500; font-size: .875rem }
.numbers th:first-child { text-align: left; padding-left: .6rem }
.numbers .student { background: var(--tint) }
.small { color: var(--quiet); font-size: .875rem }
@media (max-width: 40rem) { body { padding: 1.5rem 1rem 3rem } h1 { font-size: 1.5rem } }
"""


def document(title: str, heading: str, body: str, style: str = "") -> str:
    """A whole page.

    Args:
        title, heading: plain text.
        body: HTML.
        style: CSS besides STYLE.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
<h1>{escape(heading)}</h1>
{body}</html>
"""
