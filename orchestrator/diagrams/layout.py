"""Where everything in a machine's picture goes: boxes in two rows, wires in channels between them. Pure geometry.

The main line runs from left to right, each box joined to the next by a straight arrow. Everything that is not on it
(returned, cancelled, attention, …) stands in a row below. Other moves are wired like a circuit board: down from each
source to a horizontal channel of the step's own, along it, and on to the target. However many states a step leaves
from, it is one channel with one label, so "cancel from everywhere" stays readable. Skips and returns along the main
line have their channels above it.

Lengths are SVG user units; text widths are estimated, since there is no font to ask.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

Kind = Literal["normal", "seen", "record"]
Anchor = Literal["start", "middle", "end"]

MARGIN = 16.0
LINE_HEIGHT = 17.0
SMALL_HEIGHT = 15.0
_CHAR, _SMALL_CHAR = 8.5, 6.7  # a little wide on purpose: text must not leave its box in any font
_PADDING = 12.0
_CHANNEL = 24.0
_SIDE_GAP = 28.0
_START_ROOM = 34.0
_NAME_WIDTH = 18  # characters before a name is broken at a space
_PORT_DISTANCE = 8.0
_JOG = 24.0  # a smaller step aside is not worth two corners

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """One state. `lines` is its name, broken where it is long; `actions` are steps that leave it as it is."""

    name: str
    lines: tuple[str, ...]
    caption: str
    actions: tuple[str, ...]
    kind: Kind
    is_end: bool
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    @property
    def middle(self) -> float:
        """The x of its centre."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Wire:
    """One step: a line from each source to each target, all by the same channel, and one label (`anchor` as in SVG)."""

    step: str
    lines: tuple[tuple[Point, ...], ...]
    label_at: Point
    anchor: Anchor = "middle"


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole picture. `start` is the arrow into the first state; everything lies between `left` and `left + width`."""

    platform: str
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    start: tuple[Point, Point]
    left: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Moves of one step that share a channel: many sources and one target, or one source and many targets."""

    step: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]


def lay_out(described: Mapping[str, Any]) -> Layout:
    """The picture of a machine from `PlatformMachine.describe()`."""
    mainline: list[str] = list(described["mainline"])
    boxes = {box.name: box for box in _boxes(described)}
    moves = _moves(described["steps"])
    straight, above, below = _sort_moves(moves, mainline)
    main_y = MARGIN + len(above) * _CHANNEL + (LINE_HEIGHT if above else 0)
    main = _place_main([boxes[name] for name in mainline], straight, main_y)
    side_y = main[-1].y + main[-1].height + _CHANNEL * (len(below) + 1)
    side = _place_side([box for box in boxes.values() if box.name not in mainline], main, moves, side_y)
    placed = {box.name: box for box in (*main, *side)}
    wires = [_straight_wire(placed[source], placed[to], steps) for (source, to), steps in straight.items()]
    wires += _channel_wires(above, placed, {}, main_y, -_CHANNEL)
    wires += _channel_wires(below, placed, {box.name: box for box in side}, main_y + main[0].height, _CHANNEL)
    first = placed[described["initial"]]
    at = first.y + first.height / 2
    left = min(0.0, *(_reach(wire)[0] - MARGIN for wire in wires)) if wires else 0.0
    right = max([box.x + box.width for box in placed.values()] + [_reach(wire)[1] for wire in wires])
    return Layout(
        platform=described["platform"],
        boxes=(*main, *side),
        wires=tuple(wires),
        start=((first.x - _START_ROOM + 8, at), (first.x, at)),
        left=left,
        width=right + MARGIN - left,
        height=max(box.y + box.height for box in placed.values()) + MARGIN,
    )


def text_width(text: str, *, is_small: bool = False) -> float:
    """About how wide a text is drawn."""
    return len(text) * (_SMALL_CHAR if is_small else _CHAR)


# -- what there is to draw -----------------------------------------------------------------------------------------


