"""Tracking of what was shipped on Shopify: which parcels a target's numbers are for, and what they carry already. Pure.

A code that a parcel of the order carries selects that parcel, and changes no other one: an export that ran again says
nothing new, and a link or a further number that comes with a known code is that parcel's. A code that is not known is
new tracking for the parcels of the target's items, or for all; where these went out under different codes nobody could
show which one is meant, and the target is refused.

Facts as in `facts`, and `retracking` {asked, parcels: [fulfilment id]}: parcels of one code that were being
given another one when an answer was lost. Some carry it by then, which would pass for a parcel that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest

from statemachines.items import InvalidItems
from statemachines.shopify.facts import (
    Facts,
    is_marked,
    live,
    mark,
    name_of,
    numbers_of,
    orders,
    remaining,
    tracking_fields,
)
from statemachines.shopify.parcels import asked_items, parcel_ids
from statemachines.target import Json, TargetRequest, Tracking, is_web_link

RETRACKING = "retracking"


def known_parcels(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    """The parcels that the target's code (or its link) selects, or its parcel by what we made for it; none where it is
    not known."""
    if ids := parcel_ids(facts, request):
        return [each for each in live(facts) if each["id"] in ids]
    marks = mark(request)
    return [] if marks is None else [each for each in live(facts) if is_marked(each, marks)]


def retracked(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    """The live fulfilments that the target's numbers are for and that do not carry them, oldest first."""
    numbers = numbers_of(request)
    return [each for each in _meant(facts, request) if not carries(each, numbers)]


def _meant(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    if mark(request) is None:
        return []
    pending = facts.get(RETRACKING)
    if pending and pending["asked"] == _text(request):
        return [each for each in live(facts) if each["id"] in pending["parcels"]]
    if known := known_parcels(facts, request):
        return known
    return [] if ambiguity(facts, request) is not None else _of_items(facts, request)  # the guard has the words


def _of_items(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    try:
        asked = asked_items(request)
    except InvalidItems:
        return []  # the guard has the words
    return [each for each in live(facts) if asked is None or set(asked) & set(each["lines"])]


def ambiguity(facts: Facts, request: TargetRequest) -> str | None:
    """Why it is unclear which parcels an unknown code is for; None where that is clear."""
    pending = facts.get(RETRACKING)
    is_going_on = pending is not None and pending["asked"] == _text(request)
    if mark(request) is None or known_parcels(facts, request) or is_going_on:
        return None
    chosen = _of_items(facts, request)
    names = {tuple(each["codes"]): name_of(each) for each in chosen}
    if chosen and request.location is not None and len({str(each["location"]) for each in orders(facts)}) > 1:
        return (
            f"which parcels left from location {request.location} is not known ({'; '.join(names.values())}):"
            " name the items or the code of one of them"
        )
    if request.items is None and remaining(facts) and any(each["codes"] for each in chosen):
        return (
            f"a part of the order went out under {'; '.join(names.values())} and goods are left, so a new code may be"
            " for either: name the items or the location, or the code that is there"
        )
    if len(names) < 2:
        return None
    what = "the order" if request.items is None else "what the items name"
    return (
        f"{what} went out in several parcels ({'; '.join(names.values())}): name the items or the code of one of them"
    )


def carries(fulfillment: Mapping[str, Json], numbers: tuple[Tracking, ...]) -> bool:
    """Whether a fulfilment has each of the numbers, their links and their carrier."""
    for each in numbers:
        if each.code and each.code not in fulfillment["codes"]:
            return False
        if each.url and each.url not in fulfillment["urls"]:
            return False
        carriers = fulfillment.get("carriers")  # records of before they were kept have none
        if each.carrier and carriers is not None and each.carrier.casefold() not in map(str.casefold, carriers):
            return False
    return True


def overwritten(
    fulfillment: Mapping[str, Json], request: TargetRequest
) -> tuple[list[tuple[str | None, str | None]], str | None]:
    """All numbers with their links, and the carrier, that a fulfilment has once the target's are in: Shopify replaces
    them as a whole, so what the target does not change is sent once more.

    Codes of which none is known take the place of the old ones; links belong to their codes and go with them.
    """
    numbers = numbers_of(request)
    carrier = next((each.carrier for each in numbers if each.carrier), None)
    carrier = carrier or next(iter(fulfillment.get("carriers") or ()), None)
    own = _pairs(fulfillment)
    codes = [each.code for each in numbers if each.code]
    if codes and not set(codes) & {code for code, _ in own}:
        own = []
    for each in numbers:
        places = [at for at, (code, _) in enumerate(own) if each.code is None or code == each.code]
        if places and each.url:
            own[places[0]] = (own[places[0]][0], each.url)
        elif not places and (each.code or each.url):
            own.append((each.code, each.url))
    return own, carrier


def _pairs(fulfillment: Mapping[str, Json]) -> list[tuple[str | None, str | None]]:
    pairs = fulfillment.get("tracking")
    if pairs is None:  # as a webhook has it, and what was stored before pairs were kept
        return list(zip_longest(fulfillment["codes"], fulfillment["urls"]))
    return [(code, url) for code, url in pairs]


def with_tracking(facts: Facts, request: TargetRequest) -> dict[str, Json]:
    """The facts once the fulfilments that the target's numbers are for carry them."""
    chosen = [id(each) for each in retracked(facts, request)]  # what is only planned has no number yet
    fulfillments = [
        {**each, **tracking_fields(*overwritten(each, request))} if id(each) in chosen else each
        for each in facts.get("fulfillments") or ()
    ]
    return {name: value for name, value in {**facts, "fulfillments": fulfillments}.items() if name != RETRACKING}


def retracking_unanswered(facts: Facts, request: TargetRequest) -> Mapping[str, Json]:
    """The facts once the answer about new tracking of several parcels was lost: which parcels it is for is kept."""
    chosen = [each["id"] for each in retracked(facts, request)]
    if len(chosen) < 2:
        return facts
    return {**facts, RETRACKING: {"asked": _text(request), "parcels": chosen}}


def _text(request: TargetRequest) -> str:
    return " ".join(each.code or each.url or "" for each in mark(request) or ())


def tracking_reason(request: TargetRequest) -> str | None:
    """What is wrong with the target's tracking; None: nothing."""
    for number in numbers_of(request):
        if number.url and not is_web_link(number.url):
            return f"tracking.url {number.url!r} is not an http(s) link"
    if len({number.carrier.casefold() for number in numbers_of(request) if number.carrier}) > 1:
        return "tracking names several carriers, and Shopify has one for all numbers of a parcel"
    return None
