"""What the demo asks for: scenes, each a few targets of one order, fitted to what a platform's machine can do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

REACHED = "reached"


@dataclass(frozen=True, slots=True)
class Item:
    """A line of an order, by the platform's id."""

    id: str
    quantity: float


@dataclass(frozen=True, slots=True)
class Act:
    """One submission: the target's fields, and how it should end: `reached`, or refused with a problem slug.

    `has_first_item`: is about the order's first item alone, `has_first_piece`: about one piece of it. `has_erp`: brings
    the ERP's number, a line number for each item, and the despatch of all of them.
    """

    state: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    expected: str = REACHED
    has_first_item: bool = False
    has_first_piece: bool = False
    has_erp: bool = False

    @property
    def needs_items(self) -> bool:
        """Whether the order's items have to be known."""
        return self.has_first_item or self.has_first_piece or self.has_erp

    def body(self, order: str, items: Sequence[Item]) -> dict[str, Any]:
        """The target's JSON, for an order with these items."""
        chosen: dict[str, Any] = {"items": [items[0].id]} if self.has_first_item and items else {}
        if self.has_first_piece and items:
            chosen["items"] = [{"id": items[0].id, "quantity": 1}]
        if self.has_erp:
            chosen["erp_order_number"] = f"ERP-{order}"
            numbered = [(item, n * 10) for n, item in enumerate(items, 1)]
            chosen["erp_lines"] = [{"line": item.id, "erp_line_number": number} for item, number in numbered]
            lines = [{"erp_line_number": number, "quantity": item.quantity} for item, number in numbered]
            chosen["despatch"] = {"number": f"DESPATCH-{order}", "final": True, "lines": lines}
        return {"state": self.state, **self.fields, **chosen}


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens to one order."""

    title: str
    acts: tuple[Act, ...]

    @property
    def final_state(self) -> str:
        """The milestone where the order ends."""
        return [act.state for act in self.acts if act.expected == REACHED][-1]


def _tracking(number: int) -> dict[str, Any]:
    code = f"DEMO{number:06}"
    return {"tracking": {"code": code, "url": f"https://track.example/{code}"}}


TWO_PARCELS = Scene(
    "in two parcels, each with its tracking",
    (Act("shipped", _tracking(5), has_first_piece=True), Act("shipped", _tracking(6)), Act("delivered")),
)
"""A part is shipped, then what is left, then both are delivered."""


def scenes(machine: Mapping[str, Any]) -> list[Scene]:
    """The scenes that a platform's machine (docs/api.md) can play."""
    states = {state["name"]: state for state in machine["states"] if state["settable"] and not state["record_only"]}
    settable = {milestone for milestone, state in machine["milestones"].items() if state in states}
    ways = [name for name in ("accepted", "preparing", "shipped", "delivered") if name in settable]
    carried = [set(step["uses"]) for step in machine["steps"]]
    found = [
        Scene("delivered in one go", (Act("delivered", _tracking(1)),)),
        Scene("step by step", tuple(Act(name) for name in ways)),
    ]
    if {"items"} in carried:
        found.append(Scene("one item confirmed, then all", (Act(ways[0], has_first_item=True), Act("delivered"))))
    if {"tracking"} in carried:
        acts = (Act("shipped", _tracking(2)), Act("shipped", _tracking(3)), Act("delivered"))
        found.append(Scene("tracking corrected on the way", acts))
    if any({"items", "tracking"} <= uses for uses in carried):
        found.append(TWO_PARCELS)
    if any("despatch" in uses for uses in carried):
        found.append(Scene("ERP number and despatch on the way", (Act("shipped", has_erp=True), Act("delivered"))))
    if "returned" in settable:
        acts = (Act("shipped", _tracking(4)), Act("returned"), Act("delivered"))
        found.append(Scene("returned, then delivered again", acts))
    if "cancelled" in settable:
        found.append(Scene("cancelled", (Act("cancelled", {"reason": "the buyer changed their mind"}),)))
    found.append(Scene("requests that are refused", _refused("cancelled" in settable)))
    return found


def cast(orders: Sequence[str], played: Sequence[Scene]) -> dict[str, Scene]:
    """Which order plays which scene: all scenes in turn, and the first one for what is left over."""
    return {order: played[at % len(played)] for at, order in enumerate(orders)}


def items_of(payload: Any) -> list[Item]:
    """An order's lines in its platform's own JSON; empty where that is not known."""
    if not isinstance(payload, Mapping):
        return []
    known = (_nodes(payload.get(name)) for name in ("items", "line_items", "order_lines", "lineItems"))
    lines: list[Any] = next((lines for lines in known if lines is not None), [])
    return [
        Item(str(entry["id"]).rpartition("/")[2], float(entry.get("quantity") or entry.get("count") or 1))
        for entry in lines
        if isinstance(entry, Mapping) and "id" in entry
    ]


def _nodes(lines: Any) -> list[Any] | None:
    """The elements of a list, or of an object that holds them as `nodes`."""
    found = lines.get("nodes") if isinstance(lines, Mapping) else lines
    return found if isinstance(found, list) else None


def personal(scene: Scene, number: int) -> Scene:
    """The scene with tracking codes that are this order's own."""
    acts = []
    for at, act in enumerate(scene.acts):
        fields = _tracking(number * 10 + at) if "tracking" in act.fields else act.fields
        acts.append(replace(act, fields=fields))
    return replace(scene, acts=tuple(acts))


def _refused(can_cancel: bool) -> tuple[Act, ...]:
    """What nobody can have: an unknown state, a state that is only seen, the way back from the end. The last is
    known before the order gets there."""
    acts = [Act("teleported", expected="unknown-state"), Act("delivered"), Act("returned", expected="unreachable")]
    if not can_cancel:
        acts.insert(1, Act("cancelled", expected="unreachable"))
    return tuple(acts)