def _boxes(described: Mapping[str, Any]) -> Iterable[Box]:
    actions: dict[str, list[str]] = defaultdict(list)
    for step in described["steps"]:
        for source in step["from"]:
            if step["to"] is None or step["to"] == source:
                actions[source].append(step["step"])
    for state in described["states"]:
        name, milestone = state["name"], state["milestone"]
        kind: Kind = "record" if state["record_only"] else "normal" if state["settable"] else "seen"
        remark = {"record": "our record only", "seen": "seen, not set", "normal": ""}[kind]
        words = [milestone if milestone is not None and milestone != name.casefold() else "", remark]
        lines = tuple(textwrap.wrap(name, _NAME_WIDTH, break_long_words=False)) or (name,)
        box = Box(name, lines, " · ".join(filter(None, words)), tuple(actions[name]), kind, state["end"])
        widths = [*map(text_width, lines), text_width(box.caption, is_small=True)]
        widths += [text_width(f"↻ {action}", is_small=True) for action in box.actions]
        height = len(lines) * LINE_HEIGHT + (len(box.actions) + bool(box.caption)) * SMALL_HEIGHT + _PADDING * 1.5
        yield replace(box, width=max(widths) + _PADDING * 2, height=height)


def _moves(steps: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Every (step, source, target) that changes the state."""
    return [
        (step["step"], source, step["to"])
        for step in steps
        for source in step["from"]
        if step["to"] is not None and step["to"] != source
    ]


def _sort_moves(
    moves: Sequence[tuple[str, str, str]], mainline: Sequence[str]
) -> tuple[dict[tuple[str, str], list[str]], list[_Bundle], list[_Bundle]]:
    """Straight moves by their states; bundles above the main line, shortest nearest; bundles below it."""
    rank = {name: index for index, name in enumerate(mainline)}
    straight: dict[tuple[str, str], list[str]] = defaultdict(list)
    above: dict[tuple[str, str], list[str]] = defaultdict(list)
    into_side: dict[tuple[str, str], list[str]] = defaultdict(list)
    out_of_side: dict[tuple[str, str], list[str]] = defaultdict(list)
    for step, source, to in moves:
        if to not in rank:
            into_side[step, to].append(source)
        elif source not in rank:
            out_of_side[step, source].append(to)
        elif rank[to] == rank[source] + 1:
            straight[source, to].append(step)
        else:
            above[step, to].append(source)
    arcs = [_Bundle(step, tuple(sources), (to,)) for (step, to), sources in above.items()]
    arcs.sort(key=lambda arc: max(abs(rank[source] - rank[arc.targets[0]]) for source in arc.sources))
    below = [_Bundle(step, tuple(sources), (to,)) for (step, to), sources in into_side.items()]
    below += [_Bundle(step, (source,), tuple(targets)) for (step, source), targets in out_of_side.items()]
    below.sort(key=lambda bundle: len(bundle.sources) + len(bundle.targets))
    return dict(straight), arcs, below


# -- placing -------------------------------------------------------------------------------------------------------


def _place_main(boxes: Sequence[Box], straight: Mapping[tuple[str, str], Sequence[str]], y: float) -> list[Box]:
    height = max(box.height for box in boxes)
    placed: list[Box] = []
    x = MARGIN + _START_ROOM
    for index, box in enumerate(boxes):
        placed.append(replace(box, x=x, y=y, height=height))
        following = boxes[index + 1].name if index + 1 < len(boxes) else ""
        labels = straight.get((box.name, following), ())
        x += box.width + text_width(_label(labels), is_small=True) + 30
    return placed


def _place_side(
    boxes: Sequence[Box], main: Sequence[Box], moves: Sequence[tuple[str, str, str]], y: float
) -> list[Box]:
    """Each box as near as can be below the states that it is joined to; those that stand alone come last."""
    middles = {box.name: box.middle for box in main}

    def wish(box: Box) -> float:
        ends = [middles[to] for _, source, to in moves if source == box.name and to in middles]
        ends += [middles[source] for _, source, to in moves if to == box.name and source in middles]
        return sum(ends) / len(ends) - box.width / 2 if ends else float("inf")

    height = max((box.height for box in boxes), default=0)
    placed: list[Box] = []
    x = MARGIN
    for box in sorted(boxes, key=lambda box: (wish(box), box.kind == "record")):
        wished = wish(box)
        x = max(x, wished) if wished != float("inf") else x
        placed.append(replace(box, x=x, y=y, height=height))
        x += box.width + _SIDE_GAP
    return placed


# -- wiring --------------------------------------------------------------------------------------------------------


def _straight_wire(source: Box, to: Box, steps: Sequence[str]) -> Wire:
    y = source.y + source.height / 2
    line = ((source.x + source.width, y), (to.x, y))
    return Wire(_label(steps), (line,), ((line[0][0] + line[1][0]) / 2, y - 6))


def _label(steps: Sequence[str]) -> str:
    return " / ".join(dict.fromkeys(steps))


def _channel_wires(
    bundles: Sequence[_Bundle], placed: Mapping[str, Box], side: Mapping[str, Box], base_y: float, pitch: float
) -> list[Wire]:
    """Wires of bundles whose channels lie `pitch` apart, from the main row's edge at `base_y` away from it."""
    ports = _ports(bundles, placed)
    wires = []
    for index, bundle in enumerate(bundles):
        channel_y = base_y + pitch * (index + 1)
        ends = (*bundle.sources, *bundle.targets)
        at = {name: (ports[index, name], side[name].y if name in side else base_y) for name in ends}
        lines = tuple(_bent(at[source], at[to], channel_y) for source in bundle.sources for to in bundle.targets)
        uprights = sorted(ports.values())
        wires.append(_labelled(bundle, lines, uprights, [x for x, _ in at.values()], channel_y, placed))
    return wires


def _bent(start: Point, end: Point, channel_y: float) -> tuple[Point, ...]:
    if start[0] == end[0]:
        return (start, end)
    return (start, (start[0], channel_y), (end[0], channel_y), end)


def _labelled(
    bundle: _Bundle,
    lines: tuple[tuple[Point, ...], ...],
    uprights: Sequence[float],
    ends: Sequence[float],
    y: float,
    placed: Mapping[str, Box],
) -> Wire:
    """On the channel, in its widest stretch that no upright crosses; where that is short, beside the wire's own end,
    away from the box's middle."""
    low, high = min(ends), max(ends)
    inside = [x for x in uprights if low <= x <= high]
    gap, start = max(((right - left, left) for left, right in pairwise(inside)), default=(0.0, low))
    if gap > text_width(bundle.step, is_small=True) or len(ends) > 2:
        return Wire(bundle.step, lines, (start + gap / 2, y - 5))
    if low < placed[bundle.targets[0]].middle:
        return Wire(bundle.step, lines, (low - 6, y + 4), "end")
    return Wire(bundle.step, lines, (high + 6, y + 4), "start")


def _reach(wire: Wire) -> tuple[float, float]:
    """From where to where the label goes, from left to right."""
    x, width = wire.label_at[0], text_width(wire.step, is_small=True)
    start = {"start": x, "middle": x - width / 2, "end": x - width}[wire.anchor]
    return start, start + width


def _ports(bundles: Sequence[_Bundle], placed: Mapping[str, Box]) -> dict[tuple[int, str], float]:
    """Where each bundle leaves or enters each of its boxes: spread over the box, in the order of their other ends."""
    ends: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for index, bundle in enumerate(bundles):
        for name in (*bundle.sources, *bundle.targets):
            others = bundle.targets if name in bundle.sources else bundle.sources
            ends[name].append((sum(placed[other].middle for other in others) / len(others), index))
    ports: dict[tuple[int, str], float] = {}
    for name, joined in ends.items():
        box = placed[name]
        for place, (_, index) in enumerate(sorted(joined)):
            x = box.x + box.width * (place + 1) / (len(joined) + 1)
            other = _only_other(bundles[index], name)
            partner = ports.get((index, other)) if other is not None else None
            if partner is not None and abs(partner - x) < _JOG and box.x < partner < box.x + box.width:
                ports[index, name] = partner
                continue
            # two uprights in one place would look like one line
            while any(abs(x - taken) < _PORT_DISTANCE for taken in ports.values()):
                x += _PORT_DISTANCE
            ports[index, name] = x
    return ports


def _only_other(bundle: _Bundle, name: str) -> str | None:
    """The other end of a bundle that has just two."""
    ends = (*bundle.sources, *bundle.targets)
    return next(end for end in ends if end != name) if len(ends) == 2 else None
