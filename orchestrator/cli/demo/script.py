"""What the demo asks for: scenes, each a few targets of one order, fitted to what a platform's machine can do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

REACHED = "reached"


@dataclass(frozen=True, slots=True)
class Act:
    """One submission: the target's fields, and how it should end: `reached`, or refused with a problem slug.

    `has_first_item`: confirms only the order's first item.
    """

    state: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    expected: str = REACHED
    has_first_item: bool = False

    def body(self, items: Sequence[str]) -> dict[str, Any]:
        """The target's JSON, for an order with these items."""
        chosen = {"items": [items[0]]} if self.has_first_item and items else {}
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


def scenes(machine: Mapping[str, Any]) -> list[Scene]:
    """The scenes that a platform's machine (contract: `GET /v1/machines/{platform}`) can play."""
    states = {state["milestone"]: state for state in machine["states"] if state["milestone"]}
    settable = {name for name, state in states.items() if state["settable"] and not state["record_only"]}
    ways = [name for name in ("accepted", "preparing", "shipped", "delivered") if name in settable]
    found = [
        Scene("delivered in one go", (Act("delivered", _tracking(1)),)),
        Scene("step by step", tuple(Act(name) for name in ways)),
        Scene("one item confirmed, then delivered", (Act(ways[0], has_first_item=True), Act("delivered"))),
        Scene(
            "tracking corrected on the way",
            (Act("shipped", _tracking(2)), Act("shipped", _tracking(3)), Act("delivered")),
        ),
    ]
    if "returned" in settable:
        acts = (Act("shipped", _tracking(4)), Act("returned"), Act("delivered"))
        found.append(Scene("returned, then delivered again", acts))
    if "cancelled" in settable:
        found.append(Scene("cancelled", (Act("cancelled", {"reason": "changed my mind"}),)))
    found.append(Scene("requests that are refused", _refused(settable)))
    return found


def cast(orders: Sequence[str], played: Sequence[Scene]) -> dict[str, Scene]:
    """Which order plays which scene: all scenes in turn, and the first one for what is left over."""
    return {order: played[at % len(played)] for at, order in enumerate(orders)}


def item_ids(payload: Any) -> list[str]:
    """The ids of an order's lines in its platform's own JSON; empty where that is not known."""
    if not isinstance(payload, Mapping):
        return []
    known = (payload.get(name) for name in ("items", "line_items", "lines"))
    lines: list[Any] = next((lines for lines in known if isinstance(lines, list)), [])
    return [str(entry["id"]) for entry in lines if isinstance(entry, Mapping) and "id" in entry]


def _refused(settable: set[str]) -> tuple[Act, ...]:
    acts = [Act("teleported", expected="unknown-state")]
    if "cancelled" not in settable:
        acts.append(Act("cancelled", expected="unreachable"))
    acts.append(Act("delivered"))
    if "returned" in settable:
        acts.append(Act("returned", expected="unreachable"))
    return tuple(acts)


def _tracking(number: int) -> dict[str, Any]:
    code = f"DEMO{number:06}"
    return {"tracking": {"code": code, "url": f"https://track.example/{code}"}}


def personal(scene: Scene, number: int) -> Scene:
    """The scene with tracking codes that are this order's own."""
    acts = []
    for at, act in enumerate(scene.acts):
        fields = _tracking(number * 10 + at) if "tracking" in act.fields else act.fields
        acts.append(replace(act, fields=fields))
    return replace(scene, acts=tuple(acts))
