"""The lines of a finding with their intervals, as an SVG that needs nothing else."""

from collections.abc import Callable
from html import escape
from math import isfinite

from litconv.claims.finding import Finding, Line

LABEL, PLOT, ROW, TOP = 330, 380, 24, 12
STYLE = """\
.f text{font:12px system-ui,sans-serif;fill:var(--ink,#1d2430)}.f .axis{fill:var(--muted,#667085)}
.f line{stroke:var(--line,#b7bfca)}.f .supported{stroke:var(--good,#067647);fill:var(--good,#067647)}
.f .refuted{stroke:var(--bad,#b42318);fill:var(--bad,#b42318)}.f .cannot{stroke:var(--unsure,#8a5a00);fill:var(--unsure,#8a5a00)}
.f .whisker{stroke-width:2.5}"""


def forest(finding: Finding, alone: bool = False) -> str:
    """Empty where no line has an interval. `alone`: as a file, on white."""
    lines = [line for line in finding.lines if isfinite(line.low) and isfinite(line.high)]
    if not lines:
        return ""
    origin = finding.origin
    ends = [origin, *(end for line in lines for end in (line.low, line.high))]
    low, high = min(ends), max(ends)
    spread = (high - low) or 1.0
    low, high = low - 0.04 * spread, high + 0.04 * spread

    def x(value: float) -> float:
        return LABEL + PLOT * (value - low) / (high - low)

    height = TOP + ROW * len(lines) + 34
    width = LABEL + PLOT + 16
    bottom = TOP + ROW * len(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="f" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{escape(finding.axis)}">'
    ]
    if alone:
        parts.append(f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>')
    parts.append(f'<line x1="{x(origin):.1f}" x2="{x(origin):.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
    parts += [row(line, x, TOP + ROW * i + ROW / 2) for i, line in enumerate(lines)]
    parts.append(f'<line x1="{LABEL}" x2="{LABEL + PLOT}" y1="{bottom}" y2="{bottom}"/>')
    for value in dict.fromkeys((low + 0.04 * spread, origin, high - 0.04 * spread)):
        parts.append(f'<text class="axis" x="{x(value):.1f}" y="{bottom + 14}" text-anchor="middle">{value:.3g}</text>')
    middle = LABEL + PLOT / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{bottom + 29}" text-anchor="middle">{escape(finding.axis)}</text></svg>'
    )
    return "".join(parts)


def row(line: Line, x: Callable[[float], float], y: float) -> str:
    word = line.word.split()[0]
    title = f"<title>{escape(f'{line.label}: {line.text}')}</title>"
    return (
        f'<text x="{LABEL - 10}" y="{y + 4:.0f}" text-anchor="end">{escape(shortened(line.label))}</text>'
        f'<g class="{word}">{title}'
        f'<line class="whisker {word}" x1="{x(line.low):.1f}" x2="{x(line.high):.1f}" y1="{y}" y2="{y}"/>'
        f'<circle cx="{x(line.value):.1f}" cy="{y}" r="4"/></g>'
    )


def shortened(label: str) -> str:
    return label if len(label) <= 54 else f"{label[:53]}…"
