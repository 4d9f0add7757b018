"""What came back of a Shopify order: pure arithmetic over the fact `returns`.

A return is a fact beside the order's state. It is asked for piece by piece while other pieces are still under way, so
one return never says where the order stands. Which quantities came back follows from each return's own status
(Admin schema, ReturnStatus, returnClose, returnProcess; shopify.md §6):

- `REQUESTED`, `CANCELED`, `DECLINED`: nothing came back because of it.
- `OPEN`: what was processed came back; processing leaves the return open.
- `CLOSED`: all of it came back, "when it has been marked as returned in the system".

Facts: `returns` [{id, state, lines: [{id: order line, quantity}], processed: {order line: quantity}, exchange: pieces
that are still to be added to the order in exchange}], missing where the app may not read returns.
"""

from __future__ import annotations

from collections.abc import Collection

from statemachines.shopify.facts import Facts, shipped

_CLOSED, _OPEN = "CLOSED", "OPEN"
UNDERWAY = frozenset({"REQUESTED", _OPEN})
"""States of returns that may still change what is in the buyer's hands."""


def came_back(facts: Facts) -> dict[str, int]:
    """How many of each order line came back."""
    counts: dict[str, int] = {}
    for each in facts.get("returns") or ():
        if each["state"] == _CLOSED:
            rows = [(line["id"], line["quantity"]) for line in each["lines"]]
        else:
            rows = list(each["processed"].items()) if each["state"] == _OPEN else []
        for line, quantity in rows:
            counts[line] = counts.get(line, 0) + quantity
    return counts


def awaits_exchange(facts: Facts) -> bool:
    """Whether goods that the buyer gets in exchange are still to be added to the order."""
    return any(each["exchange"] > 0 for each in facts.get("returns") or () if each["state"] in UNDERWAY)


def is_all_back(facts: Facts, goods: Collection[str]) -> bool:
    """Whether each piece that was shipped came back and nothing is to be sent in exchange.

    `goods`: the order lines that carriers take. Nobody sends a gift card back.
    """
    sent = {line: quantity for line, quantity in shipped(facts).items() if line in goods and quantity > 0}
    back = came_back(facts)
    return bool(sent) and not awaits_exchange(facts) and all(back.get(line, 0) >= sent[line] for line in sent)
