"""The part of the status page that is about nodes: who lives, who was lost, and which shops changed hands."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.blocks import Cell, Grid, Line, grid, line
from orchestrator.cli.pages import Json
from orchestrator.cli.times import ago, few, is_within, seconds_text

_HOUR_SECONDS = 3600.0
_MOST_LOST = 5  # a daemon that dies again and again is another node each time
_WHYS = {"lease_ended": "its lease ended", "handed_over": "handed over"}


def nodes_blocks(dump: Json) -> list[Line | Grid]:
    """Which node works for which shops, where there are several or were, and what they took from each other."""
    nodes, lost, now = dump.get("nodes") or (), dump.get("lost_nodes") or (), dump.get("at")
    page: list[Line | Grid] = []
    if len(nodes) + len(lost) > 1:
        rows = [*(_living(each, now) for each in nodes), *(_lost(each, now) for each in lost[:_MOST_LOST])]
        headers = ("NODE", "VERSION", "SHOPS", "SEEN", "", "WORKS FOR")
        page += [line(), grid(headers, rows, right=(2,), wraps=(5,))]
        if len(lost) > _MOST_LOST:
            page.append(line(f"… and {len(lost) - _MOST_LOST} more that were lost within the hour", hang=2))
    if taken := _taken_over(dump["shops"], now, are_several=len(nodes) > 1):
        page += [line(), grid(("TAKEN OVER", "FROM", "BY", "WHY", "WHEN"), taken, wraps=(0, 1, 2))]
    return page


def _living(node: Json, now: str | None) -> tuple[str | Cell, ...]:
    seconds = node.get("seen_seconds")
    mark = Cell("hands over" if node.get("draining") else "", "busy")
    return (
        node["name"],
        node.get("version", ""),
        str(len(node["shops"])),
        ago(node["seen_at"], now) if seconds is None else f"{seconds_text(seconds)} ago",
        Cell("silent", "bad") if node.get("silent") else mark,
        few(node["shops"]),
    )


def _lost(node: Json, now: str | None) -> tuple[str | Cell, ...]:
    worked_for = f"worked for {few(node['shops'])}" if node["shops"] else ""
    return node["name"], node.get("version", ""), "", ago(node["seen_at"], now), Cell("lost", "bad"), worked_for


def _taken_over(shops: Sequence[Json], now: str | None, *, are_several: bool) -> list[tuple[str | Cell, ...]]:
    """Shops that changed hands within the hour. A daemon that is alone takes its own back at each start: then only
    those count that nobody gave it."""
    found: dict[tuple[str, str, str], list[Json]] = {}
    for shop in shops:
        takeover = shop.get("takeover") or {}
        before, why = takeover.get("from"), str(takeover.get("why"))
        if before is None or not (are_several or why == "lease_ended"):
            continue
        if is_within(takeover["at"], now, _HOUR_SECONDS):
            found.setdefault((before, shop["holder"], why), []).append(shop)
    return [
        (
            few([shop["name"] for shop in taken]),
            before,
            holder,
            Cell(_WHYS.get(why, why), "bad" if why == "lease_ended" else "plain"),
            ago(max(shop["takeover"]["at"] for shop in taken), now),
        )
        for (before, holder, why), taken in found.items()
    ]
