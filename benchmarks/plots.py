"""Small pictures in SVG that are readable on light and on dark pages: lines over the number of orders, and bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 176, 34, 40
_BAR, _GAP, _LABELS = 18, 8, 205
# A page can be dark where the reader's system is light: the colours without the query can be read on both.
_STYLE = """<style>
text { font: 12px sans-serif; fill: #6e7781 } .title { font-weight: bold }
.grid { stroke: #8b949e; stroke-opacity: 0.35 }
.c0 { stroke: #0969da; fill: #0969da } .c1 { stroke: #bc4c00; fill: #bc4c00 } .c2 { stroke: #1a7f37; fill: #1a7f37 }
.c3 { stroke: #8250df; fill: #8250df } .c4 { stroke: #9a6700; fill: #9a6700 } .line { fill: none; stroke-width: 2 }
.before { stroke-dasharray: 4 4; stroke-width: 1.5 } .range { stroke: #59636e; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #c9d1d9 } .range { stroke: #9198a1 }
.c0 { stroke: #4493f8; fill: #4493f8 } .c1 { stroke: #f0883e; fill: #f0883e } .c2 { stroke: #3fb950; fill: #3fb950 }
.c3 { stroke: #ab7df8; fill: #ab7df8 } .c4 { stroke: #d29922; fill: #d29922 } .line { fill: none } }
</style>"""

Line = Sequence[tuple[float, float]]
"""Points, x ascending."""


def lines(title: str, series: Mapping[str, Line], before: Mapping[str, Line]) -> str:
    """Lines over a logarithmic number of orders; those of `before` have the same names and are dashed."""
    points = [point for line in (*series.values(), *before.values()) for point in line]
    if not points:
        return _picture(title, _HEIGHT, [])
    low, high = _decades([y for _, y in points])
    xs = sorted({x for x, _ in points})
    first, last = xs[0], xs[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / first) / math.log(last / first) if last > first else 0.5
        up = (math.log10(max(y, 10**low)) - low) / (high - low)
        return (
            round(_LEFT + across * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM), 1),
        )

    drawn = []
    for decade in range(low, high + 1):
        _, y = place(first, 10**decade)
        drawn.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{_short(10**decade)}</text>')
    across = [(place(x, 1)[0], _short(x)) for x in xs]
    drawn += [f'<text x="{x}" y="{_HEIGHT - 16}" text-anchor="middle">{text}</text>' for x, text in across]
    labels = []
    for index, name in enumerate(dict.fromkeys([*series, *before])):
        for line, more in ((before.get(name, ()), " before"), (series.get(name, ()), "")):
            if line:
                path = " ".join(f"{x},{y}" for x, y in (place(*point) for point in line))
                drawn.append(f'<polyline class="c{index % 5} line{more}" points="{path}"/>')
        if end := series.get(name) or before.get(name):
            labels.append((place(*end[-1])[1], index, name))
    return _picture(title, _HEIGHT, [*drawn, *_labels(labels)])


def _labels(labels: list[tuple[float, int, str]]) -> list[str]:
    """Names at the ends of their lines, moved down where two would cover each other."""
    drawn, free = [], 0.0
    for end, index, name in sorted(labels):
        y = max(end, free)
        free = y + 15
        drawn.append(f'<circle class="c{index % 5}" cx="{_WIDTH - _RIGHT + 10}" cy="{y}" r="3"/>')
        drawn.append(f'<text x="{_WIDTH - _RIGHT + 20}" y="{y + 4}">{escape(name)}</text>')
    return drawn


def bars(title: str, values: Sequence[tuple[str, float, float, float]], unit: str) -> str:
    """A bar for each name with its value, lowest and highest."""
    highest = max((high for _, _, _, high in values), default=1.0) or 1.0
    wide = _WIDTH - _LABELS - 110
    drawn = []
    for index, (name, value, low, high) in enumerate(values):
        y = _TOP + index * (_BAR + _GAP)
        middle = y + _BAR / 2
        start, end, at = (round(_LABELS + each / highest * wide, 1) for each in (low, high, value))
        drawn.append(f'<text x="{_LABELS - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>')
        drawn.append(f'<rect class="c0" x="{_LABELS}" y="{y}" width="{at - _LABELS:.1f}" height="{_BAR}"/>')
        drawn.append(f'<line class="range" x1="{start}" x2="{end}" y1="{middle}" y2="{middle}"/>')
        drawn.append(f'<text x="{end + 6}" y="{middle + 4}">{value:,.{_places(value)}f}{escape(unit)}</text>')
    return _picture(title, _TOP + len(values) * (_BAR + _GAP) + 10, drawn)


def _picture(title: str, height: float, drawn: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" role="img">'
    named = f'<title>{escape(title)}</title>\n<text class="title" x="8" y="18">{escape(title)}</text>'
    return "\n".join([head, _STYLE, named, *drawn, "</svg>", ""])


def _decades(values: list[float]) -> tuple[int, int]:
    """The powers of ten around the values, at least one apart."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return low, max(high, low + 1)


def _short(value: float) -> str:
    for size, letter in ((1_000_000, " M"), (1_000, " k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _places(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2
