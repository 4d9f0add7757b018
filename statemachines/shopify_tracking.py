"""Tracking of what was shipped on Shopify: which fulfilments a target's tracking is for, and which carry it already.

Facts as in `shopify_parcels`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from statemachines.items import SenselessItems
from statemachines.shopify_parcels import (
    Facts,
    asked_items,
    is_marked,
    live,
    mark,
    shipped,
    tracking_of,
)
from statemachines.target import Json, TargetRequest, Tracking


def retracked(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    """The live fulfilments that the target's tracking is for and that do not carry it: of its items, or all.

    They are told in the sequence in which they were made and are updated in it. So once the last one carries the
    tracking nothing is left, and what was sent before in another parcel keeps its own. So does what was sent after
    quantities that went out under this very mark: the target is then no news, it came once more.
    """
    tracking = mark(request)
    if tracking is None:
        return []
    chosen = live(facts)
    try:
        asked = asked_items(request)
    except SenselessItems:
        return []  # the guard has the words
    if asked is not None:
        chosen = [each for each in chosen if set(asked) & set(each["lines"])]
        marked, everything = shipped(facts, tracking), shipped(facts)
        if all(marked.get(line, 0) >= (count or everything.get(line, 0)) for line, count in asked.items()):
            chosen = [each for each in chosen if is_marked(each, tracking)]
    if chosen and carries(chosen[-1], tracking):
        return []
    return [each for each in chosen if not carries(each, tracking)]


def carries(fulfillment: Mapping[str, Json], tracking: Tracking) -> bool:
    """Whether a fulfilment carries all that the tracking says."""
    has_code = not tracking.code or tracking.code in fulfillment["codes"]
    has_url = not tracking.url or tracking.url in fulfillment["urls"]
    carriers = fulfillment.get("carriers")  # records of before they were kept have none
    has_carrier = not tracking.carrier or carriers is None or _folded(tracking.carrier) in map(_folded, carriers)
    return has_code and has_url and has_carrier


def _folded(carrier: str) -> str:
    return carrier.casefold()


def with_tracking(facts: Facts, request: TargetRequest) -> dict[str, Json]:
    """The facts once the fulfilments that the target's tracking is for carry it."""
    tracking = tracking_of(request)
    chosen = {each["id"] for each in retracked(facts, request)}
    new: dict[str, Json] = {"urls": [tracking.url] if tracking.url else []}
    if tracking.code:
        new["codes"] = [tracking.code]
    if tracking.code or tracking.carrier:
        new["carriers"] = [tracking.carrier] if tracking.carrier else []
    told = [{**each, **new} if each["id"] in chosen else each for each in facts.get("fulfillments") or ()]
    return {**facts, "fulfillments": told}


def tracking_reason(request: TargetRequest) -> str | None:
    """What is wrong with the target's tracking; None: nothing."""
    url = tracking_of(request).url
    if not url:
        return None
    try:
        parts = urlsplit(url)
        is_link = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        is_link = False
    return None if is_link else f"tracking.url {url!r} is no http(s) link"
