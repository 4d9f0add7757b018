"""Which parcels of a Shopify order a target `delivered` marks: pure.

All of them, or those that its code or its items select. A delivery cannot be taken back, so whatever does not select
whole parcels, or could mean more than one, is refused with the codes that there are.

Facts as in `facts`.
"""

from __future__ import annotations

from collections.abc import Mapping

from statemachines.items import InvalidItems, gap, read_items
from statemachines.shopify.facts import LINE, Facts, mark, name_of, parcels, summed
from statemachines.shopify.parcels import asked_items, left
from statemachines.shopify.tracking import known_parcels
from statemachines.target import Json, TargetRequest


def to_deliver(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    """The parcels that the target marks as delivered and that are not yet; none where the guard refuses it."""
    if delivery_reason(facts, request) is not None:
        return []
    return [each for each in _selected(facts, request) if not each["is_delivered"]]


def _selected(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    if known := known_parcels(facts, request):
        return known
    asked = read_items(request.items, LINE)
    if asked is None or gap(asked, facts.get("lines")) is None:
        return parcels(facts)
    return [each for each in parcels(facts) if set(asked) & set(each["lines"])]


def selects_shipped(facts: Facts, request: TargetRequest) -> bool:
    """Whether the target is about parcels that went out, by its code, and not under way to ship more under it."""
    try:
        return bool(known_parcels(facts, request)) and not left(facts, request)
    except InvalidItems:
        return True


def delivery_reason(facts: Facts, request: TargetRequest) -> str | None:
    """Why a target's code or items select no whole parcels of what went out; None where they do."""
    sent = parcels(facts)
    try:
        asked = asked_items(request)
        is_all = asked is None or gap(read_items(request.items, LINE) or {}, facts.get("lines")) is None
    except InvalidItems as error:
        return str(error)
    if mark(request) is not None and not known_parcels(facts, request):
        if known := [name_of(each) for each in sent if each["codes"]]:
            return f"no parcel of the order has this tracking; it went out under {', '.join(dict.fromkeys(known))}"
        if len(sent) > 1:
            return "the order went out in several parcels without a code, so a code that is new selects none of them"
    if is_all:
        return None
    chosen = _selected(facts, request)
    if chosen and all(each["is_delivered"] for each in chosen):
        return None  # nothing is left to be done
    if not known_parcels(facts, request) and (reason := _several(chosen, asked or {})) is not None:
        return reason
    for each in chosen:
        for line, count in each["lines"].items():
            wanted = (asked or {}).get(line, 0)
            if line not in (asked or {}) or (wanted is not None and wanted < _under_way(chosen, line)):
                return f"parcel {name_of(each)} also holds {count} of item {line}, and only whole parcels are delivered"
    return None


def _under_way(chosen: list[Mapping[str, Json]], line: str) -> int:
    return summed(each["lines"] for each in chosen).get(line, 0)


def _several(chosen: list[Mapping[str, Json]], asked: Mapping[str, int | None]) -> str | None:
    """Why a line that went out in more parcels than one selects none of them."""
    for line in asked:
        holding = [each for each in chosen if line in each["lines"]]
        marks = {tuple(each["codes"]) for each in holding}
        if len(holding) > 1 and (len(marks) > 1 or not holding[0]["codes"]):
            names = "; ".join(name_of(each) for each in holding)
            return f"item {line} went out in several parcels ({names}): name the code of the one that was delivered"
    return None
