"""Return requests in a Selldone order (selldone.md §4, §5.2 "Return request (per item)"). Pure.

Each is about one item: `id`, `item_id`, `count`, `state` (`Pending`, `Accepted`, `Rejected`), `reason` (`U1`..`U7`),
`note`. None of them moves the order: `Returned` is the whole parcel that came back. Requests are read as leniently as
whatever no decision hangs on: one without an id is left out, a member that is invalid is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from orchestrator.platforms.content import decimal, rows, text
from statemachines.target import Json

_UNTOLD = "unknown"


def returns_fact(order: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    """The fact `returns` [{id, state, lines: [{id: item, quantity}]}]; None where the order does not give any."""
    requests = _requests(order)
    if requests is None:
        return None
    return [
        {"id": number, "state": text(each.get("state")) or _UNTOLD, "lines": _lines(each)}
        for number, each in requests.items()
    ]


def returns_content(order: Mapping[str, Json]) -> list[Json] | None:
    """The same for the ERP (docs/api.md), with the buyer's reason; None where the order does not give any."""
    requests = _requests(order)
    if requests is None:
        return None
    return [
        {
            "id": number,
            "state": text(each.get("state")),
            "reason": text(each.get("reason")),
            "note": text(each.get("note")),
            "lines": [{"id": line["id"], "quantity": str(line["quantity"])} for line in _lines(each)],
        }
        for number, each in requests.items()
    ]


def _requests(order: Mapping[str, Json]) -> dict[str, Mapping[str, Json]] | None:
    """By id, in the platform's sequence. PHP writes a list with gaps as an object, an empty one as either."""
    found = order.get("basket_item_returns")
    if found is None:
        return None
    listed = rows(list(found.values()) if isinstance(found, Mapping) else found)
    return {number: each for each in listed if (number := text(each.get("id"))) is not None}


def _lines(request: Mapping[str, Json]) -> list[dict[str, Json]]:
    item, count = text(request.get("item_id")), request.get("count")
    quantity = decimal(count)
    if item is None or quantity is None:
        return []
    is_whole = not isinstance(count, bool) and Decimal(quantity) == Decimal(quantity).to_integral_value()
    return [{"id": item, "quantity": int(Decimal(quantity)) if is_whole else quantity}]
