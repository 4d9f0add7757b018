"""Machines as people see them: as text for a terminal, as Mermaid for documents, as SVG for the dashboard.

All three are pure functions of a machine's own description (`PlatformMachine.describe`), so a new platform needs
no code for its pictures.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from orchestrator.diagrams.layout import LINE_HEIGHT, SMALL_HEIGHT, Box, Layout, Point, Wire, lay_out
from statemachines.machine import PlatformMachine

STYLE = """
.machine { --ink: #1b2430; --soft: #5b6675; --line: #6b7788; --box: #f6f8fa; --edge: #9aa5b4; --paper: #ffffff; }
@media (prefers-color-scheme: dark) {
  .machine { --ink: #e6ebf2; --soft: #9fabbb; --line: #8b98aa; --box: #1d2530; --edge: #566375; --paper: #12171e; }
}
.machine { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
.paper { fill: var(--paper); }
.box { fill: var(--box); stroke: var(--edge); stroke-width: 1.4; }
.rim { fill: none; stroke: var(--edge); stroke-width: 1; }
.seen .box { stroke-dasharray: 5 4; }
.record .box { stroke-dasharray: 1.5 3; }
.name { fill: var(--ink); font-size: 13px; font-weight: 600; text-anchor: middle; }
.caption, .action { fill: var(--soft); font-size: 11px; text-anchor: middle; }
.wire { fill: none; stroke: var(--line); stroke-width: 1.4; stroke-linejoin: round; }
.tip, .dot { fill: var(--line); }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.label { fill: var(--ink); font-size: 11px;
  stroke: var(--paper); stroke-width: 4; paint-order: stroke; stroke-linejoin: round; }
"""
"""What an SVG of ours carries in its `<style>`; a page that reads one has to allow it in its policy."""

_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="8" markerHeight="8" orient="auto"'
    ' markerUnits="userSpaceOnUse"><path class="tip" d="M0 0.6 L8 4 L0 7.4 z"/></marker></defs>'
)
_CORNER = 7.0
_COLUMN_WIDTH = 44  # longer lists of states go on in the next line
_WIDTH = 80
_GAP = 2


def text(machine: PlatformMachine) -> str:
    """A machine for a terminal of 80 columns: its main line, then states and steps in aligned columns.

    Ends with a newline.
    """
    described = _for_people(machine)
    states = [(s["name"], s["milestone"] or "-", ", ".join(_remarks(described, s))) for s in described["states"]]
    steps = [
        (s["step"], _sources(described, s), s["to"] or "(stays)", ", ".join([*s["uses"], *_maker(s)]))
        for s in described["steps"]
    ]
    parts = [
        "\n".join(_wrapped(f"{described['platform']}: {' → '.join(described['mainline'])}", _WIDTH)),
        _table(("STATE", "MILESTONE", ""), states),
        _parcels(described["parcels"]),
        *_step_tables(steps),
    ]
    return "\n\n".join(parts) + "\n"


def _parcels(uses: Mapping[str, str | None]) -> str:
    words = {"parts": "a call of its own", "recorded": "kept until the whole order is due"}
    found = [f"{name}: {words[use]}" for name, use in uses.items() if use is not None]
    return "\n".join(_wrapped(f"parcels: {', '.join(found) or 'none'}", _WIDTH))


def mermaid(machine: PlatformMachine) -> str:
    """A machine as a Mermaid `stateDiagram-v2`. Ends with a newline.

    States get plain ids (`s0`, …), because names may be of any script and could be words that Mermaid reserves.
    """
    described = _for_pictures(machine)
    states = described["states"]
    ids = {state["name"]: f"s{index}" for index, state in enumerate(states)}
    lines = ["stateDiagram-v2", "    direction LR"]
    for state in states:
        remarks = [state["milestone"] if state["milestone"] != state["name"] else "", _role(state)]
        note = ", ".join(filter(None, remarks))
        label = f"{state['name']} ({note})" if note else state["name"]
        lines.append(f'    state "{_mermaid(label)}" as {ids[state["name"]]}')
    lines.append(f"    [*] --> {ids[described['initial']]}")
    for step in described["steps"]:
        for source in step["from"]:
            to = step["to"] if step["to"] is not None else source
            lines.append(f"    {ids[source]} --> {ids[to]}: {_mermaid(step['step'])}")
    lines += [f"    {ids[state['name']]} --> [*]" for state in states if state["end"]]
    seen = [ids[s["name"]] for s in states if not s["settable"] and not s["record_only"]]
    record = [ids[s["name"]] for s in states if s["record_only"]]
    for name, dashes, members in (("seen", "6 4", seen), ("record", "2 4", record)):
        if members:
            lines += [f"    classDef {name} stroke-dasharray:{dashes}", f"    class {','.join(members)} {name}"]
    return "\n".join(lines) + "\n"


def svg(machine: PlatformMachine) -> str:
    """A machine as one self-contained SVG document that follows the reader's light or dark scheme.

    Each state is a `<g class="state" data-state="NAME">`, so that a page can point one out. Ends with a newline.
    """
    described = _for_pictures(machine)
    drawn = _drawing(
        described, lay_out(described), ' xmlns="http://www.w3.org/2000/svg"', [f"<style>{STYLE}</style>", _TIP]
    )
    return "\n".join(drawn) + "\n"


def svg_sheet(machines: Sequence[PlatformMachine]) -> str:
    """Machines below one another in one SVG document; else as `svg`. Ends with a newline."""
    described = [_for_pictures(machine) for machine in machines]
    layouts = [lay_out(each) for each in described]
    parts, y, width = [], 0.0, max((layout.width for layout in layouts), default=0.0)
    for each, layout in zip(described, layouts, strict=True):
        parts += _drawing(each, layout, f' y="{y:.0f}"', [])
        y += round(layout.height)
    size = f'width="{width:.0f}" height="{y:.0f}" viewBox="0 0 {width:.0f} {y:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="machine" role="img" {size}>'
    title = f"<title>{escape(', '.join(layout.platform for layout in layouts))}: states and steps of orders</title>"
    paper = '<rect class="paper" width="100%" height="100%"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", _TIP, paper, *parts, "</svg>"]) + "\n"


def _for_people(machine: PlatformMachine) -> dict[str, Any]:
    """A machine's description, with all milestones of a state."""
    described = machine.describe()
    words: dict[str, list[str]] = defaultdict(list)
    for milestone, state in described["milestones"].items():
        words[state].append(milestone)
    states = [{**each, "milestone": ", ".join(words[each["name"]]) or None} for each in described["states"]]
    return {**described, "states": states}


def _for_pictures(machine: PlatformMachine) -> dict[str, Any]:
    """The same, with who makes a step that we do not in the step's label."""
    described = _for_people(machine)
    return {
        **described,
        "steps": [{**each, "step": " ".join([each["step"], *_maker(each)])} for each in described["steps"]],
    }


def _maker(step: Mapping[str, Any]) -> list[str]:
    return ["(by the platform)"] if step["by"] == "platform" else []


def _drawing(described: Mapping[str, Any], layout: Layout, place: str, shared: list[str]) -> list[str]:
    """One machine's `<svg>`; `place` joins its attributes, `shared` is what a whole document has once."""
    size = f'width="{layout.width:.0f}" height="{layout.height:.0f}"'
    view = f'viewBox="{layout.left:.0f} 0 {layout.width:.0f} {layout.height:.0f}"'
    return [
        f'<svg{place} class="machine" role="img" {size} {view}>',
        f"<title>{escape(layout.platform)}: states and steps of an order</title>",
        f"<desc>{escape(_description(described))}</desc>",
        *shared,
        f'<rect class="paper" x="{layout.left:.0f}" width="100%" height="100%"/>',
        *_start(layout),
        *(_path(line) for wire in layout.wires for line in wire.lines),
        *(part for box in layout.boxes for part in _box(box)),
        *(_label(wire) for wire in layout.wires),
        "</svg>",
    ]


# -- text ----------------------------------------------------------------------------------------------------------


def _step_tables(steps: Sequence[Sequence[str]]) -> list[str]:
    """The steps in one table; where that would break words, what they carry has one of its own."""
    titles = ("STEP", "FROM", "TO", "CARRIES")
    if _total(_longest_words([titles, *steps])) <= _WIDTH:
        return [_table(titles, steps)]
    carried = dict.fromkeys((step[0], step[3]) for step in steps if step[3])
    return [_table(titles[:3], [step[:3] for step in steps]), _table((titles[0], titles[3]), list(carried))]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = _column_widths([titles, *rows])
    table = [titles]
    for row in rows:
        table += zip_longest(*map(_wrapped, row, widths), fillvalue="")
    widths = [max(len(row[column]) for row in table) for column in range(len(titles))]
    lines = ((" " * _GAP).join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def _column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column may be, the widest giving way first, so that all fit and no word is broken."""
    widths = [min(_COLUMN_WIDTH, max(map(len, column))) for column in zip(*rows, strict=True)]
    least = _longest_words(rows)
    while _total(widths) > _WIDTH and (can_give := [at for at, width in enumerate(widths) if width > least[at]]):
        widths[max(can_give, key=widths.__getitem__)] -= 1
    return widths


def _longest_words(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(word) for cell in column for word in cell.split() or [""]) for column in zip(*rows, strict=True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _wrapped(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, max(width, 1), break_long_words=False, break_on_hyphens=False)


def _remarks(described: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    remarks = ["start"] if state["name"] == described["initial"] else []
    return [*remarks, *([role] if (role := _role(state)) else []), *(["end"] if state["end"] else [])]


def _role(state: Mapping[str, Any]) -> str:
    if state["record_only"]:
        return "our record only"
    return "" if state["settable"] else "seen, not set"


def _sources(described: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    """The states that a step leaves from; in one word when that is all that could be."""
    could_be = [s["name"] for s in described["states"] if not s["record_only"] and s["name"] != step["to"]]
    open_states = [s["name"] for s in described["states"] if s["name"] in could_be and not s["end"]]
    for names, word in ((could_be, "every state"), (open_states, "every open state")):
        if len(names) > 3 and set(step["from"]) == set(names):
            return word
    return ", ".join(step["from"])


def _description(described: Mapping[str, Any]) -> str:
    moves = [
        f"{step['step']}: from {', '.join(step['from'])}" + (f" to {step['to']}" if step["to"] else ", which stays")
        for step in described["steps"]
    ]
    return "; ".join(moves)


def _mermaid(words: str) -> str:
    """Text inside a Mermaid line: what would end or split it goes in as an entity code."""
    codes = {'"': "#quot;", "#": "#35;", ";": "#59;", ":": "#58;", "<": "#lt;", ">": "#gt;"}
    return "".join(codes.get(char, char) for char in " ".join(words.split()))


# -- SVG -----------------------------------------------------------------------------------------------------------


def _start(layout: Layout) -> list[str]:
    (x, y), _ = layout.start
    return [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>', _path(layout.start)]


def _path(points: Sequence[Point]) -> str:
    """An arrow with round corners: where lines of one step meet they flow together, where they cross they do not."""
    way = [f"M{_at(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        way.append(f"L{_at(_towards(corner, before))} Q{_at(corner)} {_at(_towards(corner, after))}")
    way.append(f"L{_at(points[-1])}")
    return f'<path class="wire" d="{" ".join(way)}" marker-end="url(#tip)"/>'


def _at(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _towards(corner: Point, other: Point) -> Point:
    """The point where the round corner begins: a little way from it, or half way where the line is short."""
    along_x, along_y = other[0] - corner[0], other[1] - corner[1]
    part = min(_CORNER / max(abs(along_x), abs(along_y), 0.1), 0.5)
    return (corner[0] + along_x * part, corner[1] + along_y * part)


def _label(wire: Wire) -> str:
    x, y = wire.label_at
    return f'<text class="label {wire.anchor}" x="{x:.1f}" y="{y:.1f}">{escape(wire.step)}</text>'


def _box(box: Box) -> list[str]:
    rows = [("name", line, LINE_HEIGHT) for line in box.lines]
    rows += [("caption", box.caption, SMALL_HEIGHT)] if box.caption else []
    rows += [("action", f"↻ {action}", SMALL_HEIGHT) for action in box.actions]
    parts = [f'<g class="state {box.kind}" data-state={quoteattr(box.name)}>', _rect("box", box, 0, 8)]
    if box.is_end:
        parts.append(_rect("rim", box, 3.5, 5))
    y = box.y + (box.height - sum(height for _, _, height in rows)) / 2
    for style, words, height in rows:
        y += height
        parts.append(f'<text class="{style}" x="{box.middle:.1f}" y="{y - 4.5:.1f}">{escape(words)}</text>')
    return [*parts, "</g>"]


def _rect(style: str, box: Box, inset: float, radius: float) -> str:
    x, y, width, height = box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}"/>'
