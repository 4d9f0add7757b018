"""What a person does about a problem, by its type: for the log, for `fulfilld status` and for `fulfilld order`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

REMEDIES: Final[Mapping[str, str]] = {
    "rejected": "fix the order on the platform, then `{retry}`; if the step was done by hand, `{skip}`",
    "attempts-exhausted": "when the platform works again, `{retry}`",
    "not-allowed": "`{cancel}`; if what forbids it is undone on the platform, it goes on by itself",
    "unknown-state": "move the order to a known state in the shop's panel, then `{refresh}`",
    "quarantined": "read the daemon's log, then `{retry}`, or do the step by hand and `{skip}`",
    "order-not-found": "nothing, if it was deleted; else `{refresh}` when the platform shows it again",
    "unreachable": "submit a state that can be reached from where the order is",
    "not-adjacent": "submit the next state alone, or set the shop's chaining to auto",
    "attention": "do what the ERP asks for; `{release}` ends it, and so does the order's next target",
    "superseded": "nothing: a newer target took its place",
}
"""By problem type; the names in braces are commands for the order."""


def remedy_in_bulk(type_: str, wanted: str) -> str:
    """As `remedy`, for all orders that a filter of the command line selects."""
    commands = {name: f"fulfilld {name} {wanted}" for name in ("retry", "cancel", "release")}
    commands |= {"skip": f"fulfilld skip {wanted} --reason WHY", "refresh": f"fulfilld retry {wanted}"}
    return REMEDIES.get(type_, "look at one of them with `fulfilld order SHOP ID`").format(**commands)


def remedy(type_: str, shop: str, order: str) -> str:
    """What helps with a problem of this order; for a type that is not known here, where to read on."""
    where = f"{shlex.quote(shop)} {shlex.quote(order)}"
    commands = {name: f"fulfilld {name} {where}" for name in ("retry", "cancel", "refresh", "release")}
    commands["skip"] = f"fulfilld skip {where} --reason WHY"
    return REMEDIES.get(type_, "look at `fulfilld order {where}`").format(where=where, **commands)
