"""Which goods of an order go into which parcel of Vendure's, and what is next with it: arithmetic over its facts. Pure.

A parcel is a fulfilment. It is made Pending, then shipped, then delivered, and the order's state follows from all of
them. What is next is told from the facts alone, so a fulfilment that was made before a crash, or by hand, is taken up
and not made again.

Facts: `lines` {line: quantity}, `parcels` [{id, state, code, lines: {line: quantity}}] without cancelled ones, `made`
{token: [parcel]}: which parcels were shipped for a target of quantities without a tracking code, for no read tells
those from another parcel of the same goods.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from orchestrator.plugin.machine import InvalidItems, Json, TargetRequest, plain, read_items

Facts: TypeAlias = Mapping[str, Json]

PENDING, SHIPPED, DELIVERED = "Pending", "Shipped", "Delivered"
"""States of a fulfilment; the latter two are states of orders as well."""
LEADS_TO = {"mark_shipped": SHIPPED, "mark_delivered": DELIVERED}
"""The state of a fulfilment after a step about it."""


def code_of(request: TargetRequest) -> str:
    """The tracking code that a target brings, or the link in its place; "" where it brings none."""
    return (request.tracking.code or request.tracking.url or "").strip() if request.tracking is not None else ""


def asked_of(request: TargetRequest) -> dict[str, int | None] | None:
    """The lines that a target is about, with the quantity where it names one; None: all. Raises InvalidItems."""
    asked = read_items(request.items)
    for line, count in (asked or {}).items():
        if count is not None and count % 1:
            raise InvalidItems(f"the quantity of item {line} is {plain(count)}, not a whole number")
    return None if asked is None else {line: None if n is None else int(n) for line, n in asked.items()}


def parcels_of(facts: Facts) -> list[dict[str, Json]]:
    """The fulfilments that were not cancelled, oldest first."""
    return list(facts.get("parcels") or ())


def own(facts: Facts, request: TargetRequest) -> list[dict[str, Json]] | None:
    """The parcels that a target is about; None: it is about the whole order. Raises InvalidItems.

    A code that is known selects its parcels. Without a code they are those that hold nothing else than it names; where
    it names quantities, another such parcel may have left before, so only what was made for it and what is Pending.
    """
    code, asked, parcels = code_of(request), asked_of(request), parcels_of(facts)
    if code:
        found = [each for each in parcels if each["code"] == code]
        return found if found or asked is not None else None
    if asked is None:
        return None
    made = (facts.get("made") or {}).get(_token(request), ())
    is_any = not any(asked.values()) or _is_delivery(request)
    found = [each for each in parcels if each["id"] in made]
    for each in parcels:
        if each not in found and (is_any or each["state"] == PENDING) and _is_within(asked, [*found, each]):
            found.append(each)
    return found


def _is_within(asked: Mapping[str, int | None], parcels: list[dict[str, Json]]) -> bool:
    """Whether parcels hold nothing but what is named, and no more of it."""
    held = counts_of(parcels)
    return all(line in asked and ((most := asked[line]) is None or count <= most) for line, count in held.items())


def _is_delivery(request: TargetRequest) -> bool:
    return request.state.strip().casefold() == "delivered"


def _token(request: TargetRequest) -> str:
    """What tells a target of quantities without a code from another: its key, else what it names."""
    return json.dumps([request.key, None if request.key else sorted((asked_of(request) or {}).items())])


def packed_in(facts: Facts) -> Counter[str]:
    """How many of each line are in parcels."""
    return counts_of(parcels_of(facts))


def counts_of(parcels: list[dict[str, Json]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in parcels:
        counts.update(each["lines"])
    return counts


def rest_of(facts: Facts) -> dict[str, int]:
    """How much of each line is in no parcel."""
    packed = packed_in(facts)
    return {line: count - packed[line] for line, count in (facts.get("lines") or {}).items() if count > packed[line]}


def left(facts: Facts, request: TargetRequest) -> dict[str, int]:
    """What the target has to have put into a parcel yet, by line. Raises InvalidItems for what cannot be."""
    packed, rest = packed_in(facts), rest_of(facts)
    asked, mine = asked_of(request), own(facts, request)
    if asked is None:
        return rest if mine is None else {}
    done = counts_of(mine or [])
    found: dict[str, int] = {}
    for line, count in asked.items():
        there = rest.get(line, 0)
        need = there if count is None else count - done[line]
        if need <= 0 or (there == 0 and packed[line] >= (count or 1)):
            continue  # in a parcel already, ours or one made by hand
        if need > there:
            raise InvalidItems(f"{need} of item {line} are asked for and {there} are left")
        found[line] = need
    return found


def due_parcel(facts: Facts, request: TargetRequest, step: str) -> dict[str, Json] | None:
    """The parcel that `mark_shipped` or `mark_delivered` is about next; None: there is none."""
    mine, state = own(facts, request), PENDING if step == "mark_shipped" else SHIPPED
    parcels = parcels_of(facts) if mine is None else mine
    return next((each for each in parcels if each["state"] == state), None)


def done(facts: Facts, request: TargetRequest, step: str, made: str = "") -> dict[str, Json]:
    """The facts after a step. `made`: the id of the fulfilment that `fulfill` made, "" where it is not known."""
    parcels = parcels_of(facts)
    if step == "fulfill":
        new = {"id": made, "state": PENDING, "code": code_of(request), "lines": left(facts, request)}
        return {**facts, "parcels": [*parcels, new]}
    if (due := due_parcel(facts, request, step)) is None:
        return dict(facts)
    moved = {**facts, "parcels": [{**p, "state": LEADS_TO[step]} if p is due else p for p in parcels]}
    if step == "mark_shipped" and not code_of(request) and any((asked_of(request) or {}).values()):
        known = facts.get("made") or {}
        moved["made"] = {**known, _token(request): [*known.get(_token(request), ()), due["id"]]}
    return moved


def state_after(state: str, facts: Facts) -> str:
    """The order's state that Vendure derives from its fulfilments; one that does not follow stays."""
    lines, parcels = facts.get("lines") or {}, parcels_of(facts)
    packed = packed_in(facts)
    states = {each["state"] for each in parcels if any(lines.get(line) for line in each["lines"])}
    is_whole = all(count <= packed[line] for line, count in lines.items())
    if DELIVERED in states:
        return DELIVERED if is_whole and len(states) == 1 else "PartiallyDelivered"
    if SHIPPED not in states or state in (SHIPPED, "PartiallyDelivered"):
        return state
    return SHIPPED if is_whole and len(states) == 1 else "PartiallyShipped"


def shared_reason(facts: Facts, request: TargetRequest) -> str | None:
    """Why the items of a delivery select no whole parcels. Raises InvalidItems."""
    asked, mine = asked_of(request), own(facts, request) or []
    if asked is None or not _is_delivery(request):
        return None
    found, rest = counts_of(mine), left(facts, request)
    missing = [line for line, count in asked.items() if found[line] < (count or 1) and line not in rest]
    if not missing and _is_within(asked, mine):
        return None
    return f"items {', '.join(missing or asked)} are in a parcel with others: name its tracking code alone"
